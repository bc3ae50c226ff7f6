"""Pieces of work on executors: results, errors that name the piece, and workers that die; without torch."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from pyg_neuralops.executors import Processes, cluster_executor, portable, run_pieces

WORK = """
import os, sys, time
from pathlib import Path
class Own(Exception):
    pass
def square(number):
    print("not an answer")
    return number**2, os.environ["OMP_NUM_THREADS"], os.getcwd(), sys.argv
def fail(kind):
    raise {"own": Own, "key": KeyError, "value": ValueError}[kind]("no such number")
def die(number):
    if number == 1:
        os._exit(9)
    return number
def fork(number):
    import multiprocessing
    child = multiprocessing.get_context("fork").Process(target=int)
    child.start()
    child.join(30)
    return child.exitcode
def wait(path):
    Path(path).with_suffix(".begun").touch()
    while not Path(path).exists():
        time.sleep(0.01)
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    (tmp_path / "executors_work.py").write_text(WORK)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    import executors_work

    yield executors_work
    del sys.modules["executors_work"]


def test_pieces_in_processes_and_threads(work, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for pool in (Processes(2), ThreadPoolExecutor(2)):
        seen = {}
        with pool:
            found = run_pieces(pool, work.square, {f"number {n}": (n,) for n in range(5)}, seen.__setitem__)
        assert found == seen == {f"number {n}": (n**2, "1", str(tmp_path), sys.argv) for n in range(5)}


def test_a_piece_may_fork_processes_of_its_own_and_no_file_beside_it_hides_a_package(work, tmp_path, monkeypatch):
    """As loaders with workers do."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "queue.py").write_text("raise ImportError")
    monkeypatch.chdir(tmp_path / "elsewhere")
    with Processes(1) as pool:
        assert pool.submit(work.fork, 0).result(60) == 0


@pytest.mark.parametrize(
    ("kind", "error", "said"),
    [
        ("value", ValueError, "^no such number$"),
        ("key", RuntimeError, "^one: KeyError: 'no such number'$"),
        ("own", RuntimeError, "^Own: no such number$"),
    ],
)
def test_an_error_comes_back_once_and_what_waits_is_given_up(kind, error, said, work):
    done = []
    with Processes(1) as pool, pytest.raises(error, match=said) as caught:
        run_pieces(pool, work.fail, {"one": (kind,), "two": ("value",)}, lambda *found: done.append(found))
    assert not done
    told = caught.value if kind != "key" else caught.value.__cause__
    assert "in fail" in str(told.__cause__)  # where it happened in the worker


def test_a_piece_whose_worker_died_is_named(work):
    done = []
    with Processes(2) as pool, pytest.raises(RuntimeError, match=r"^number 1: a worker process died \(exit code 9\)"):
        run_pieces(pool, work.die, {f"number {n}": (n,) for n in range(2)}, lambda name, _: done.append(name))
    assert done == ["number 0"]


def test_workers_end_with_the_block_whatever_they_do(work, tmp_path):
    with Processes(1) as pool:
        waiting = pool.submit(work.wait, "never")
        while not (tmp_path / "never.begun").exists():
            time.sleep(0.01)
    assert "exit code -9" in str(waiting.exception())


class Lost(Executor):
    """Gives up whatever it is given."""

    def submit(self, function, /, *args, **kwargs):
        future = Future()
        threading.Timer(0.1, lambda: (future.cancel(), future.set_running_or_notify_cancel())).start()
        return future


def test_pieces_that_an_executor_gives_up_are_an_error():
    with pytest.raises(RuntimeError, match=r"^one: given up by its executor .*started again, this goes on"):
        run_pieces(Lost(), print, {"one": ()}, print)


def test_a_worker_that_does_not_see_the_folder(monkeypatch, tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with Processes(1) as pool:
        pool.submit(os.getpid).result()
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(os, "getcwd", lambda: str(tmp_path / "nowhere"))
        with pytest.raises(OSError, match=r"a worker does not see the folder .*nowhere .*needs the same files"):
            run_pieces(pool, print, {"one": ()}, print)


def test_errors_of_any_class_become_portable():
    class Strange(Exception):
        pass

    assert repr(portable(Strange("no"), "it")) == "RuntimeError('it: Strange: no')"
    assert repr(portable(FileNotFoundError("no"), "it")) == "FileNotFoundError('it: no')"


def test_a_cluster_that_is_not_there(monkeypatch):
    with cluster_executor(None) as executor:
        assert executor is None
    for address in ("tcp://127.0.0.1:1", "nobody"):
        with pytest.raises(OSError, match=f"no Dask scheduler answers at {address} within 0.5 s"):
            with cluster_executor(address, seconds=0.5):
                pass
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"pip install pyg-neuralops\[cluster\]"):
        with cluster_executor("tcp://127.0.0.1:1"):
            pass


def test_a_script_needs_no_guard(tmp_path):
    (tmp_path / "script.py").write_text(
        "import math\nfrom pyg_neuralops.executors import Processes\n"
        "with Processes(1) as pool:\n    print(pool.submit(math.factorial, 5).result())\n"
    )
    said = subprocess.run([sys.executable, Path("script.py")], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (said.stdout, said.stderr) == ("120\n", "")
