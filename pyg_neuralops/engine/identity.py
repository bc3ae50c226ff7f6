"""``Identity``: what a run is a run of; a folder's run is gone on with only if nothing of it has changed."""

from __future__ import annotations

import json
import sys
from typing import Any

from torch.utils.data import DataLoader

from ..checkpoint import describe
from ..data import MeshBatchSampler, checked, content_digest_of
from ..data.digest import content_digest
from ..data.fingerprint import ONCE, fingerprint
from ..data.loader import Door
from ..normalize import Normalized
from ..resolve import resolve
from ..transforms import KNNPatches
from .optimizers import OPTIMIZERS
from .task import Task

WAYS = "choose another folder, or pass resume=False to train anew and overwrite it"
LONGER = (
    "the learning rate ends with its budget: to train on, start another run in another folder from its weights "
    "(checkpoint.start_from)"
)
HINTS = {
    "epochs": LONGER,
    "steps": LONGER,
    "seconds": LONGER,
    "initial weights": "build the model anew, with the seed that it was built with, to have this run again",
}

LIBRARIES = ("pyg_neuralops", "torch", "torch_geometric")
"""Whose classes count by their settings: a new version of them does not make another run."""

Identity = dict[str, dict[str, Any]]


def identity(
    model: Normalized, task: Task, train: DataLoader, val: DataLoader | None, settings: dict[str, Any]
) -> Identity:
    """All that decides what a run comes to: ``settings`` by value, ``content`` as digests.

    A user's own code counts as far as it is read by the task, the model and its modules, the optimizer, or the patches'
    metric.
    Every sample is checked and looked at once, in order; what transforms draw at random is for the caller to seed.
    Samples that tell their digest themselves (:func:`pyg_neuralops.data.content_digest_of`) are not read.

    Raises:
        ValueError: naming the first sample and field that is wrong.
    """
    texts = describe(model)[1]
    known = dict(settings) | {"model": texts["model"]}
    known |= {"residual": texts["residual"]} if "residual" in texts else {}
    known |= {f"model's {name}": json.dumps(value) for name, value in json.loads(texts["config"]).items()}
    state = model.state_dict()
    inner = {name: value for name, value in state.items() if name.startswith("model.")}
    content: dict[str, Any] = {"initial weights": content_digest(inner)}
    content["normalisers"] = content_digest({name: value for name, value in state.items() if name not in inner})
    if settings["optimizer"] not in OPTIMIZERS:
        content["code of the optimizer"] = fingerprint(resolve(settings["optimizer"], OPTIMIZERS, "optimizer"))
    content["task"] = fingerprint(task) if _own_classes(task) else content_digest(task)
    metrics = [made.metric for made in model.model.transforms if isinstance(made, KNNPatches)]
    for cls in _own_classes(*model.modules(), *metrics):
        content[f"code of {cls.__module__}:{cls.__qualname__}"] = fingerprint(cls)
    for name, loader in (("training", train), ("validation", val)):
        if loader is not None:
            known |= {f"{name} {key}": value for key, value in _order(loader).items()}
            content[f"{name} samples"] = _samples(loader.dataset, f"{name} sample")
    return {"settings": known, "content": content}


def _own_classes(*made: Any) -> list[type]:
    """The user's among the classes of objects and their bases, each once."""
    classes = dict.fromkeys(cls for one in made for cls in type(one).__mro__)
    foreign = {*LIBRARIES, *sys.stdlib_module_names}
    return [cls for cls in classes if cls.__module__.partition(".")[0] not in foreign]


def check_comparable(this: Identity) -> None:
    """Raise unless a later call can find out whether it is this run that it goes on with.

    Raises:
        ValueError: naming what cannot be described.
    """
    for name, digest in this["content"].items():
        if digest.startswith(ONCE):
            raise ValueError(
                f"{name}: holds what cannot be compared with an earlier run's, such as a lock, a generator or an open "
                "file (the log names it); keep it elsewhere, or pass resume=False, and the run cannot be gone on with"
            )


def _samples(dataset: Any, what: str) -> str:
    dataset = dataset.samples if isinstance(dataset, Door) else dataset
    known = content_digest_of(dataset)
    if known is not None:
        return known
    samples = checked((dataset[index] for index in range(len(dataset))), what)
    return content_digest([content_digest(sample.to_dict()) for sample in samples])


def _order(loader: DataLoader) -> dict[str, Any]:
    batches: Any = loader.batch_sampler
    if isinstance(batches, MeshBatchSampler):
        order = batches.sampler
        limits = {"batch_size": batches.batch_size, "max_nodes": batches.max_nodes}
        return {**limits, "shuffle": order.shuffle, "order's seed": order.seed}
    return {"batch_size": loader.batch_size, "drop_last": loader.drop_last, "sampler": type(loader.sampler).__name__}


def check_same(first: Identity, this: Identity) -> None:
    """Raise unless this rank has the run that rank 0 has.

    Raises:
        ValueError: saying what differs.
    """
    # What cannot be compared with an earlier run cannot be with another process's either.
    known = [
        {**run, "content": {k: v for k, v in run["content"].items() if not v.startswith(ONCE)}} for run in (first, this)
    ]
    changes = differences(*known)
    if changes:
        raise ValueError(f"this process has another run than rank 0: {changes}")


def differences(there: Identity, here: Identity) -> str:
    """What differs, in words: "batch_size=4, not 8; other training samples (hint)"; empty where nothing does."""
    found = []
    for kind in ("settings", "content"):
        one, two = there[kind], here[kind]
        for name in [*two, *(name for name in one if name not in two)]:
            if one.get(name) != two.get(name):
                what = f"{name}={one.get(name)}, not {two.get(name)}" if kind == "settings" else f"other {name}"
                found.append(f"{what} ({HINTS[name]})" if name in HINTS else what)
    return "; ".join(found)
