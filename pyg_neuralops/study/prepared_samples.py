"""``PreparedSamples``: stored samples with the patches and edges of a model, made once and kept on disk."""

from __future__ import annotations

import copy
import logging
import shutil
from pathlib import Path
from typing import Any, overload

import torch
from torch import Tensor
from torch_geometric.data import Data

from ..data import CELLS, MeshData, StoredSamples, load_tensors, save_tensors
from ..data.digest import content_digest
from ..data.fingerprint import ONCE, fingerprint
from ..models import External, NeuralOperator
from ..transforms import GraphEdges, KNNPatches, LaplacianModes, MeshEdges
from .on_disk import FileSamples

log = logging.getLogger(__name__)
PLAIN = (Tensor, str, bool, int, float)
GEOMETRY = ("pos", *CELLS, "edge_index", "edge_attr")
"""All that the library's transforms read of a sample, unless patches have a metric or edges read fields."""
SMALL = 2**31


class PreparedSamples(StoredSamples):
    """Samples through ``model.prepare``, when they are asked for.

    What that adds is kept in a file of tensors below ``<file>.kept``, by the model's transforms (with their code) and
    by the values that they read: samples on one mesh share it, and a changed sample or setting has another. A file
    that is damaged is made again; a disk that is full is said once, and does without. What was prepared from an older
    content of a file is removed.

    Args:
        samples: those to prepare.
        model: whose ``prepare`` makes the same of the same sample each time.
    """

    def __init__(self, samples: FileSamples, model: NeuralOperator):
        self.samples, self.model = samples, model
        self.key, self.is_full = _key(model), False
        self.reads = GEOMETRY if _reads_geometry(model) else None
        for file in samples.files:
            for old in file.kept.parent.glob("*"):
                if old != file.kept:
                    log.info("%s was prepared from an older %s and is removed", old, file.path)
                    shutil.rmtree(old, ignore_errors=True)

    def __len__(self) -> int:
        return len(self.samples)

    @overload
    def __getitem__(self, index: int) -> MeshData: ...
    @overload
    def __getitem__(self, index: slice) -> PreparedSamples: ...
    def __getitem__(self, index: int | slice) -> MeshData | PreparedSamples:
        if isinstance(index, slice):
            part = copy.copy(self)
            part.samples = self.samples[index]
            return part
        sample = self.samples[index]
        if _adds_nothing(self.model):
            return sample
        path = self._path(index, sample)
        made = None if path is None else _load(path)
        if made is not None:
            return sample.update(made)
        prepared: Any = self.model.prepare(copy.copy(sample))
        made = _difference(sample, prepared)
        if path is not None and made:
            self._save(made, path)
        return prepared

    def content_digest(self) -> str:
        """That of the samples: what is made of them is the model's, which a run compares by itself."""
        return self.samples.content_digest()

    def node_counts(self) -> list[int]:
        return self.samples.node_counts()

    def _path(self, index: int, sample: MeshData) -> Path | None:
        if self.key.startswith(ONCE):
            return None
        values = {name: value for name, value in sample.to_dict().items() if self.reads is None or name in self.reads}
        name = content_digest(values)
        return self.samples.places[index][0].kept / self.key / name[:2] / f"{name}.pt"

    def _save(self, made: dict[str, Any], path: Path) -> None:
        if self.is_full:
            return
        small = [name for name, value in made.items() if _is_small(value)]
        kept = {name: value.int() if name in small else _alone(value) for name, value in made.items()}
        try:
            save_tensors({"made": kept, "small": small}, path)
        except OSError as error:
            self.is_full = True
            log.warning("%s; what is prepared from now on is made anew in every epoch", error)


def _has_transforms_only(model: NeuralOperator) -> bool:
    return type(model).prepare is NeuralOperator.prepare


def _adds_nothing(model: NeuralOperator) -> bool:
    return _has_transforms_only(model) and not model.transforms


def _key(model: NeuralOperator) -> str:
    if _has_transforms_only(model):
        return fingerprint(list(model.transforms))
    maker = type(model.module if isinstance(model, External) else model)
    return fingerprint([maker, model.config, list(model.transforms)])


def _reads_geometry(model: NeuralOperator) -> bool:
    """Whether what is prepared depends on :data:`GEOMETRY` alone."""
    return _has_transforms_only(model) and all(
        type(made) in (MeshEdges, LaplacianModes)
        or (type(made) is GraphEdges and not made.fields)
        or (type(made) is KNNPatches and made.metric is None)
        for made in model.transforms
    )


def _difference(sample: Data, prepared: Data) -> dict[str, Any] | None:
    """What ``prepared`` has beside the sample, or in place of it; None for what no file of tensors can hold."""
    made = {name: value for name, value in prepared.to_dict().items() if value is not sample.get(name)}
    is_kept = set(sample.to_dict()) <= set(prepared.to_dict()) and all(isinstance(v, PLAIN) for v in made.values())
    return made if is_kept else None


def _load(path: Path) -> dict[str, Any] | None:
    try:
        found = load_tensors(path, advice="it is made again")
        return {name: value.long() if name in found["small"] else value for name, value in found["made"].items()}
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        log.warning("%s", error)
        return None


def _is_small(value: Any) -> bool:
    """Whether these are numbers of nodes that half the bytes can hold."""
    if not isinstance(value, Tensor) or value.dtype != torch.int64 or not value.numel():
        return False
    return int(value.min()) >= -SMALL and int(value.max()) < SMALL


def _alone(value: Any) -> Any:
    """Without the rest of a memory that a tensor is a part of, which would be written too."""
    is_part = isinstance(value, Tensor) and value.untyped_storage().nbytes() > value.nbytes
    return value.clone() if is_part else value
