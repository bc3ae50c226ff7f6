"""Errors and predictions of a trained model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch_geometric.data import Data

from .batches import Batches
from .ranks import Ranks
from .task import SteadyField, Task, scores


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


@dataclass(frozen=True)
class Scores:
    """Metrics of every sample by name, ``[S]`` each, in the task's order; NaN where a sample has none.

    Its mean is :func:`pyg_neuralops.metrics.defined_mean`'s: over the samples that have one.
    """

    by_name: dict[str, Tensor]

    @property
    def first(self) -> Tensor:
        """The metric that selects."""
        return next(iter(self.by_name.values()))

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.by_name:
            raise ValueError(f"there is no metric {name!r}; choose from {list(self.by_name)}")
        return self.by_name[name]


def collect(task: Task, answers: Iterable[tuple[Tensor, Data]], metrics: Sequence[str] = ()) -> Scores:
    """The task's metrics, and those of ``metrics``, of answers with the samples (or batches) they belong to.

    Raises:
        ValueError: if there is no sample, or not the same metrics for all.
    """
    found = (scores(task, answer, data, metrics) for answer, data in answers)
    return joined(Scores({name: values.cpu() for name, values in here.items()}) for here in found)


def joined(parts: Iterable[Scores]) -> Scores:
    """The scores of several sets of samples, one after the other.

    Raises:
        ValueError: if there is none, or not the same metrics for all.
    """
    found: dict[str, list[Tensor]] = {}
    for number, part in enumerate(parts):
        if number and part.by_name.keys() != found.keys():
            odd = sorted(part.by_name.keys() ^ found.keys())
            raise ValueError(f"some samples have {odd} and others do not; all must be scored alike")
        for name, values in part.by_name.items():
            found.setdefault(name, []).append(values)
    if not found:
        raise ValueError("there is no sample to evaluate; the loader is empty")
    return Scores({name: torch.cat(values) for name, values in found.items()})


def evaluate(
    model: nn.Module,
    loader: Iterable[Data],
    task: Task | None = None,
    device: torch.device | str | None = None,
    metrics: Sequence[str] = (),
    ranks: Ranks | None = None,
) -> Scores:
    """The task's metrics of every sample, in the loader's order, on the CPU.

    Args:
        model: in physical units (:class:`pyg_neuralops.normalize.Normalized`); left as it was.
        loader: batches of samples with targets.
        task: ``SteadyField()`` by default, whose first metric is the relative L2 error.
        device: where to compute; where the model is, by default.
        metrics: further ones, of :data:`pyg_neuralops.metrics.METRICS` or by import path.
        ranks: those that share the batches of a ``DataLoader``; all get all scores.

    Raises:
        ValueError: if there is no sample, or for a metric that cannot be computed.
    """
    task = SteadyField() if task is None else task
    if ranks is None or ranks.size == 1:
        return collect(task, _answers(model, loader, task, device), metrics)
    if not isinstance(loader, DataLoader):
        raise ValueError(f"loader is a {type(loader).__name__}; ranks can share out a DataLoader only")
    _, shared = Batches(loader, ranks).shared_out()
    numbers: list[int] = []

    def batches() -> Iterator[Data]:
        for number, data in shared:
            numbers.append(number)
            yield data

    def mine() -> list[Scores]:
        return [collect(task, [pair], metrics) for pair in _answers(model, batches(), task, device)]

    found = ranks.together(mine)
    parts = dict(pair for rank in ranks.gather(list(zip(numbers, found, strict=True))) for pair in rank)
    return joined(parts[number] for number in sorted(parts))


def predict(
    model: nn.Module,
    loader: Iterable[Data],
    task: Task | None = None,
    device: torch.device | str | None = None,
) -> list[Tensor]:
    """The prediction for every sample, in the loader's order: ``[N_s, O]`` each (``[1, O]`` where the task predicts
    numbers of whole samples), in physical units, on the CPU.

    Arguments as :func:`evaluate`; targets are not needed.
    """
    found: list[Tensor] = []
    for prediction, data in _answers(model, loader, SteadyField() if task is None else task, device):
        ptr = data.get("ptr")
        sizes = [data.num_nodes] if ptr is None else ptr.diff().tolist()
        sizes = [1] * len(sizes) if len(prediction) == len(sizes) else sizes
        found.extend(prediction.cpu().split(sizes))
    return found
