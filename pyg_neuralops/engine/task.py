"""``Task``: what a model is asked to predict and how the answer is scored."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from ..metrics import METRICS, per_channel, relative_l2
from ..residual import Residual
from ..resolve import resolve

PER_CHANNEL = ("relative_l2", "mean_absolute")
CHANNEL = re.compile(rf"({'|'.join(PER_CHANNEL)}|r2)/(\d+)")  # what the library calls those of one channel


@runtime_checkable
class Task(Protocol):
    """The engine knows of a problem only what these five say.

    A sample is what the dataset holds, such as a whole trajectory; an item is what one training step looks at, such
    as one step of it.
    """

    def items(self, samples: Sequence[Data]) -> Sequence[Data]:
        """What to train on, made from samples, with as little copied as can be."""

    def predict(self, model: nn.Module, item: Data) -> Tensor:
        """The prediction for a batch of items, in the form of their ``y`` and in physical units."""

    def loss(self, prediction: Tensor, item: Data) -> Tensor:
        """What to minimise: a value of every item, ``[B]``, NaN where an item has none; or their mean, a scalar.

        Values of every item let a batch be cut into any parts, among devices too, without another step being taken.
        Put NaN in by ``torch.where`` on values that have gradients: one that comes from 0 / 0 has none.
        """

    def answer(self, model: nn.Module, sample: Data) -> Tensor:
        """The prediction for a batch of samples, in the form of their ``y``."""

    def metrics(self, answer: Tensor, sample: Data) -> dict[str, Tensor]:
        """Errors of every sample by name, ``[B]`` each; NaN where the sample's target has none.

        Where the answer is not finite the error is infinite, whatever stands here (:func:`scores`). Of the first,
        less is better; its mean over the validation set selects the weights.
        """


def targets(answer: Tensor, data: Data) -> tuple[Tensor, Tensor, Tensor | None, int]:
    """``y`` and whose its rows are: what a metric takes after the answer. Does not wait for the device.

    Returns:
        ``y``, ``batch``, ``weight`` (None without, and for numbers of whole samples), B.

    Raises:
        ValueError: if ``y`` is missing, or not in the form of the answer.
    """
    y, count = data.get("y"), data.num_graphs if isinstance(data, Batch) else 1
    if y is None:
        raise ValueError("the samples have no target fields y to score against")
    if y.shape != answer.shape:
        found = f"the answer has shape {list(answer.shape)}, y {list(y.shape)}"
        whole = "; a y of one row a sample is what the task 'graph-value' predicts" if len(y) == count else ""
        raise ValueError(f"{found}{whole}")
    if len(y) == count != data.num_nodes:
        return y, torch.arange(count, device=y.device), None, count
    batch = data.get("batch")
    batch = torch.zeros(len(y), dtype=torch.long, device=y.device) if batch is None else batch
    return y, batch, data.get("weight"), count


def score(prediction: Tensor, data: Data) -> Tensor:
    """Relative L2 errors against ``data.y``, one a sample, ``[B]``, as sums over nodes; for losses."""
    y, batch, _, count = targets(prediction, data)
    return relative_l2(prediction, y, batch, None, count)


def all_metrics(answer: Tensor, sample: Data, names: Iterable[str], channels: int = 1) -> dict[str, Tensor]:
    """Those of :data:`METRICS` that are named, ``[B]`` each, and of ``channels`` > 1 each one's own, "name/0" ...

    The integral form is left out where there are no quadrature weights.
    """
    y, batch, weight, count = targets(answer, sample)
    names = [name for name in names if name != "relative_l2_integral" or weight is not None]
    found = {name: METRICS[name](answer, y, batch, weight, count) for name in names}
    for name in names:
        if name in PER_CHANNEL and channels > 1:
            columns = per_channel(METRICS[name], answer, y, batch, weight, count, channels)  # [B, O]
            found |= {f"{name}/{channel}": columns[:, channel] for channel in range(channels)}
    return found


def scores(task: Task, answer: Tensor, sample: Data, more: Iterable[str] = ()) -> dict[str, Tensor]:
    """The task's metrics, then those of ``more`` (import paths of metrics) that are not among them. ``[B]`` each

    Where a sample's answer is not finite they are infinite; those of one channel see to that themselves, for theirs.

    Raises:
        ValueError: for an unknown metric, or one that does not give a number a sample.
    """
    found = task.metrics(answer, sample)
    count = sample.num_graphs if isinstance(sample, Batch) else 1
    for name in more:
        if name not in found:
            found[name] = resolve(name, METRICS, "metric")(answer, *targets(answer, sample))
    for name, values in found.items():
        if not isinstance(values, Tensor) or values.shape != (count,):
            shape = list(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise ValueError(f"metric {name!r} gave {shape} for {count} samples; it must give a tensor [B]")
    return {name: v if CHANNEL.fullmatch(name) else _infinite(v, answer, sample) for name, v in found.items()}


def losses(task: Task, prediction: Tensor, item: Data) -> Tensor:
    """The task's loss of every item of a batch, ``[B]``; infinite, not NaN, where the prediction is not finite.

    Raises:
        ValueError: if it is neither a scalar nor a value of every item.
    """
    found, count = task.loss(prediction, item), item.num_graphs if isinstance(item, Batch) else 1
    if not isinstance(found, Tensor) or found.shape not in ((), (count,)):
        shape = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ValueError(f"the loss of {task!r} is {shape} for {count} items; it must be a tensor [B] or a scalar")
    if found.dim():
        return _infinite(found, prediction, item)
    return torch.where(found.isnan(), torch.inf, found).expand(count)  # of a mean NaN cannot mean that there is none


def selecting(task: Task, answer: Tensor, sample: Data) -> Tensor:
    """The first of the task's metrics, whose mean selects the weights. ``[B]``"""
    return next(iter(scores(task, answer, sample).values()))


def _infinite(values: Tensor, answer: Tensor, sample: Data) -> Tensor:
    """``values [B]``, but infinite where a sample's answer is not finite. Does not wait for the device.

    NaN means that there is no error to have; of an answer that is NaN it would leave the failed samples out of means.
    """
    count = len(values)
    wrong = ~answer.isfinite()
    if answer.dim() and len(answer) in (count, sample.num_nodes):
        wrong = wrong.reshape(len(answer), -1).any(1)
        if len(wrong) != count:  # rows are nodes
            batch = sample.get("batch")
            batch = torch.zeros(len(wrong), dtype=torch.long, device=wrong.device) if batch is None else batch
            wrong = batch.new_zeros(count).index_add(0, batch, wrong.long()) > 0
    else:  # rows of no known sample
        wrong = wrong.any().expand(count)
    wrong = wrong.to(values.device)
    return torch.where(wrong & ~values.isinf(), torch.inf, values)  # of R² it is minus infinity


class SteadyField:
    """One field ``y [N, O]`` from one forward pass, trained and scored by the relative L2 error of each sample.

    The error is that of decoded fields, summed over nodes (the Transolver family's recipe). A sample whose target is
    zero everywhere has no relative error, and no part in the loss. A task may have a ``residual``, the field that its
    predictions are a change of: what a study then wraps the model with (:func:`pyg_neuralops.normalize.normalized`).
    """

    residual: Residual | None = None

    def items(self, samples: Sequence[Data]) -> Sequence[Data]:
        return samples

    def predict(self, model: nn.Module, item: Data) -> Tensor:
        return model(item)

    def loss(self, prediction: Tensor, item: Data) -> Tensor:
        return score(prediction, item)

    def answer(self, model: nn.Module, sample: Data) -> Tensor:
        return self.predict(model, sample)

    def metrics(self, answer: Tensor, sample: Data) -> dict[str, Tensor]:
        return all_metrics(answer, sample, METRICS, self.channels_of(answer))

    def channels_of(self, answer: Tensor) -> int:
        """Channels of a field, of which the answer has one time after another."""
        return answer.shape[1]

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"
