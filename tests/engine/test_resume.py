"""A run that was killed at any time and started again is the run that was never killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from toy import toy_run

from pyg_neuralops.engine import fit


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_run_reaches_the_same_losses_to_the_last_digit(tmp_path):
    script = Path(__file__).with_name("killed.py")
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    assert report["deaths"] >= 8
    killed, alone = report["histories"]
    assert len(alone) == 8
    assert killed == alone
    assert report["best"][0] == report["best"][1]
    assert report["resumed"] == [True, False]
    weights = [load_file(tmp_path / name / "best.safetensors") for name in ("killed", "alone")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])
    for name in ("killed", "alone"):
        rows = (tmp_path / name / "history.csv").read_text().splitlines()
        assert [row.split(",")[0] for row in rows] == ["epoch", *map(str, range(1, 9))]
        names = {file.name for file in (tmp_path / name).iterdir()}
        assert names == {"best.safetensors", "last.ckpt", "history.csv", ".lock"}


def test_finished_run_is_not_trained_again(tmp_path):
    model, train, val = toy_run()
    first = fit(model, train, val, out=tmp_path, epochs=3)
    again, train, val = toy_run(seed=5)
    second = fit(again, train, val, out=tmp_path, epochs=3)
    assert second.resumed
    assert second.history == first.history
    for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_resume_false_starts_anew(tmp_path):
    fit(*toy_run(), out=tmp_path, epochs=3)
    result = fit(*toy_run(), out=tmp_path, epochs=2, resume=False)
    assert not result.resumed
    assert [row["epoch"] for row in result.history] == [1, 2]


@pytest.mark.parametrize(("change", "message"), [({"lr": 2e-3}, "lr=0.001, not 0.002"), ({"epochs": 4}, "epochs=3")])
def test_folder_of_another_run_is_refused_and_left_alone(tmp_path, change, message):
    fit(*toy_run(), out=tmp_path, epochs=3)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(ValueError, match=message):
        fit(*toy_run(), out=tmp_path, **({"epochs": 3} | change))
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_damaged_checkpoint_is_one_clear_error(tmp_path):
    fit(*toy_run(), out=tmp_path, epochs=1)
    whole = (tmp_path / "last.ckpt").read_bytes()
    for content in (b"", b"nonsense", whole[: len(whole) // 2]):
        (tmp_path / "last.ckpt").write_bytes(content)
        with pytest.raises(ValueError, match=r"last\.ckpt is damaged or foreign"):
            fit(*toy_run(), out=tmp_path, epochs=1)


def test_two_processes_do_not_share_a_folder(tmp_path):
    holder = (
        "import sys, time; from filelock import FileLock; lock = FileLock(sys.argv[1] + '/.lock'); lock.acquire(); "
        "sys.stdout.write('held'); sys.stdout.flush(); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", holder, tmp_path], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.read(4) == "held"
        with pytest.raises(ValueError, match="is in use by another process"):
            fit(*toy_run(), out=tmp_path, epochs=1)
    finally:
        process.kill()
        process.communicate()
    assert len(fit(*toy_run(), out=tmp_path, epochs=1).history) == 1
