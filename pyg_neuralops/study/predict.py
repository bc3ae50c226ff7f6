"""``predict_file``: a trained model's answers for the samples of a file."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import Tensor

from ..checkpoint import load_info, load_model
from ..data import mesh_loader, read_hdf5, write_hdf5
from ..engine import predict, selecting, task_of
from ..plotting import plot_predictions, save_figure
from .data import ready
from .run import check_channels, compute_device


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
) -> Tensor | None:
    """Write ``target``: the samples of ``source`` as they are, with the prediction as ``y``.

    The file says so in its attributes (``y_is = "prediction"``, ``checkpoint``).

    Args:
        checkpoint: a model's file. source, target: HDF5 files. overwrite: whether ``target`` may exist.
        picture: a file to draw sample number ``sample`` to.

    Returns:
        Errors ``[S]``, the first of the task's metrics, where ``source`` has targets, else None.

    Raises:
        ValueError, FileNotFoundError: for files that do not fit; nothing is written then.
    """
    if Path(target).exists() and not overwrite:
        raise ValueError(f"{target} exists; choose another name, or overwrite it with --overwrite")
    if Path(target).resolve() == Path(source).resolve():
        raise ValueError(f"{target} is the input; choose another name for the output")
    model = load_model(checkpoint, trust_import=trust_import)
    samples, about = read_hdf5(source)
    if not 0 <= sample < len(samples):
        raise ValueError(f"sample={sample}; {source} has samples 0 to {len(samples) - 1}")
    inputs = [ready(copy.copy(item)) for item in samples]
    task = task_of(load_info(checkpoint).get("data", {}), trust_import)
    check_channels(model, task, inputs[0])
    fields = predict(model, mesh_loader(inputs, batch_size), task, compute_device(accelerator))
    errors = None
    if inputs[0].get("y") is not None and inputs[0].y.shape[1] == fields[0].shape[1]:
        errors = torch.cat([selecting(task, field, item) for field, item in zip(fields, inputs, strict=True)])

    trained = load_info(checkpoint).get("data", {})
    labels = {key: {**about[key]} for key in ("names", "units")}
    for key, found in labels.items():
        found.pop("y", None)
        if trained.get(key, {}).get("y"):
            found["y"] = trained[key]["y"]
    answers = []
    for item, field in zip(samples, fields, strict=True):
        answer = copy.copy(item)
        answer.y = field.to(item.pos.dtype)
        answers.append(answer)
    attributes = {"y_is": "prediction", "checkpoint": Path(checkpoint).name}
    write_hdf5(target, answers, names=labels["names"], units=labels["units"], attrs=attributes)
    if picture is not None:
        item = inputs[sample]
        title = "prediction" if errors is None else f"prediction\n{100 * float(errors[sample]):.2f}%"
        save_figure(plot_predictions(item, {title: fields[sample]}), picture)
    return errors
