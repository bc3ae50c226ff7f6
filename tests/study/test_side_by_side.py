"""Runs of a comparison in several processes: the results of one process, and what happens where a run fails."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pyg_neuralops.cli import main
from pyg_neuralops.data import read_hdf5, write_hdf5
from pyg_neuralops.study import Comparison, compare
from pyg_neuralops.study.pieces import run_piece
from pyg_neuralops.study.provenance import read_json

CLOCK = {"environment", "wall_seconds", "train_seconds", "seconds_per_epoch", "preparation_seconds", "seconds"}
CLOCK |= {"peak_memory_bytes", "command", "out", "folder", "time"}
# A model of a user's own that does what the files beside it say.
OWN = """
import os, signal, time
from pathlib import Path
import torch
HERE = Path(__file__).parent
class Mine(torch.nn.Module):
    def __init__(self, in_channels, out_channels, pos_dim, hidden_channels, num_layers, role="calm"):
        super().__init__()
        self.role = role
        self.linear = torch.nn.Linear(in_channels, out_channels)
    def forward(self, data):
        if self.role == "fails" and (HERE / "fail").exists():
            raise ValueError("no such number")
        if self.role == "dies" and (HERE / "die").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        if self.role == "sleeps" and (HERE / "sleep").exists():
            (HERE / f"asleep{os.getpid()}").touch()
            time.sleep(600)
        return self.linear(data.x)
"""


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def own(comparison, tmp_path, monkeypatch) -> Comparison:
    (tmp_path / "own_roles.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    roles = ("calm", "fails", "dies", "sleeps")
    overrides = {role: {"model": "own_roles:Mine", "role": role} for role in roles}
    return replace(comparison, models=roles, overrides=overrides, seeds=1)


def timeless(value):
    """Without what the clock, the machine and the place of the files say."""
    if isinstance(value, dict):
        return {key: timeless(item) for key, item in value.items() if key not in CLOCK}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def results(comparison: Comparison) -> dict:
    found = timeless(read_json(Path(comparison.out) / "results.json"))
    found.pop("belongs_to", None)
    return found


def test_any_number_of_jobs_has_the_same_results(comparison, tmp_path, one_thread, caplog):
    places = [replace(comparison, out=str(tmp_path / name)) for name in ("one", "two", "threads", "given")]
    one, two, threads, given = places
    compare(one, progress=False)
    before = dict(os.environ)
    with caplog.at_level("INFO"):
        compare(two, jobs=2)
    said = [record.getMessage() for record in caplog.records if "test error" in record.getMessage()]
    said = [line for line in said if line.startswith("[")]
    assert [line[:5] for line in said] == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]
    assert dict(os.environ) == before
    with ThreadPoolExecutor(2) as pool:
        compare(threads, executor=pool)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        pool.submit(torch.set_num_threads, 1).result()
        compare(replace(given, seeds=1), executor=pool)
        compare(given, executor=pool)
    assert [results(place) for place in places] == [results(one)] * 4
    files = [{path.relative_to(place.out) for path in Path(place.out).rglob("*")} for place in places]
    assert files == [files[0]] * 4
    runs = read_json(Path(two.out) / "results.json")["runs"]
    assert [(run["model"], run["seed"]) for run in runs] == [(m, s) for m in ("graph-sage", "narrow") for s in (0, 1)]
    assert {run["environment"]["threads"] for run in runs} == {1}
    # Nothing is left to do: no worker is started.
    caplog.clear()
    with caplog.at_level("INFO"):
        assert compare(two, jobs=2)["runs"] == runs
    assert sum("done before" in record.getMessage() for record in caplog.records) == 4


def test_other_runs_finish_where_one_fails(own, tmp_path):
    three = replace(
        own, models=("fails", "calm", "sleeps"), overrides={k: v for k, v in own.overrides.items() if k != "dies"}
    )
    (tmp_path / "fail").touch()
    with pytest.raises(ValueError, match=r"^fails, seed 0: no such number$"):
        compare(three, jobs=2)
    assert (tmp_path / "out/calm/seed0/result.json").is_file()
    assert not (tmp_path / "out/results.json").exists()
    (tmp_path / "fail").unlink()
    assert len(compare(three, jobs=2)["runs"]) == 3


def test_a_killed_worker_costs_only_its_run(own, tmp_path):
    two = replace(own, models=("calm", "dies"), overrides={k: own.overrides[k] for k in ("calm", "dies")})
    (tmp_path / "die").touch()
    with pytest.raises(
        RuntimeError, match=r"^dies, seed 0: a worker process died \(exit code -9\); started again, this goes on"
    ):
        compare(two, jobs=2)
    (tmp_path / "die").unlink()
    assert len(compare(two, jobs=2)["runs"]) == 2


def test_ctrl_c_ends_all_workers_and_the_comparison_goes_on(own, tmp_path):
    one = replace(own, models=("sleeps",), overrides={"sleeps": own.overrides["sleeps"]}, seeds=2)
    (tmp_path / "sleep").touch()
    script = "import pickle, sys\nfrom pyg_neuralops.study import compare\n"
    script += "compare(pickle.loads(bytes.fromhex(sys.argv[1])), jobs=2)\n"
    (tmp_path / "run.py").write_text(script)
    # A terminal interrupts the whole group.
    process = subprocess.Popen(
        [sys.executable, tmp_path / "run.py", pickle.dumps(one).hex()], start_new_session=True, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 300
    while len(asleep := list(tmp_path.glob("asleep*"))) < 2 and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    assert len(asleep) == 2
    os.killpg(process.pid, signal.SIGINT)
    # Workers hold the same stderr: it ends when the last of them has.
    assert b"KeyboardInterrupt" in process.communicate(timeout=60)[1]
    (tmp_path / "sleep").unlink()
    assert len(compare(one, progress=False)["runs"]) == 2


def test_samples_must_be_those_the_comparison_began_with(comparison, mesh_file):
    one = replace(comparison, models=("graph-sage",), overrides={}, seeds=1)
    compare(one, progress=False)
    samples, _ = read_hdf5(mesh_file)
    samples[0].y += 1
    write_hdf5(mesh_file, samples)
    with pytest.raises(ValueError, match=r"^graph-sage, seed 1: this process finds other values of .*digest"):
        run_piece(one, "graph-sage", 1)


def test_wrong_numbers_of_jobs(comparison, tmp_path, capsys):
    for jobs, message in ((0, "jobs=0; it must be at least 1"), (1.5, "jobs=1.5; an integer is needed")):
        with pytest.raises(ValueError, match=message):
            compare(comparison, jobs=jobs)
    with ThreadPoolExecutor(1) as pool, pytest.raises(ValueError, match="jobs=2 and an executor; give one of them"):
        compare(comparison, jobs=2, executor=pool)
    (tmp_path / "recipe.toml").write_text('dataset = "meshes.h5"\nepochs = 1\njobs = 2\n')
    assert main(["compare", "--recipe", str(tmp_path / "recipe.toml")]) == 2
    assert "unknown keys ['jobs']" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
