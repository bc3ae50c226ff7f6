"""Files that appear whole or not at all, and archives that know when they are damaged. Without torch."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

END_OF_ZIP, DIGEST = 22, hashlib.sha256().digest_size
"""Bytes of a zip archive's last record, and of a checksum."""


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary name beside ``path``; rename it to ``path`` on success, remove it otherwise.

    The content is on the disk before it gets its name, and the name before this returns: what it was made from may
    then be removed.

    Raises:
        OSError: naming ``path``, if its folder cannot be written, or for an OSError of the body (a full disk).
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f".{path.name}.{_here()}-{os.getpid()}-{secrets.token_hex(4)}.tmp"
        temporary.open("xb").close()
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}") from None
    try:
        yield temporary
        _to_disk(temporary)
        os.replace(temporary, path)
        _to_disk(path.parent)
    except OSError as error:
        if error.filename is not None and str(error.filename) not in map(str, (temporary, path, path.parent)):
            raise  # of a file that the body reads
        raise OSError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)


def _here() -> str:
    """Stands for the machine whose process numbers ours is one of (a container counts its own)."""
    space = Path("/proc/self/ns/pid")
    name = f"{platform.node()} {os.readlink(space) if space.exists() else ''}"
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def _to_disk(path: Path) -> None:
    if path.is_dir() and os.name == "nt":  # has no handles of folders
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Remove the temporary files of :func:`replacing` whose process was killed; other writers' files stay."""
    if os.name == "nt":  # cannot ask for a process without ending it
        return
    for path in Path(folder).glob(f".*.{_here()}-*.tmp"):
        match = re.search(r"-(\d+)-[0-9a-f]{8}\.tmp$", path.name)
        if match and not _alive(int(match[1])):
            path.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def file_sha256(path: str | os.PathLike[str]) -> str:
    """64 hex digits of a file's content.

    Raises:
        FileNotFoundError: if there is no such file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no file {path}")
    with open(path, "rb") as file:
        return _sha256(file).hex()


def _sha256(file: BinaryIO, size: int | None = None) -> bytes:
    """Of a file's first ``size`` bytes, of all when None."""
    found = hashlib.sha256()
    left = os.fstat(file.fileno()).st_size if size is None else size
    while left > 0 and (block := file.read(min(left, 2**22))):
        found.update(block)
        left -= len(block)
    return found.digest()


def seal(path: str | os.PathLike[str]) -> None:
    """End a zip archive (``torch.save``, ``numpy.savez``) with a checksum of all its bytes.

    It becomes the archive's comment, so that the usual readers still read the file.
    """
    with open(path, "r+b") as file:
        file.seek(-2, os.SEEK_END)  # the length of the comment
        file.write(DIGEST.to_bytes(2, "little"))
        file.seek(0)
        digest = _sha256(file)
        file.write(digest)


@contextmanager
def unsealed(path: str | os.PathLike[str], advice: str) -> Iterator[BinaryIO]:
    """Open a file of :func:`seal` for reading, after a look at every byte.

    Args:
        path: the file.
        advice: what to do about a damaged file; ends the message.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming ``path``, if a single bit is not as it was written.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no file {path}")
    with open(path, "rb") as file:  # one handle: a writer may give the name to another file meanwhile
        size = os.fstat(file.fileno()).st_size - DIGEST
        if size < END_OF_ZIP or _sha256(file, size) != file.read():
            raise ValueError(f"{path} is damaged or foreign (its checksum is not that of its content); {advice}")
        file.seek(0)
        yield file
