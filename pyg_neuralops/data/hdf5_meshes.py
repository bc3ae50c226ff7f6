"""``HDF5Meshes``: a user's own meshes and fields as a PyG dataset."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .check import SPLITS
from .dataset import MeshDataset
from .hdf5 import hdf5_info, read_hdf5
from .mesh_data import MeshData


class HDF5Meshes(MeshDataset):
    """The samples of one HDF5 file in the schema of :mod:`pyg_neuralops.data.hdf5`.

    Args:
        path: the file.
        root: folder of the cache; ``<path>.cache`` beside the file unless given.
        split: "train", "val" or "test" to take those samples only (the file needs ``split``); all by default.
        transform, pre_transform, force_reload: as in PyG.

    Attributes:
        info: the file's attributes, with ``names`` and ``units`` of the channels by field.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is truncated, foreign, or a sample is wrong (the first one is named).
        OSError: if the cache cannot be written; pass ``root``.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        root: str | os.PathLike[str] | None = None,
        split: str | None = None,
        transform: Callable | None = None,
        pre_transform: Callable | None = None,
        force_reload: bool = False,
    ):
        if split is not None and split not in SPLITS:
            raise ValueError(f"split={split!r}; choose from {list(SPLITS)}")
        self.path = Path(path)
        self.split = split
        if not self.path.is_file():
            raise FileNotFoundError(f"no file {self.path}")
        root = f"{self.path}.cache" if root is None else os.fspath(root)
        super().__init__(root, transform, pre_transform, force_reload=force_reload)
        self.load(self.processed_paths[0])

    @property
    def raw_file_names(self) -> list[str]:
        return []

    @property
    def source_path(self) -> Path:
        return self.path

    @property
    def cache_stem(self) -> str:
        # Files of one stem may share a root.
        where = hashlib.sha256(os.path.relpath(self.path, self.root).encode()).hexdigest()[:8]
        return f"{self.path.stem}-{where}-{self.split or 'all'}"

    def read_source(self) -> list[MeshData]:
        samples, _ = read_hdf5(self.path)
        if self.split is None:
            return samples
        found = {s.get("split") for s in samples}
        samples = [s for s in samples if s.get("split") == self.split]
        if not samples:
            raise ValueError(f"{self.path} has no samples of split={self.split!r}; it has {sorted(map(str, found))}")
        return samples

    @property
    def info(self) -> dict[str, Any]:
        return hdf5_info(self.path)
