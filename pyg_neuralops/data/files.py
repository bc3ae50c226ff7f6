"""Files that appear whole or not at all, and a lock for two processes on one folder."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary name beside ``path``; rename it to ``path`` on success, remove it otherwise.

    Raises:
        OSError: naming ``path``, if its folder cannot be written, or for an OSError of the body (a full disk).
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}") from None
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private; give the mode that the umask asks for.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)


def save_tensors(value: Any, path: str | os.PathLike[str]) -> None:
    """``torch.save``, whole or not at all.

    Raises:
        OSError: naming ``path``, if it cannot be written.
    """
    with replacing(path) as temporary:
        try:
            torch.save(value, temporary)
        except RuntimeError as error:  # torch's writer on a full disk
            raise OSError(f"writing failed, perhaps for want of space ({str(error).splitlines()[0]})") from None


class RememberingFile(io.FileIO):
    """A file that keeps the first error of writing for later, and takes what is written after it for written.

    HDF5 cannot deal with a failing write: it ends the process when it closes the file. So it is told that all is
    well, and who owns the file raises ``error`` at the next opportunity.
    """

    error: OSError | None = None

    def write(self, content: Any) -> int:
        if self.error is None:
            try:
                return super().write(content)
            except OSError as error:
                self.error = error
        return memoryview(content).nbytes

    def truncate(self, size: int | None = None) -> int:
        if self.error is None:
            try:
                return super().truncate(size)
            except OSError as error:
                self.error = error
        return self.tell() if size is None else size

    def flush(self) -> None:  # unbuffered; HDF5 asks for it by this very name
        pass

    def check(self) -> None:
        if self.error is not None:
            raise self.error


@contextmanager
def locked(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Hold the lock of ``folder`` (made when absent) against other processes.

    Temporary files of :func:`replacing` that a killed process left there are removed: whoever writes in the folder
    holds its lock, so they belong to nobody.

    Raises:
        OSError: naming ``folder``, if it cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire()
    except OSError as error:
        raise OSError(f"cannot write to {folder}: {error.strerror or error}; choose another root") from None
    try:
        for leftover in folder.glob(".*.tmp"):
            leftover.unlink()
        yield
    finally:
        lock.release()
