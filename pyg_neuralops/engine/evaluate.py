"""Errors and predictions of a trained model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from .task import SteadyField, Task


def _answers(
    model: nn.Module, loader: Iterable[Data], task: Task, device: torch.device | str | None
) -> Iterator[tuple[Tensor, Data]]:
    first = next(model.parameters(), None)
    home = torch.device("cpu") if first is None else first.device
    place = home if device is None else torch.device(device)
    was_training = model.training
    model.to(place).eval()
    try:
        for data in loader:
            data = data.to(place)
            with torch.inference_mode():
                answer = task.answer(model, data)
            yield answer, data
    finally:
        model.to(home).train(was_training)


def evaluate(
    model: nn.Module,
    loader: Iterable[Data],
    task: Task | None = None,
    device: torch.device | str | None = None,
    weighted: bool = False,
) -> Tensor:
    """The task's metric of every sample, in the loader's order. ``-> [S]``, on the CPU

    Args:
        model: in physical units (:class:`pyg_neuralops.normalize.Normalized`); left as it was.
        loader: batches of samples with targets.
        task: ``SteadyField()`` by default, whose metric is the relative L2 error.
        device: where to compute; where the model is, by default.
        weighted: take the samples' quadrature weights, so that errors are those of integrals.

    Raises:
        ValueError: if there is no sample, or weights are asked for and there are none.
    """
    task = SteadyField() if task is None else task
    errors = []
    for answer, data in _answers(model, loader, task, device):
        if weighted and data.get("weight") is None:
            raise ValueError("weighted=True; the samples have no quadrature weights (data.weight)")
        errors.append(task.metric(answer, data, data.weight if weighted else None).cpu())
    if not errors:
        raise ValueError("there is no sample to evaluate; the loader is empty")
    return torch.cat(errors)


def predict(
    model: nn.Module,
    loader: Iterable[Data],
    task: Task | None = None,
    device: torch.device | str | None = None,
) -> list[Tensor]:
    """The prediction for every sample, in the loader's order: ``[N_s, O]`` each, in physical units, on the CPU.

    Arguments as :func:`evaluate`; targets are not needed.
    """
    found: list[Tensor] = []
    for prediction, data in _answers(model, loader, SteadyField() if task is None else task, device):
        ptr = data.get("ptr")
        sizes = [data.num_nodes] if ptr is None else ptr.diff().tolist()
        found.extend(prediction.cpu().split(sizes))
    return found
