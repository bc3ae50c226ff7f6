"""What is written beside results is what is read, or an error; git runs nothing that a repository names."""

import json
import math
import os
import random
import subprocess

import pytest

from pyg_neuralops.study.provenance import environment, file_digest, read_json, write_json

VALUE = {"a": [1, 2.5, None, True, "ä\n"], "b": {"c": {"d": []}}, "e": 1e-300, "f": -0.0}


def test_json_comes_back_and_every_flipped_bit_is_seen(tmp_path):
    path = tmp_path / "r.json"
    write_json(path, VALUE, of={"seed": 1})
    assert read_json(path) == read_json(path, of={"seed": 1}) == VALUE
    with pytest.raises(ValueError, match=r"r\.json belongs to another run.*; remove .*r\.json to have it made again"):
        read_json(path, of={"seed": 2})
    good, same = path.read_bytes(), 0
    for bit in range(8 * len(good)):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bad)
        try:
            assert read_json(path, of={"seed": 1}) == VALUE  # another kind of space
            same += 1
        except ValueError as error:
            assert str(path) in str(error)  # noqa: PT017
    assert same < 0.05 * 8 * len(good)
    for size in random.Random(0).sample(range(len(good) - 1), 40):
        path.write_bytes(good[:size])
        with pytest.raises(ValueError, match=r"r\.json"):
            read_json(path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"r\.json"):
        read_json(path)


def test_what_is_no_number_is_null_and_the_file_is_json(tmp_path):
    path = tmp_path / "r.json"
    write_json(path, {"a": [math.nan, 1.0], "b": {"c": math.inf, "d": (-math.inf,)}})

    def refuse(name):
        raise AssertionError(name)

    json.loads(path.read_text(), parse_constant=refuse)
    assert read_json(path) == {"a": [None, 1.0], "b": {"c": None, "d": [None]}}


def test_the_digest_of_a_file_that_is_not_there(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_digest(tmp_path / "a") == "ba7816bf8f01"
    with pytest.raises(FileNotFoundError, match="no file"):
        file_digest(tmp_path / "b")


def git(folder, *words):
    who = ["-c", "user.name=n", "-c", "user.email=e@e", "-c", "protocol.file.allow=always"]
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """With programs planted wherever git would run one for ``status``; each would write a file into ``ran``."""
    ran, folder = tmp_path / "ran", tmp_path / "repository"
    ran.mkdir()
    folder.mkdir()

    def script(name):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\ntouch {ran}/{name}\ncat\n")
        path.chmod(0o755)
        return str(path)

    inner = tmp_path / "inner"
    inner.mkdir()
    for place in (inner, folder):
        git(place, "init", "-q")
        (place / "a.txt").write_text("one\n")
        git(place, "add", ".")
        git(place, "commit", "-qm", "one")
    git(folder, "submodule", "--quiet", "add", str(inner), "sub")
    (folder / "b.dat").write_text("one\n")
    (folder / ".gitattributes").write_text("*.txt filter=evil\n*.dat filter=a=b\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "two")
    git(folder, "config", "core.fsmonitor", script("fsmonitor"))
    git(folder / "sub", "config", "core.fsmonitor", script("fsmonitor-sub"))
    git(folder, "config", "filter.evil.clean", script("clean"))
    git(folder, "config", "filter.evil.required", "true")
    git(folder, "config", "filter.a=b.clean", script("clean-equals"))
    git(folder, "config", "diff.external", script("diff"))
    git(folder, "config", "core.pager", script("pager"))
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (tmp_path / "hook").rename(hooks / "post-index-change") if script("hook") else None
    git(folder, "config", "core.hooksPath", str(hooks))
    for path in ran.iterdir():
        path.unlink()
    monkeypatch.chdir(folder)
    return folder


def test_git_is_asked_and_runs_no_program_of_the_repository(repository, monkeypatch):
    ran = repository.parent / "ran"
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    for name in ("a.txt", "b.dat"):
        os.utime(repository / name, (1, 1))  # so that git reads it again
    assert environment()["git"] == {"hash": head, "dirty": False}
    (repository / "a.txt").write_text("two\n")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert environment()["git"] == {"hash": head, "dirty": True}
    assert not list(ran.iterdir())
    monkeypatch.delenv("GIT_DIR")
    subprocess.run(["git", "status"], check=False, capture_output=True)  # as it was asked before
    assert {"fsmonitor", "fsmonitor-sub", "clean", "clean-equals"} <= {path.name for path in ran.iterdir()}


def test_outside_of_a_repository_git_says_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert environment()["git"] is None
