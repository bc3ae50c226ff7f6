"""Generation and comparisons on a Dask cluster: a scheduler and two workers that these tests start."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from pyg_neuralops.cli import main
from pyg_neuralops.datasets import Darcy
from pyg_neuralops.executors import cluster_executor, run_pieces
from pyg_neuralops.solvers.parallel import make_parts
from pyg_neuralops.study import compare
from pyg_neuralops.study.pieces import run_piece
from pyg_neuralops.study.provenance import read_json

SIZE = {"num_samples": 24, "resolution": 9, "refine": 2}
CLOCK = {"environment", "wall_seconds", "train_seconds", "seconds_per_epoch", "preparation_seconds", "seconds"}
CLOCK |= {"peak_memory_bytes", "out", "folder", "resumed", "belongs_to"}
OWN = """
import os, time
from pathlib import Path
import torch
HERE = Path(__file__).parent
class Mine(torch.nn.Module):
    def __init__(self, in_channels, out_channels, pos_dim, hidden_channels, num_layers, role="calm"):
        super().__init__()
        self.role = role
        self.linear = torch.nn.Linear(in_channels, out_channels)
        self.calls = 0
    def forward(self, data):
        self.calls += 1
        if self.role == "fails":
            with open(HERE / "failed", "a") as file:
                file.write("once more\\n")
            raise ValueError("no such number")
        if self.role == "sleeps" and self.calls > 8 and (HERE / "sleep").exists():
            (HERE / f"asleep{os.getpid()}").touch()
            time.sleep(600)
        return self.linear(data.x)
"""


def wait_for(condition, seconds=300):
    limit = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder that the cluster's processes start in, with modules that they can import."""
    place = tmp_path_factory.mktemp("cluster")
    (place / "cluster_own.py").write_text(OWN)
    (place / "cluster_solver.py").write_text("def solve(seed):\n    raise KeyError('no such key')\n")
    (place / "cluster_slow.py").write_text(
        "import time\nfrom pathlib import Path\ndef slow(name):\n    Path(name).touch()\n    time.sleep(1)\n"
    )
    return place


@pytest.fixture(scope="module")
def address(place):
    """Of a scheduler with two workers of one thread, which are killed in the end."""
    path = os.pathsep.join([str(place), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    file = place / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    ports = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
    worker = ["worker", "--scheduler-file", str(file), "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    processes = []
    with open(place / "said.txt", "w") as said:
        for command in (["scheduler", *ports], worker, worker):
            command = [*dask, *command]
            processes.append(subprocess.Popen(command, cwd=place, env=environment, stdout=said, stderr=said))
    try:
        wait_for(file.exists)
        yield json.loads(file.read_text())["address"]
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.fixture
def own(comparison, place, monkeypatch):
    monkeypatch.syspath_prepend(str(place))
    roles = ("sleeps", "calm", "fails")
    overrides = {role: {"model": "cluster_own:Mine", "role": role} for role in roles}
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield lambda *roles: replace(comparison, models=roles, overrides={k: overrides[k] for k in roles}, seeds=1)
    torch.set_num_threads(before)


def timeless(value):
    """Without what the clock, the machine and the place of the files say, and whether a run was gone on with."""
    if isinstance(value, dict):
        return {key: timeless(item) for key, item in value.items() if key not in CLOCK}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def results(comparison):
    return timeless(read_json(Path(comparison.out) / "results.json"))


def files(folder):
    return sorted(path.relative_to(folder) for path in Path(folder).rglob("*"))


def test_a_cluster_generates_the_same_files(address, tmp_path, monkeypatch):
    here = Darcy(tmp_path / "here", workers=0, **SIZE)
    monkeypatch.chdir(tmp_path)
    command = "data darcy --root there --num-samples 24 --resolution 9 --data-args refine=2 --cluster"

    def local(*_, **__):
        raise AssertionError("made on this machine, without the cluster")

    for name in ("make_part", "Processes"):
        monkeypatch.setattr(f"pyg_neuralops.solvers.parallel.{name}", local)
    assert main([*command.split(), address]) == 0
    there = Darcy(tmp_path / "there", workers=0, **SIZE)
    (raw,) = here.raw_paths
    assert Path(raw).read_bytes() == Path(there.raw_paths[0]).read_bytes()
    assert set(files(here.root)) <= set(files(there.root))


def test_a_sample_that_fails_on_a_cluster_is_named_and_nothing_is_left(address, tmp_path):
    with cluster_executor(address) as executor:
        with pytest.raises(RuntimeError, match=r"cluster_solver:solve, seed \[0, 0, 0\]: KeyError: 'no such key'"):
            make_parts("cluster_solver:solve", {}, [(0, 0, 0)], tmp_path / "parts", workers=0, executor=executor)
    assert list((tmp_path / "parts").iterdir()) == []


def test_an_interrupt_cancels_what_waits_on_a_cluster(address, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(place))
    slow = importlib.import_module("cluster_slow").slow

    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), cluster_executor(address) as executor:
        run_pieces(executor, slow, {f"piece {n}": (f"begun{n}",) for n in range(20)}, interrupt)
    time.sleep(3)
    assert 1 <= len(list(tmp_path.glob("begun*"))) <= 6


def test_a_worker_killed_in_the_middle_of_a_run_changes_nothing(own, address, place, tmp_path):
    two = own("sleeps", "calm")
    alone = replace(two, out=str(tmp_path / "alone"))
    compare(alone, progress=False)
    (place / "sleep").touch()

    def kill():
        (asleep,) = wait_for(lambda: list(place.glob("asleep*")))
        (place / "sleep").unlink()
        os.kill(int(asleep.name.removeprefix("asleep")), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with cluster_executor(address) as executor:
        found = compare(two, executor=executor)
    killer.join()
    assert results(two) == results(alone)
    assert files(two.out) == files(alone.out)
    assert [(run["model"], run["resumed"], run["environment"]["threads"]) for run in found["runs"]] == [
        ("sleeps", True, 1),
        ("calm", False, 1),
    ]


def test_a_run_that_fails_on_a_cluster_fails_once(own, address, place):
    with cluster_executor(address) as executor:
        with pytest.raises(ValueError, match=r"^fails, seed 0: no such number$"):
            compare(own("fails"), executor=executor)
    assert (place / "failed").read_text() == "once more\n"


def test_a_run_waits_for_a_process_that_is_not_quite_dead(own, tmp_path, monkeypatch):
    one = own("calm")
    compare(one, progress=False)
    folder = tmp_path / "out/calm/seed0"
    (folder / "result.json").unlink()
    lock = FileLock(folder / ".lock", thread_local=False)
    lock.acquire()
    threading.Timer(0.5, lock.release).start()
    assert run_piece(one, "calm", 0)["model"] == "calm"
    (folder / "result.json").unlink()
    monkeypatch.setattr("pyg_neuralops.study.pieces.PATIENCE", 0.1)
    with lock, pytest.raises(ValueError, match=r"^calm, seed 0: .*seed0 is in use by another process$"):
        run_piece(one, "calm", 0)


def test_a_worker_that_does_not_see_the_comparison(own):
    with pytest.raises(OSError, match=r"^calm, seed 0: a worker does not see the file .*comparison.json; it needs the"):
        run_piece(own("calm"), "calm", 0)


def test_a_cluster_goes_with_one_job_and_no_workers_of_this_machine(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for command, said in (
        (
            "compare --dataset darcy --jobs 2 --cluster tcp://127.0.0.1:1",
            "jobs=2 and cluster='tcp://127.0.0.1:1'; give",
        ),
        ("data darcy --cluster tcp://127.0.0.1:1", "no Dask scheduler answers at tcp://127.0.0.1:1 within 5 s"),
    ):
        assert main(command.split()) == 2
        assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
