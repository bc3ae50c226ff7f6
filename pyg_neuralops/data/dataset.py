"""``MeshDataset``: PyG's ``InMemoryDataset`` with a safe, atomic, correctly keyed cache."""

from __future__ import annotations

import functools
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path

from torch_geometric.data import InMemoryDataset
from torch_geometric.data.data import BaseData

from .files import file_sha256, load_tensors, locked, save_tensors
from .fingerprint import ONCE, fingerprint
from .mesh_data import MeshData, with_equal_cells

log = logging.getLogger(__name__)
TRIES = 3


class MeshDataset(InMemoryDataset):
    """Base of the library's datasets: samples of one file, processed once.

    Differs from its parent in what is dear to lose. The cache is read with ``weights_only=True`` (nothing is
    unpickled) after its checksum was verified, written to a temporary name and renamed, and guarded by a lock between
    processes. Its name holds the file's content and the ``pre_transform`` with its code (:func:`fingerprint`); so
    neither a changed file nor a changed transform is answered from an old cache. Caches of what the file held before
    are removed.

    A subclass states :attr:`source_path`, :attr:`cache_stem` and :meth:`read_source`.

    Raises:
        OSError: if ``root`` cannot be written and the cache is not there yet.
        ValueError: if the cached file is damaged; the message says how to rebuild it.
    """

    @property
    def source_path(self) -> Path:
        """The file that the samples are read from."""
        raise NotImplementedError

    @property
    def cache_stem(self) -> str:
        """What the cache's name begins with; one source has no two of one stem with other samples."""
        raise NotImplementedError

    def read_source(self) -> list[MeshData]:
        """The samples of :attr:`source_path`, before ``pre_transform``."""
        raise NotImplementedError

    @functools.cached_property
    def _content(self) -> str:
        return file_sha256(self.source_path)[:16]

    @functools.cached_property  # as it is before the first sample: a transform may change as it works
    def _transform_key(self) -> str:
        return fingerprint(self.pre_transform)

    @property
    def processed_file_names(self) -> list[str]:
        return [f"{self.cache_stem}-{self._content}-{self._transform_key}.pt"]

    def _download(self) -> None:
        if not all(map(os.path.exists, self.raw_paths)):
            with locked(self.raw_dir):
                if not all(map(os.path.exists, self.raw_paths)):
                    self.download()

    def _process(self) -> None:
        if not self.processed_file_names:  # samples come straight from the raw file
            return
        if self.force_reload or not all(map(os.path.exists, self.processed_paths)):
            with locked(self.processed_dir):
                if self.force_reload or not all(map(os.path.exists, self.processed_paths)):
                    self.process()

    def process(self) -> None:
        samples = self._read_steadily()
        if self.pre_transform is not None:
            samples = [self.pre_transform(sample) for sample in samples]
        self.save(samples, self.processed_paths[0])
        self._remove_old()

    def _read_steadily(self) -> list[MeshData]:
        """The samples of the very content that the cache is named after, though another process may replace it."""
        for _ in range(TRIES):
            before = self._content
            samples = self.read_source()
            if file_sha256(self.source_path)[:16] == before:
                return samples
            del self._content  # to be asked for again
        raise ValueError(f"{self.source_path} changes while it is read; try again when it is complete")

    def _remove_old(self) -> None:
        """Remove the caches of what the source held before."""
        ours = re.compile(rf"{re.escape(self.cache_stem)}-([0-9a-f]{{8,16}})(-[0-9a-f]{{16}})?\.pt")
        for path in Path(self.processed_dir).iterdir():
            match = ours.fullmatch(path.name)
            if match and match[1] != self._content:
                log.info("%s is of an older %s and is removed", path, self.source_path)
                path.unlink(missing_ok=True)

    @classmethod
    def save(cls, data_list: Sequence[MeshData], path: str) -> None:
        data, slices = cls.collate(with_equal_cells(data_list))
        save_tensors((data.to_dict(), slices), path)

    def load(self, path: str, data_cls: type[BaseData] = MeshData) -> None:
        data, slices = load_tensors(path, advice="pass force_reload=True to rebuild it")
        self._data, self.slices = data_cls.from_dict(data), slices
        self._data_list = None
        if ONCE in Path(path).name:  # nobody will ask for it again
            Path(path).unlink()
