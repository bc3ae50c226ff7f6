"""Tensors on disk, a lock for two processes on one folder, and a file that survives a full disk."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from ..files import file_sha256, remove_leftovers, replacing, seal, unsealed

__all__ = [
    "RememberingFile",
    "file_sha256",
    "load_tensors",
    "locked",
    "remove_leftovers",
    "replacing",
    "save_tensors",
]


def save_tensors(value: Any, path: str | os.PathLike[str]) -> None:
    """``torch.save``, whole or not at all, with a checksum of all bytes.

    Raises:
        OSError: naming ``path``, if it cannot be written.
    """
    with replacing(path) as temporary:
        try:
            torch.save(value, temporary)
        except RuntimeError as error:  # torch's writer on a full disk
            raise OSError(f"writing failed, perhaps for want of space ({str(error).splitlines()[0]})") from None
        seal(temporary)


def load_tensors(path: str | os.PathLike[str], *, advice: str = "remove it to go on") -> Any:
    """What :func:`save_tensors` wrote, on the CPU. Nothing is unpickled (``weights_only=True``).

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming ``path`` and ending with ``advice``, if a single bit is not as it was written.
    """
    with unsealed(path, advice) as file:
        try:
            return torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # noqa: BLE001  (torch raises half a dozen kinds on a foreign file)
            raise ValueError(f"{path} is foreign ({type(error).__name__}); {advice}") from None


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

    What killed processes left half written is removed (:func:`remove_leftovers`).

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
        remove_leftovers(folder)
        yield
    finally:
        lock.release()
