"""Runs side by side: the pieces of a comparison on an executor, and one of local processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from multiprocessing.connection import Connection
from typing import Any

import torch

from .pieces import Run, run_piece
from .settings import Comparison

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS")
"""Set to 1 in a worker: the processes share the cores among themselves."""


def run_pieces(
    executor: Executor,
    comparison: Comparison,
    runs: Sequence[Run],
    report: Callable[[Run, dict[str, Any]], object],
    limit: int | None = None,
) -> dict[Run, dict[str, Any]]:
    """Do the runs on an executor.

    Args:
        report: called with each run and its result as it is done.
        limit: how many are handed to the executor at a time; all at once by default. With as many as it has workers,
            nothing is begun after an error.

    Raises:
        ValueError, OSError, RuntimeError ...: the first error of a run (:func:`.pieces.run_piece`), once the runs
            that were in progress are done.
        RuntimeError: if a worker died.
    """
    waiting, results, failed = list(runs), {}, None
    futures: dict[Future[dict[str, Any]], Run] = {}
    try:
        while futures or waiting:
            while waiting and (limit is None or len(futures) < limit):
                run = waiting.pop(0)
                futures[executor.submit(run_piece, comparison, *run)] = run
            for future in wait(futures, return_when=FIRST_COMPLETED).done:
                run = futures.pop(future)
                error = None if future.cancelled() else future.exception()
                if error is not None:
                    failed = failed or error
                    waiting.clear()
                    for other in futures:
                        other.cancel()  # does nothing to one that is in progress
                elif not future.cancelled():
                    results[run] = future.result()
                    report(run, results[run])
        if failed is not None:
            raise failed
        return results
    except BrokenExecutor as error:
        raise RuntimeError(
            "a worker process died (out of memory, or killed?); started again, the comparison goes on from what is done"
        ) from error
    finally:
        for future in futures:  # where we were interrupted
            future.cancel()


@contextlib.contextmanager
def worker_pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """An executor of ``jobs`` fresh processes of one thread each, which end with this, or with this process.

    They import the main module again, so a script needs ``if __name__ == "__main__":``.
    """
    context = multiprocessing.get_context("spawn")
    # Nothing is ever sent: workers see the pipe close when we are done with them, are interrupted, or have been killed.
    alive, ours = context.Pipe(duplex=False)
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))  # read by libraries as they are loaded, before any code of ours
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_start, initargs=(alive,))
    try:
        yield pool
    except BaseException:
        ours.close()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        ours.close()
        alive.close()
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _start(alive: Connection) -> None:
    """In a worker, before its first piece."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; we end with the first
    threading.Thread(target=_end_with, args=(alive,), daemon=True).start()


def _end_with(alive: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        alive.recv_bytes()
    os._exit(1)  # files are written whole or not at all, so nothing has to be put away
