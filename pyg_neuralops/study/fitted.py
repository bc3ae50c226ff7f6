"""``fitted``: a model with its normalisers; those of samples on disk are fitted once and kept beside them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import nn

from ..data import MeshData, load_tensors, save_tensors
from ..data.digest import content_digest
from ..data.fingerprint import ONCE, fingerprint
from ..engine import Task
from ..models import External
from ..normalize import Normalized, Normalizer, normalized
from ..quantiles import Quantiles
from .on_disk import FileSamples
from .prepared_samples import PreparedSamples

log = logging.getLogger(__name__)


def fitted(model: nn.Module, samples: Sequence[MeshData], task: Task, modes: Mapping[str, str]) -> Normalized:
    """:func:`pyg_neuralops.normalize.normalized` of the task's items.

    Args:
        model: of this library, or any other.
        samples: the training samples as ``model`` needs them.
        task: what is asked; predicts the change of its ``residual`` where it has one.
        modes: of ``x``, ``y`` and ``pos``.
    """
    residual = getattr(task, "residual", None)
    model = External.around(model)
    # None on disk is prepared for statistics of fields that preparing does not touch.
    if isinstance(samples, PreparedSamples) and not model.reads_edges:
        samples = samples.samples
    items, path = task.items(samples), _path(samples, task, modes)
    known = None if path is None else _load(path)
    if known is not None:
        if isinstance(model, External):
            model.expect(items[0])
        return Normalized(model, **known, residual=residual)
    found = normalized(model, items, **modes, residual=residual)
    if path is not None:
        parts = {name: part for name, part in found.named_children() if isinstance(part, Normalizer)}
        save_tensors({name: list(part.buffers()) for name, part in parts.items()}, path)
    return found


def _path(samples: Sequence[MeshData], task: Task, modes: Mapping[str, str]) -> Path | None:
    """The file for what these are fitted to; None for samples in memory, and a task that cannot be compared."""
    stored = samples.samples if isinstance(samples, PreparedSamples) else samples
    made = samples.key if isinstance(samples, PreparedSamples) else ""
    asked = fingerprint(task)
    if not isinstance(stored, FileSamples) or ONCE in (asked[: len(ONCE)], made[: len(ONCE)]):
        return None
    key = content_digest([stored.content_digest(), made, asked, modes])
    return stored.places[0][0].kept / "normalisers" / f"{key}.pt"


def _load(path: Path) -> dict[str, Normalizer] | None:
    try:
        found = load_tensors(path, advice="it is made again")
        return {
            name: Quantiles(more[0]) if more else Normalizer(mean, std) for name, (mean, std, *more) in found.items()
        }
    except FileNotFoundError:
        return None
    except ValueError as error:
        log.warning("%s", error)
        return None
