"""``load_splits``: the samples of a study from a dataset's name or a file, with their provenance."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

import torch
from torch_geometric.data import Data

from ..checkpoint import load_info
from ..data import MeshData, StoredSamples, checked, field_of, node_counts
from ..engine import Task, make_task
from ..typed import closest, typed
from .geometry_inputs import GeometryInputs
from .on_disk import ready
from .settings import DataChoice
from .sources import find_samples, own_task

WHOLE = ("train", "val", "test", "all")


@dataclass(frozen=True)
class Splits:
    """Samples in float32.

    Attributes:
        train, val, test: the samples, lists or :class:`pyg_neuralops.data.StoredSamples`; val is None under protocol
            "paper".
        info: ``dataset``, ``protocol``, ``task``, ``sizes``, ``nodes`` (least, median, most), ``digest`` of all
            values, ``source``, ``names`` and ``units`` of channels.
        task: what a model is asked of them.
        loading: how they are loaded, arguments of :func:`pyg_neuralops.data.mesh_loader`.
    """

    train: Sequence[MeshData]
    val: Sequence[MeshData] | None
    test: Sequence[MeshData]
    info: dict[str, Any]
    task: Task
    loading: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> dict[str, int]:
        """What a model must know: ``in_channels``, ``out_channels``, ``pos_dim``."""
        first = self.task.items(self.train[:1])[0]
        assert isinstance(first, MeshData)
        return {
            "in_channels": first.in_channels,
            "out_channels": first.y.shape[1],
            "pos_dim": first.pos.shape[1],
        }

    def describe(self) -> str:
        """Sizes, place, and the range of every channel, in a few lines."""
        info = self.info
        low, middle, high = info["nodes"]
        sizes = ", ".join(f"{count} {name}" for name, count in info["sizes"].items())
        cells = ", ".join(self.train[0].cells) or "none (point clouds)"
        lines = [f"{info['dataset']}: {sizes}; {low} to {high} points (median {middle}); cells: {cells}"]
        lines += [f"lies in {info['folder']}; source: {info['source']}; digest {info['digest']}"]
        for key, (low_values, high_values) in _spans(self.train).items():
            names, units = info["names"].get(key, []), info["units"].get(key, [])
            for channel, (least, most) in enumerate(zip(low_values, high_values, strict=True)):
                name = names[channel] if channel < len(names) else f"channel {channel}"
                unit = f" {units[channel]}" if channel < len(units) and units[channel] != "1" else ""
                lines.append(f"  {key:8} {name:24} {least:.4g} to {most:.4g}{unit}")
        return "\n".join(lines)


def load_splits(choice: DataChoice, executor: Executor | None = None) -> Splits:
    """The samples that ``choice`` names.

    A dataset that takes ``split=`` is asked for "train", "val" and "test". The samples of a file, and those of another
    dataset of a user's own, are split as their field ``split`` says, or at random by ``split_seed`` (see
    :func:`pyg_neuralops.data.split_indices`). A dataset of this library that is not there yet is generated, on
    ``executor`` if there is one.

    With ``on_disk`` they stay in their HDF5 files (:class:`.on_disk.FileSamples`): every sample is read and checked
    once, what was found is noted beside the file, and the digest is of the file's bytes, not of the values.

    Raises:
        ValueError: for an unknown name or argument (says what there is), or samples that cannot be trained on.
        FileNotFoundError: for a file that is not there.
    """
    parts, info = find_samples(choice, executor=executor)
    empty = [name for name, part in parts.items() if not part]
    if empty:
        raise ValueError(f"{choice.dataset} leaves {empty} without samples")
    asked = task_settings(choice)
    parts = {name: prepared(part, f"{choice.dataset}: {name} sample") for name, part in parts.items()}
    parts, info = _chosen(choice, parts, info)
    first = parts["train"][0]
    if first.get("y") is None:
        raise ValueError(f"{choice.dataset} has no target fields y; nothing can be learned from it")
    nodes = torch.tensor([count for part in parts.values() for count in _sizes(part)])
    info |= {
        "dataset": choice.dataset,
        "dataset_args": dict(choice.dataset_args),
        "protocol": choice.protocol,
        "task": asked,
        "sizes": {name: len(part) for name, part in parts.items()},
        "nodes": [int(nodes.min()), int(nodes.median()), int(nodes.max())],
        "digest": _digest(parts),
    }
    return Splits(parts["train"], parts.get("val"), parts["test"], info, make_task(**asked), choice.loading)


def load_split(
    choice: DataChoice, name: str, executor: Executor | None = None
) -> tuple[Sequence[MeshData], dict[str, Any]]:
    """The samples of one split, or all of them ("all", in the order of the source), and what is known of them.

    Unlike :func:`load_splits` this leaves the others alone: they may be empty, and a file may hold one sample.

    Raises:
        ValueError, FileNotFoundError: as :func:`load_splits`; for a split without samples, saying which have some.
    """
    if name not in WHOLE:
        raise ValueError(f"split={name!r}; choose from {list(WHOLE)}{closest(name, WHOLE)}")
    parts, info = find_samples(choice, name == "all", executor, name)
    if not parts.get(name):
        there = [name for name, part in parts.items() if part]
        raise ValueError(f"split={name!r} of {choice.dataset} has no samples; choose from {[*there, 'all']}")
    samples = prepared(parts[name], f"{choice.dataset}: {name} sample")
    found, info = _chosen(choice, {name: samples}, info)
    samples = found[name]
    info |= {"dataset": choice.dataset, "dataset_args": dict(choice.dataset_args), "protocol": choice.protocol}
    return samples, {**info, "digest": _digest({name: samples})}


def task_settings(choice: DataChoice) -> dict[str, Any]:
    """Name and arguments of what is asked: as chosen, else the dataset's own, else a steady field."""
    if choice.task is not None:
        return {"name": choice.task, **(choice.task_args or {})}
    return {**own_task(choice.dataset), **(choice.task_args or {})}


def trained_on(checkpoint: str | os.PathLike[str]) -> dict[str, Any]:
    """What a checkpoint says of its data: ``task``, ``names`` and ``units`` of channels of y, and ``inputs``.

    Its ``info`` is the user's to fill: names and units of another form say nothing.

    Raises:
        FileNotFoundError, ValueError: as :func:`pyg_neuralops.checkpoint.load_info`; for a task that is no table, or
            inputs that this version does not know.
    """
    about = load_info(checkpoint).get("data")
    about = about if isinstance(about, Mapping) else {}
    task, labels = about.get("task", {}), {}
    if not isinstance(task, Mapping):
        raise ValueError(f"{checkpoint} names the task {task!r}; a name with its arguments is needed")
    for key in ("names", "units"):
        table = about.get(key)
        found = table.get("y") if isinstance(table, Mapping) else None
        known = isinstance(found, list) and all(isinstance(name, str) for name in found)
        labels[key] = {"y": found} if found and known else {}
    chosen = {key: typed(about.get(key, []), tuple[str, ...], f"{checkpoint}: {key}") for key in ("inputs", "without")}
    return {"task": task, **labels, "inputs": GeometryInputs(**chosen)}


def as_trained(choice: DataChoice, checkpoint: str | os.PathLike[str]) -> DataChoice:
    """The choice with the ``inputs`` and ``without`` of a checkpoint, where it names none itself.

    Raises:
        FileNotFoundError, ValueError: as :func:`trained_on`.
    """
    if choice.inputs or choice.without:
        return choice
    chosen = trained_on(checkpoint)["inputs"]
    return dataclasses.replace(choice, inputs=tuple(chosen.inputs), without=tuple(chosen.without))


def prepared(samples: Sequence[Data], what: str) -> Sequence[MeshData]:
    """Each sample :func:`ready`, alike to the first in fields and channels; stored ones are that already.

    Raises:
        ValueError: "meshes.h5: train sample 3: y holds nan at row 7, column 0".
    """
    if isinstance(samples, StoredSamples):
        return samples
    return [ready(sample) for sample in checked(samples, what, torch.float32)]


def _chosen(
    choice: DataChoice, parts: Mapping[str, Sequence[MeshData]], info: dict[str, Any]
) -> tuple[dict[str, Sequence[MeshData]], dict[str, Any]]:
    """The samples with the inputs that are chosen, and what is known of them then."""
    chosen = GeometryInputs(choice.inputs, choice.without)
    if not chosen:
        return dict(parts), info
    task = task_settings(choice)
    if task["name"] == "next-frame" or (choice.without and task.get("residual")):
        raise ValueError(f"inputs and without change x, whose columns the task {task} counts; choose another")
    names, units = info.get("names", {}), info.get("units", {})
    own = list(names.get("x", ()))
    found: dict[str, Sequence[MeshData]] = {}
    for name, part in parts.items():
        try:
            found[name] = [chosen.of(sample, own) for sample in part]
        except ValueError as error:
            raise ValueError(f"{choice.dataset}, {name}: {error}") from None
    labels = chosen.labels(names, units, next(iter(parts.values()))[0])
    return found, {**info, **labels, "inputs": list(choice.inputs), "without": list(choice.without)}


def _sizes(samples: Sequence[MeshData]) -> list[int]:
    known = node_counts(samples)
    return [sample.num_nodes for sample in samples] if known is None else known


def _spans(samples: Sequence[MeshData]) -> dict[str, tuple[list[float], list[float]]]:
    """Least and greatest value of every channel of node and global fields, by field, in one pass."""
    found: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for sample in samples:
        for key, value in sample.to_dict().items():
            if field_of(key, value, sample.num_nodes).kind in ("node", "global"):
                rows = value.flatten(1) if value.dim() > 1 else value[:, None]
                low, high = rows.amin(0), rows.amax(0)
                before = found.get(key, (low, high))
                found[key] = torch.minimum(before[0], low), torch.maximum(before[1], high)
    return {key: (low.tolist(), high.tolist()) for key, (low, high) in found.items()}


def _digest(parts: Mapping[str, Sequence[MeshData]]) -> str:
    """Twelve hex digits that change with any value of a sample that a model or a metric reads, and with the split.

    Of samples that stay on disk it is of their files' bytes, and of the split.
    """
    found = hashlib.sha256()
    for part, samples in parts.items():
        found.update(f"{part} {len(samples)}".encode())
        if isinstance(samples, StoredSamples):
            found.update(f"stored {samples.content_digest()}".encode())
            continue
        for sample in samples:
            for name in sorted(sample.keys()):
                value = sample[name]
                if isinstance(value, torch.Tensor):
                    found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
                    found.update(value.contiguous().numpy().tobytes())
                else:
                    found.update(f"{name} {value}".encode())
    return found.hexdigest()[:12]
