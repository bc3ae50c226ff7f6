"""``Task``: what a model is asked to predict and how the answer is scored."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn
from torch_geometric.data import Data

from ..metrics import relative_l2


class Task(Protocol):
    """The engine knows of a problem only what these three say."""

    def predict(self, model: nn.Module, data: Data) -> Tensor:
        """The prediction in physical units, ``[N, O]``."""

    def loss(self, prediction: Tensor, data: Data) -> Tensor:
        """The scalar to minimise."""

    def metric(self, prediction: Tensor, data: Data) -> Tensor:
        """One error per sample, ``[B]``; its mean over the validation set selects the weights."""


class SteadyField:
    """One field ``y [N, O]`` from one forward pass, trained and scored by the relative L2 error of each sample.

    The error is that of decoded fields, summed over nodes (the Transolver family's recipe).
    """

    def predict(self, model: nn.Module, data: Data) -> Tensor:
        return model(data)

    def loss(self, prediction: Tensor, data: Data) -> Tensor:
        return self.metric(prediction, data).mean()

    def metric(self, prediction: Tensor, data: Data) -> Tensor:
        return relative_l2(prediction, data.y, data.get("batch"))

    def __repr__(self) -> str:
        return "SteadyField()"
