"""``Processes``: an executor of fresh interpreters on this machine.

Not ``ProcessPoolExecutor``: that imports the user's main module again in every worker, where a script without a
``__main__`` guard would start the same work once more.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from typing import Any, BinaryIO

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS")
"""Set to 1 in a worker: the processes share the cores among themselves."""


class Processes(ThreadPoolExecutor):
    """``count`` processes of one thread each, and a thread of this process to talk to each.

    A worker loads what its pieces need and no more. At the end of the ``with`` block the workers are killed, whatever
    they are doing; if this process is killed, they end by themselves. So a piece writes its files whole or not at all.

    Raises:
        BrokenExecutor: from a piece whose worker died, with its exit code.
    """

    def __init__(self, count: int):
        super().__init__(count)
        environment = {**os.environ, **dict.fromkeys(THREADS, "1")}  # read by libraries as they are loaded
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        # No file of the current folder hides a package: pieces see to what is importable there.
        first = "import sys; sys.path[:] = filter(None, sys.path)"
        serving = f"{first}; from pyg_neuralops.executors.processes import serve; serve()"
        command = [sys.executable, "-c", serving, *sys.argv]
        pipe = subprocess.PIPE
        self._workers = [subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment) for _ in range(count)]
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return super().submit(self._ask, function, args, kwargs)

    def _ask(self, *piece: Any) -> Any:
        task = pickle.dumps(piece)
        worker = self._idle.get()  # there are as many as threads
        try:
            pickle.dump(task, worker.stdin)  # type: ignore[arg-type]
            worker.stdin.flush()  # type: ignore[union-attr]
            result, error, where = pickle.load(worker.stdout)  # type: ignore[arg-type]  # noqa: S301  (we started it)
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):
            worker.kill()  # does nothing to a dead one, whose exit code stays
            raise BrokenExecutor(f"exit code {worker.wait()}") from None
        finally:
            self._idle.put(worker)
        if error is not None:
            raise error from RuntimeError(f"in a worker process\n{where}")
        return result

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = True) -> None:
        """Kill the workers; pieces that wait or are in progress fail."""
        super().shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:
            worker.kill()
        super().shutdown(wait=True)
        for worker in self._workers:
            with contextlib.suppress(BrokenPipeError):  # what it was not told any more
                worker.stdin.close()  # type: ignore[union-attr]
            worker.stdout.close()  # type: ignore[union-attr]
            worker.wait()


def serve() -> None:
    """A worker's loop: a pickled (function, args, kwargs) in, a pickled (result, error, where) out."""
    sys.argv.pop(0)  # what is left is the command line of the process that started this one
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a piece prints must not be taken for an answer
    source = os.fdopen(os.dup(0), "rb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # which a process that a piece forks closes: nobody may hold it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; we end with the first
    tasks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(source, tasks), daemon=True).start()
    while True:
        try:
            function, args, kwargs = pickle.loads(tasks.get())  # noqa: S301  (of the process that started this one)
            answer = pickle.dumps((function(*args, **kwargs), None, ""))
        except Exception as error:  # noqa: BLE001  (whatever it is, the parent has to say it)
            known = type(error).__module__ == "builtins"
            told = error if known else RuntimeError(f"{type(error).__name__}: {error}")
            answer = pickle.dumps((None, told, traceback.format_exc()))
        answers.write(answer)
        answers.flush()


def _listen(source: BinaryIO, tasks: queue.SimpleQueue[bytes]) -> None:
    """End this process with the one that started it, also in the middle of a piece."""
    try:
        while True:
            tasks.put(pickle.load(source))  # noqa: S301
    finally:
        os._exit(1)
