import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from pyg_neuralops.solvers import sample_darcy
from pyg_neuralops.solvers.parallel import make_parts
from pyg_neuralops.solvers.parts import load_part

DARCY = "pyg_neuralops.solvers.darcy:sample_darcy"
SMALL = {"resolution": 9, "refine": 1}
SEEDS = [(0, 0, index) for index in range(10)]


def contents(paths):
    return [sample for path in paths for sample in load_part(path)]


def test_any_number_of_processes_gives_what_each_sample_gives_alone(tmp_path):
    alone = [sample_darcy(seed, **SMALL) for seed in SEEDS]
    for workers in (0, 1, 2):
        done = []
        folder = tmp_path / str(workers)
        paths = make_parts(DARCY, SMALL, SEEDS, folder, workers=workers, part_size=4, advance=done.append)
        assert sum(done) == len(SEEDS)
        assert sorted(path.name for path in folder.iterdir()) == [path.name for path in paths]
        for sample, expected in zip(contents(paths), alone, strict=True):
            np.testing.assert_array_equal(sample["a"], expected.a)
            np.testing.assert_array_equal(sample["u"], expected.u)
            assert sample["residual"] == expected.residual


def test_only_missing_parts_are_made(tmp_path):
    paths = make_parts(DARCY, SMALL, SEEDS, tmp_path, workers=0, part_size=4)
    before = [path.stat().st_mtime_ns for path in paths]
    expected = contents(paths)
    paths[1].unlink()
    done = []
    make_parts(DARCY, SMALL, SEEDS, tmp_path, workers=0, part_size=4, advance=done.append)
    assert done == [4, 2, 1, 1, 1, 1]
    after = [path.stat().st_mtime_ns for path in paths]
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True]
    for one, two in zip(contents(paths), expected, strict=True):
        np.testing.assert_array_equal(one["u"], two["u"])


def test_damaged_parts_and_those_of_another_task_are_solved_again(tmp_path, caplog):
    paths = make_parts(DARCY, SMALL, SEEDS, tmp_path, workers=0, part_size=4)
    expected, good, chance = contents(paths), paths[1].read_bytes(), random.Random(0)
    spoilt = [good[: chance.randrange(len(good))] for _ in range(10)]
    for bit in chance.sample(range(8 * len(good)), 60):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        spoilt.append(bytes(bad))
    for content in spoilt:
        paths[1].write_bytes(content)
        with pytest.raises(ValueError, match=rf"{paths[1].name} is damaged .*; remove it, and it is solved again"):
            load_part(paths[1])
    done = []
    make_parts(DARCY, SMALL, SEEDS, tmp_path, workers=0, part_size=4, advance=done.append)
    assert done == [4, 2, 1, 1, 1, 1]
    assert f"{paths[1].name} is damaged" in caplog.text
    shutil.copy(paths[0], paths[1])  # of other seeds
    make_parts(DARCY, SMALL, SEEDS, tmp_path, workers=0, part_size=4)
    for one, two in zip(contents(paths), expected, strict=True):
        np.testing.assert_array_equal(one["u"], two["u"])


@pytest.mark.parametrize("workers", [0, 1])
def test_a_solver_that_fails_stops_the_rest_and_names_the_seed(tmp_path, workers):
    parameters = {"resolution": 33, "refine": 1, "max_iterations": 2}
    with pytest.raises(RuntimeError, match=r"seed \[0, 0, 0\].*conjugate gradients"):
        make_parts(DARCY, parameters, SEEDS, tmp_path, workers=workers)
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_dies_or_meets_a_mistake_is_reported(tmp_path, monkeypatch):
    (tmp_path / "deadly.py").write_text("import os\ndef solve(seed):\n    os._exit(9)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RuntimeError, match=r"worker process died \(exit code 9\)"):
        make_parts("deadly:solve", {}, SEEDS, tmp_path, workers=2)
    with pytest.raises(RuntimeError, match="TypeError"):
        make_parts(DARCY, {"resolutions": 9}, SEEDS, tmp_path, workers=1)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_of_a_killed_parent_end_without_torch(tmp_path):
    code = (
        "from pyg_neuralops.solvers.parallel import make_parts\n"
        f"make_parts({DARCY!r}, {{'resolution': 41}}, [(0, 0, i) for i in range(4000)], {str(tmp_path)!r}, workers=1)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    try:
        wait_for(lambda: any(tmp_path.glob("*.npz")))
        with open(f"/proc/{parent.pid}/task/{parent.pid}/children") as file:
            (worker,) = map(int, file.read().split())
        with open(f"/proc/{worker}/maps") as file:
            assert "libtorch" not in file.read()
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    wait_for(lambda: not os.path.exists(f"/proc/{worker}") or is_zombie(worker))


def is_zombie(process):
    with open(f"/proc/{process}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "Z"


def wait_for(condition, seconds=20):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.01)
