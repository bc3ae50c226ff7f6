"""``MeshDataset``: PyG's ``InMemoryDataset`` with a safe, atomic, correctly keyed cache."""

from __future__ import annotations

import functools
import hashlib
import os
import types
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch_geometric.data import InMemoryDataset
from torch_geometric.data.data import BaseData

from .files import locked, save_tensors
from .mesh_data import MeshData, with_equal_cells


def fingerprint(value: Any) -> str:
    """Eight hex digits that change with any parameter of a transform, however deep.

    PyG keys its cache by ``repr``, which for most transforms leaves the parameters out.
    """
    return hashlib.sha256(_describe(value).encode()).hexdigest()[:8]


def _describe(value: Any) -> str:
    if isinstance(value, functools.partial):
        return f"partial({_describe([value.func, value.args, value.keywords])})"
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(value) if value.dtype.kind in "biuf" else value.tolist()
    if isinstance(value, types.MethodType):
        return f"{value.__func__.__qualname__} of {_describe(value.__self__)}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_describe, value)) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{k}:{_describe(v)}" for k, v in sorted(value.items())) + "}"
    if isinstance(value, torch.Tensor):
        return f"tensor{tuple(value.shape)}{value.flatten().tolist()}"
    if isinstance(value, types.FunctionType):
        inner = [value.__defaults__, value.__kwdefaults__, [cell.cell_contents for cell in value.__closure__ or ()]]
        return f"{value.__qualname__}{value.__code__.co_code.hex()}{value.__code__.co_consts}{_describe(inner)}"
    if hasattr(value, "__dict__") and not isinstance(value, type):
        return f"{type(value).__qualname__}{_describe(vars(value))}"
    return repr(value)


class MeshDataset(InMemoryDataset):
    """Base of the library's datasets.

    Differs from its parent in what is dear to lose: the cache is read with ``weights_only=True`` (nothing is
    unpickled), written to a temporary name and renamed, guarded by a lock between processes, and its name is
    expected to carry every parameter (``processed_file_names``; see :func:`fingerprint` for transforms).

    Raises:
        OSError: if ``root`` cannot be written and the cache is not there yet.
        ValueError: if the cached file is damaged; the message says how to rebuild it.
    """

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

    @classmethod
    def save(cls, data_list: Sequence[MeshData], path: str) -> None:
        data, slices = cls.collate(with_equal_cells(data_list))
        save_tensors((data.to_dict(), slices), path)

    def load(self, path: str, data_cls: type[BaseData] = MeshData) -> None:
        try:
            data, slices = torch.load(path, weights_only=True)
            self._data, self.slices = data_cls.from_dict(data), slices
        except FileNotFoundError:
            raise
        except Exception as error:  # noqa: BLE001  (torch raises half a dozen kinds on a damaged file)
            raise ValueError(
                f"{path} is damaged or foreign ({type(error).__name__}); pass force_reload=True to rebuild it"
            ) from None
        self._data_list = None
