"""``predict_file``: a trained model's answers for the samples of a file."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor

from ..checkpoint import load_model
from ..data import HDF5Samples, MeshData, hdf5_info, mesh_loader, write_hdf5
from ..engine import Scores, collect, joined, predict, task_of
from ..engine.items import Items
from ..engine.machine import compute_device
from ..plotting import plot_predictions, save_figure
from .data import trained_on
from .on_disk import ready
from .run import check_channels
from .scores import summaries
from .table import show

PICTURES = (".png", ".pdf", ".svg")


def predict_file(
    checkpoint: str,
    source: str,
    target: str,
    *,
    picture: str | None = None,
    sample: int = 0,
    batch_size: int = 8,
    accelerator: str = "auto",
    overwrite: bool = False,
    trust_import: bool = False,
) -> dict[str, Any] | None:
    """Write ``target``: the samples of ``source`` as they are, with the prediction as ``y``; a batch at a time.

    The file says so in its attributes (``y_is = "prediction"``, ``checkpoint``).

    Args:
        checkpoint: a model's file. source, target: HDF5 files. overwrite: whether ``target`` may exist.
        picture: a file to draw sample number ``sample`` to.

    Returns:
        Errors by the task's metrics (:func:`.scores.summaries`) where ``source`` has targets, else None.

    Raises:
        ValueError, FileNotFoundError: for files that do not fit; nothing is written then. The picture is written
            before the predictions.
    """
    device = compute_device(accelerator)
    _check_names(checkpoint, source, target, picture, overwrite)
    model = load_model(checkpoint, trust_import=trust_import)
    trained = trained_on(checkpoint)
    task = task_of(trained, trust_import=trust_import)
    samples, about = HDF5Samples(source), hdf5_info(source)
    if not 0 <= sample < len(samples):
        raise ValueError(f"sample={sample}; {source} has samples 0 to {len(samples) - 1}")
    channels = list(about["names"].get("x", ()))
    inputs = Items(samples, 1, lambda item, _: trained["inputs"].of(ready(item), channels))
    check_channels(model, task, inputs[0])
    names = trained["names"].get("y") or about["names"].get("y", ())
    scores: list[Scores] = []
    shown: list[Tensor] = []

    def answers() -> Iterator[MeshData]:
        fields = (field for batch in mesh_loader(inputs, batch_size) for field in predict(model, [batch], task, device))
        for number, (item, field) in enumerate(zip(samples, fields, strict=True)):
            there = ready(copy.copy(item))
            if there.get("y") is not None and there.y.shape[1] == field.shape[1]:
                scores.append(collect(task, [(field, there)]))
            if number == sample:
                shown.append(field)
            item.y = field.to(item.pos.dtype)
            yield item
        # Before the file is complete: a picture that fails must not leave one that the same command then refuses.
        if picture is not None:
            _draw(picture, inputs[sample], shown[0], errors(), sample)

    def errors() -> dict[str, Any] | None:
        return summaries(joined(scores), names, inputs) if scores else None

    labels = {key: {**about[key]} for key in ("names", "units")}
    for key, found in labels.items():
        found.pop("y", None)
        found.update(trained[key])
    attributes = {"y_is": "prediction", "checkpoint": Path(checkpoint).name}
    write_hdf5(target, answers(), names=labels["names"], units=labels["units"], attrs=attributes)
    return errors()


def _draw(picture: str, item: MeshData, field: Tensor, errors: dict[str, Any] | None, sample: int) -> None:
    title = "prediction"
    if errors is None:
        item.y = None  # nothing that the prediction could be compared with
    elif errors["test"]["per_sample"][sample] is not None:
        title += f"\n{show(errors['test']['metric'], errors['test']['per_sample'][sample])}"
    save_figure(plot_predictions(item, {title: field}), picture)


def _check_names(checkpoint: str, source: str, target: str, picture: str | None, overwrite: bool) -> None:
    """Raise if a file to write is one that is read, or cannot be what its name says."""
    if Path(target).exists() and not overwrite:
        raise ValueError(f"{target} exists; choose another name, or overwrite it with --overwrite")
    written = [target] if picture is None else [target, picture]
    for index, name in enumerate(written):
        if Path(name).is_dir():
            raise ValueError(f"{name} is a folder; choose another name for the output")
        for role, other in (("input", source), ("checkpoint", checkpoint), *(("output", at) for at in written[:index])):
            if Path(name).resolve() == Path(other).resolve():
                raise ValueError(f"{name} is the {role}; choose another name for what is written")
    if picture is not None and Path(picture).suffix.lower() not in PICTURES:
        raise ValueError(f"picture={picture!r}; its name must end in one of {list(PICTURES)}")
