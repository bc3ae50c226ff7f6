"""``Task``: what a model is asked to predict and how the answer is scored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from ..metrics import relative_l2


class Task(Protocol):
    """The engine knows of a problem only what these five say.

    A sample is what the dataset holds, such as a whole trajectory; an item is what one training step looks at, such
    as one step of it.
    """

    def items(self, samples: Sequence[Data]) -> Sequence[Data]:
        """What to train on, made from samples, with as little copied as can be."""

    def predict(self, model: nn.Module, item: Data) -> Tensor:
        """The prediction for a batch of items, ``[N, O]`` in physical units."""

    def loss(self, prediction: Tensor, item: Data) -> Tensor:
        """The scalar to minimise."""

    def answer(self, model: nn.Module, sample: Data) -> Tensor:
        """The prediction for a batch of samples, in the form of their ``y``."""

    def metric(self, answer: Tensor, sample: Data, weight: Tensor | None = None) -> Tensor:
        """One error per sample, ``[B]``; its mean over the validation set selects the weights.

        ``weight [N]`` are quadrature weights, for the error as an integral.
        """


def score(prediction: Tensor, data: Data, weight: Tensor | None = None) -> Tensor:
    """Relative L2 errors against ``data.y``, one a sample, ``[B]``; does not wait for the device."""
    count = data.num_graphs if isinstance(data, Batch) else None
    return relative_l2(prediction, data.y, data.get("batch"), weight, count)


class SteadyField:
    """One field ``y [N, O]`` from one forward pass, trained and scored by the relative L2 error of each sample.

    The error is that of decoded fields, summed over nodes (the Transolver family's recipe).
    """

    def items(self, samples: Sequence[Data]) -> Sequence[Data]:
        return samples

    def predict(self, model: nn.Module, item: Data) -> Tensor:
        return model(item)

    def loss(self, prediction: Tensor, item: Data) -> Tensor:
        return score(prediction, item).mean()

    def answer(self, model: nn.Module, sample: Data) -> Tensor:
        return self.predict(model, sample)

    def metric(self, answer: Tensor, sample: Data, weight: Tensor | None = None) -> Tensor:
        return score(answer, sample, weight)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"
