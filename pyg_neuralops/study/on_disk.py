"""``FileSamples``: samples of a study that stay in their files, each checked once and read when it is asked for."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import torch
from torch_geometric.data import Data
from tqdm import tqdm

from .. import __version__
from ..data import HDF5Samples, MeshData, StoredSamples, checked, file_sha256, locked, open_hdf5, with_weights
from ..data.hdf5_layout import header_digest
from ..transforms import Standardize
from .provenance import read_json, write_json

log = logging.getLogger(__name__)


def ready(sample: Data) -> MeshData:
    """Checked, in float32, with quadrature weights from its cells; without what only describes the source."""
    sample = Standardize()(sample)
    for name in ("split", "source"):
        if name in sample:
            del sample[name]
    return sample


class CheckedFile:
    """A mesh file all of whose samples were read once and found valid, and alike in fields and channels.

    What that came to is noted in ``folder``, with the file's size, time of change and header: as long as these are
    the same the file is not read again as a whole.

    Args:
        path: the file.
        folder: of the note and of what is prepared from the samples; made when absent.

    Attributes:
        digest: SHA-256 of the file.
        kept: folder of what is prepared from samples of this content.

    Raises:
        FileNotFoundError, ValueError: as :func:`pyg_neuralops.data.open_hdf5`; for the first sample that is wrong.
        OSError: if ``folder`` cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], folder: str | os.PathLike[str]):
        self.path = Path(path)
        self.samples = HDF5Samples(path)
        # Files of one stem may share a folder.
        where = hashlib.sha256(os.path.relpath(path, folder).encode()).hexdigest()[:8]
        stem = f"{self.path.stem}-{where}"
        self.stamp = self._stamp()
        with open_hdf5(path) as file:
            note = {"pyg_neuralops": __version__, "stamp": list(self.stamp), "header": header_digest(file)}
        with locked(folder):
            self.digest = self._digest(Path(folder, f"{stem}-checked.json"), note)
        self.kept = Path(folder, f"{stem}-prepared", self.digest[:16])

    def read(self, row: int) -> MeshData:
        """Sample ``row``, :func:`ready`.

        Raises:
            ValueError: if the file is not the one that was checked.
        """
        self._check_same()
        return ready(self.samples.unchecked(row))

    def _check_same(self) -> None:
        if self._stamp() != self.stamp:
            raise ValueError(f"{self.path} was changed since it was checked; start again")

    def _stamp(self) -> tuple[int, int]:
        found = os.stat(self.path)
        return found.st_size, found.st_mtime_ns

    def _digest(self, place: Path, note: dict[str, Any]) -> str:
        """As it is noted for this very file, else after a look at every sample."""
        try:
            found = read_json(place)
            if {name: found.get(name) for name in note} == note:
                return str(found["sha256"])
        except FileNotFoundError:
            pass
        except (ValueError, KeyError) as error:
            log.warning("%s", error)
        digest = file_sha256(self.path)
        rows = tqdm(range(len(self.samples)), desc=f"checking {self.path.name}", unit="sample", delay=5, mininterval=1)
        for sample in checked(map(self.samples.unchecked, rows), f"{self.path}: sample", torch.float32):
            with_weights(sample)  # as ready does
        self._check_same()
        write_json(place, {**note, "sha256": digest})
        return digest


class FileSamples(StoredSamples):
    """Samples of checked files.

    Args:
        places: the file of every sample, and its row there.
    """

    def __init__(self, places: Sequence[tuple[CheckedFile, int]]):
        self.places = places

    @classmethod
    def of(cls, file: CheckedFile, rows: Sequence[int]) -> FileSamples:
        return cls([(file, row) for row in rows])

    @classmethod
    def joined(cls, parts: Sequence[FileSamples]) -> FileSamples:
        """One part after the other."""
        return cls([place for part in parts for place in part.places])

    @property
    def files(self) -> list[CheckedFile]:
        """Each file once."""
        return list(dict.fromkeys(file for file, _ in self.places))

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, index: int) -> MeshData: ...
    @overload
    def __getitem__(self, index: slice) -> FileSamples: ...
    def __getitem__(self, index: int | slice) -> MeshData | FileSamples:
        if isinstance(index, slice):
            return FileSamples(self.places[index])
        file, row = self.places[index]
        return file.read(row)

    def content_digest(self) -> str:
        """Of the files' bytes and the samples' rows: other bytes of equal values have another one."""
        found = hashlib.sha256()
        for file, row in self.places:
            found.update(f"{file.digest} {row} ".encode())
        return found.hexdigest()[:32]

    def node_counts(self) -> list[int]:
        counts = {file: file.samples.node_counts() for file in self.files}
        return [counts[file][row] for file, row in self.places]
