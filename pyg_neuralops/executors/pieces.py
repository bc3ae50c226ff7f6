"""``run_pieces``: pieces of work side by side on any executor."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from typing import Any, TypeVar

from .errors import KINDS, portable

T = TypeVar("T")


def run_pieces(
    executor: Executor,
    function: Callable[..., T],
    pieces: Mapping[str, tuple[Any, ...]],
    report: Callable[[str, T], object],
) -> dict[str, T]:
    """``function`` of the arguments of every piece.

    Workers do a piece from the current folder of this process, so that relative paths lead to the same files.

    Args:
        function: names the piece in its errors; what it is given and returns can be pickled.
        pieces: arguments by the name of the piece.
        report: called with the name and the result of each as it is done.

    Returns:
        The results by name, in the order in which they came.

    Raises:
        ValueError, OSError, RuntimeError ...: the first error of a piece. Those that wait are given up, those in
            progress are waited for where the executor can tell; a Dask cluster goes on with them by itself.
        RuntimeError: naming the piece, if a worker died, or the executor gave it up.
    """
    here = os.getcwd()
    importable = bool({here, ""} & set(sys.path))
    results: dict[str, T] = {}
    failed: Exception | None = None
    futures: dict[Future[T], str] = {}
    try:
        for name, arguments in pieces.items():
            futures[executor.submit(_do, here, importable, function, *arguments)] = name
        while futures:
            for future in wait(futures, return_when=FIRST_COMPLETED).done:
                if future not in futures:
                    continue  # given up below
                name = futures.pop(future)
                error = _error(name, future)
                if error is None:
                    results[name] = future.result()
                    report(name, results[name])
                else:
                    failed = failed or error
                    futures = {other: name for other, name in futures.items() if not other.cancel()}
        if failed is not None:
            raise failed
        return results
    finally:
        for future in futures:  # where we were interrupted
            future.cancel()


def _error(name: str, future: Future[Any]) -> Exception | None:
    """What went wrong with a piece that is done."""
    again = "started again, this goes on from what is done"
    if future.cancelled():
        return RuntimeError(f"{name}: given up by its executor (are scheduler and workers gone?); {again}")
    error = future.exception()
    if isinstance(error, BrokenExecutor):
        return RuntimeError(f"{name}: a worker process died ({error}); {again}")
    if error is None or isinstance(error, (*KINDS, RuntimeError)):
        return error
    foreign = portable(error, name)  # of the executor
    foreign.__cause__ = error
    return foreign


def _do(folder: str, importable: bool, function: Callable[..., T], *arguments: Any) -> T:
    """In a worker: ``function(*arguments)``, from the folder of who asked, with the modules there if they count."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise OSError(
            f"a worker does not see the folder {folder} ({error.strerror}); it needs the same files"
        ) from None
    if importable and not {folder, ""} & set(sys.path):
        sys.path.append(folder)  # last, so that no file there hides a package
    return function(*arguments)
