"""``load_splits``: the samples of a study from a dataset's name or a file, with their provenance."""

from __future__ import annotations

import copy
import hashlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..data import PROTOCOLS, HDF5Meshes, MeshData, split_indices
from ..datasets import DATASETS, PDEDataset
from ..engine import Task, make_task
from .settings import DataChoice

RESERVED = {"transform", "pre_transform", "force_reload", "protocol", "workers", "on_disk"}


@dataclass(frozen=True)
class Splits:
    """Samples in float32.

    Attributes:
        train, val, test: the samples; val is None under protocol "paper".
        info: ``dataset``, ``protocol``, ``task``, ``sizes``, ``nodes`` (least, median, most), ``digest`` of all
            values, ``source``, ``names`` and ``units`` of channels.
        task: what a model is asked of them.
    """

    train: list[MeshData]
    val: list[MeshData] | None
    test: list[MeshData]
    info: dict[str, Any]
    task: Task

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
        for key in ("pos", "x", "y"):
            values = [sample[key] for sample in self.train if sample.get(key) is not None]
            names, units = info["names"].get(key, []), info["units"].get(key, [])
            for channel in range(values[0].shape[1] if values else 0):
                least = min(float(value[:, channel].min()) for value in values)
                most = max(float(value[:, channel].max()) for value in values)
                name = names[channel] if channel < len(names) else f"channel {channel}"
                unit = f" {units[channel]}" if channel < len(units) and units[channel] != "1" else ""
                lines.append(f"  {key:4} {name:24} {least:.4g} to {most:.4g}{unit}")
        return "\n".join(lines)


def load_splits(choice: DataChoice) -> Splits:
    """The samples that ``choice`` names.

    A file is split as its field ``split`` says, or at random by ``split_seed`` (see
    :func:`pyg_neuralops.data.split_indices`).

    Raises:
        ValueError: for an unknown name or argument (says what there is), or samples that cannot be trained on.
        FileNotFoundError: for a file that is not there.
    """
    if choice.protocol not in PROTOCOLS:
        raise ValueError(f"protocol={choice.protocol!r}; choose from {list(PROTOCOLS)}")
    if choice.dataset in DATASETS:
        parts, info = _named(choice)
    elif choice.dataset.endswith((".h5", ".hdf5")) or Path(choice.dataset).is_file():
        parts, info = _file(choice)
    else:
        raise ValueError(
            f"unknown dataset {choice.dataset!r}; choose from {sorted(DATASETS)} or give the path of an .h5 file"
        )
    parts = {name: [ready(sample) for sample in samples] for name, samples in parts.items()}
    samples = [sample for part in parts.values() for sample in part]
    if samples[0].get("y") is None:
        raise ValueError(f"{choice.dataset} has no target fields y; nothing can be learned from it")
    asked = _task(choice)
    nodes = torch.tensor([sample.num_nodes for sample in samples])
    info |= {
        "dataset": choice.dataset,
        "dataset_args": dict(choice.dataset_args),
        "protocol": choice.protocol,
        "task": asked,
        "sizes": {name: len(part) for name, part in parts.items()},
        "nodes": [int(nodes.min()), int(nodes.median()), int(nodes.max())],
        "digest": _digest(parts),
    }
    return Splits(parts["train"], parts.get("val"), parts["test"], info, make_task(**asked))


def _task(choice: DataChoice) -> dict[str, Any]:
    """Name and arguments of what is asked: as chosen, else the dataset's own, else a steady field."""
    if choice.task is not None:
        return {"name": choice.task, **(choice.task_args or {})}
    own = DATASETS[choice.dataset].task if choice.dataset in DATASETS else {"name": "steady"}
    return {**own, **(choice.task_args or {})}


def _named(choice: DataChoice) -> tuple[dict[str, list[MeshData]], dict[str, Any]]:
    cls = DATASETS[choice.dataset]
    known = {
        name
        for base in cls.__mro__
        if issubclass(base, PDEDataset)
        for name, parameter in inspect.signature(base.__init__).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name not in RESERVED
    }
    unknown = sorted(set(choice.dataset_args) - set(known))
    if unknown:
        raise ValueError(f"dataset {choice.dataset!r} has no argument {unknown}; choose from {sorted(known)}")
    names = ("train", "test") if choice.protocol == "paper" else ("train", "val", "test")
    options = {**choice.dataset_args, "protocol": choice.protocol, "workers": choice.workers}
    sets = {name: cls(root=choice.root, split=name, **options) for name in names}  # type: ignore[arg-type, call-arg]
    sources = {part.source for part in sets.values()}
    if len(sources) > 1:
        raise ValueError(f"the splits of {choice.dataset} come from {sorted(sources)} files; choose a source")
    about = sets["train"].info
    info = {
        "folder": sets["train"].root,
        "source": sets["train"].source,
        "window": cls.window,
        "names": about["names"],
        "units": about["units"],
    }
    return {name: list(part) for name, part in sets.items()}, info


def _file(choice: DataChoice) -> tuple[dict[str, list[MeshData]], dict[str, Any]]:
    if choice.dataset_args:
        raise ValueError(f"a file takes no arguments; {sorted(choice.dataset_args)} are for named datasets")
    samples = HDF5Meshes(choice.dataset, root=choice.root)
    about = samples.info
    info = {
        "folder": str(Path(choice.dataset).parent),
        "source": Path(choice.dataset).name,
        "names": about["names"],
        "units": about["units"],
    }
    if samples[0].get("split") is None:
        indices = split_indices(len(samples), choice.split_seed, choice.protocol)
        info["split_seed"] = choice.split_seed
        return {name: [samples[i] for i in part] for name, part in indices.items()}, info
    parts: dict[str, list[MeshData]] = {"train": [], "val": [], "test": []}
    for sample in samples:
        parts[sample.split].append(sample)
    if choice.protocol == "paper":
        parts["train"] += parts.pop("val")
    empty = [name for name, part in parts.items() if not part]
    if empty:
        raise ValueError(f"the field 'split' of {choice.dataset} leaves {empty} without samples")
    return parts, info


def ready(sample: MeshData) -> MeshData:
    """In float32, without what only describes the file."""
    sample = copy.copy(sample)
    for name in ("split", "source"):
        if name in sample:
            del sample[name]
    if sample.pos.dtype == torch.float64:
        extent = (sample.pos.amax(0) - sample.pos.amin(0)).max()
        spacing = extent / max(1.0, sample.num_nodes ** (1 / sample.pos.shape[1]))
        if sample.pos.abs().max() * torch.finfo(torch.float32).eps > 1e-2 * spacing:
            raise ValueError(
                f"positions up to {float(sample.pos.abs().max()):.3g} with a spacing of about {float(spacing):.3g} "
                "do not survive float32; subtract an offset from them first"
            )
    return sample.apply(lambda value: value.float() if value.is_floating_point() else value)


def _digest(parts: Mapping[str, Sequence[MeshData]]) -> str:
    """Twelve hex digits that change with any value of a sample that a model or a metric reads, and with the split."""
    found = hashlib.sha256()
    for part, samples in parts.items():
        found.update(f"{part} {len(samples)}".encode())
        for sample in samples:
            for name in sorted(sample.keys()):
                value = sample[name]
                if isinstance(value, torch.Tensor):
                    found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
                    found.update(value.contiguous().numpy().tobytes())
                else:
                    found.update(f"{name} {value}".encode())
    return found.hexdigest()[:12]
