"""Files that appear whole or not at all: whose temporary files go, and which damage is seen."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from pyg_neuralops.data import file_sha256, load_tensors, locked, replacing, save_tensors
from pyg_neuralops.files import remove_leftovers, seal, unsealed

KILLED = """
import os, signal, sys
from pyg_neuralops.files import replacing
with replacing(sys.argv[1]) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_only_what_killed_processes_left_is_removed(tmp_path):
    foreign = [tmp_path / ".other.tmp", tmp_path / ".x.h5.abc.tmp", tmp_path / f".x.{'0' * 8}-1-{'0' * 8}.tmp"]
    for path in foreign:
        path.write_text("another writer's")
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "b.txt")], check=False)
    assert len([*tmp_path.iterdir()]) == 4
    with replacing(tmp_path / "a.txt") as mine, locked(tmp_path):
        mine.write_text("mine")
        assert sorted(tmp_path.glob(".*.tmp")) == sorted([*foreign, mine])
        remove_leftovers(tmp_path)
    assert (tmp_path / "a.txt").read_text() == "mine"
    assert sorted(tmp_path.glob(".*.tmp")) == sorted(foreign)


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(
        os, "fsync", lambda handle: done.append(os.readlink(f"/proc/self/fd/{handle}")) or fsync(handle)
    )
    monkeypatch.setattr(os, "replace", lambda old, new: done.append("rename") or replace(old, new))
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("a")
    assert done == [str(temporary), "rename", str(tmp_path)]


def test_a_failing_body_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), replacing(path) as temporary:  # noqa: PT012
        temporary.write_text("new")
        (tmp_path / "none").read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"


def test_the_digest_of_a_file(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert file_sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(FileNotFoundError, match=r"no file .*none"):
        file_sha256(tmp_path / "none")


def test_tensors_come_back_and_every_damage_is_named(tmp_path):
    path, value = tmp_path / "t.pt", {"a": torch.arange(700.0), "b": [torch.ones(3, dtype=torch.int64), "text", 1.5]}
    save_tensors(value, path)
    back = load_tensors(path)
    assert torch.equal(back["a"], value["a"])
    assert back["b"][1:] == ["text", 1.5]
    assert torch.equal(torch.load(path, weights_only=True)["a"], value["a"])  # still a file of torch's
    good, chance = path.read_bytes(), random.Random(0)
    for bit in [*chance.sample(range(8 * len(good)), 300), *range(8 * len(good) - 8 * 60, 8 * len(good))]:
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bad)
        with pytest.raises(ValueError, match=r"t\.pt is damaged or foreign .*; make tea"):
            load_tensors(path, advice="make tea")
    for size in [0, 1, 21, 40, *chance.sample(range(len(good)), 30)]:
        path.write_bytes(good[:size])
        with pytest.raises(ValueError, match=r"t\.pt is damaged or foreign .*; remove it to go on"):
            load_tensors(path)
    torch.save(value, path)  # without a checksum
    with pytest.raises(ValueError, match=r"t\.pt is damaged or foreign"):
        load_tensors(path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"no file .*t\.pt"):
        load_tensors(path)


class Evil:
    def __reduce__(self):
        return os.system, ("touch evil",)


def test_a_sealed_pickle_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(Evil(), "e.pt")
    seal("e.pt")
    with pytest.raises(ValueError, match=r"e\.pt is foreign \(UnpicklingError\)"):
        load_tensors("e.pt")
    assert [p.name for p in tmp_path.iterdir()] == ["e.pt"]


def test_a_sealed_archive_of_arrays_is_read_as_ever(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.arange(5))
    seal(tmp_path / "a.npz")
    with unsealed(tmp_path / "a.npz", "") as file, np.load(file) as arrays:
        assert arrays["a"].tolist() == [0, 1, 2, 3, 4]
