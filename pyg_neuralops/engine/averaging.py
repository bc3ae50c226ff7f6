"""``Averaging``: an exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn


class Averaging(Callback):
    """Keeps ``a <- decay a + (1 - decay) w`` of every trained weight, from the first step on.

    Validation and the selected weights are those of the average. Lightning's ``WeightAveraging`` exchanges the
    entries of the checkpoint instead and gives no way to reach the average between two epochs.

    Raises:
        ValueError: unless 0 < decay < 1.
    """

    def __init__(self, decay: float):
        if not 0 < decay < 1:
            raise ValueError(f"ema={decay}; the decay must lie between 0 and 1")
        self.decay = decay
        self.average: list[Tensor] | None = None

    @contextmanager
    def weights(self, model: nn.Module) -> Iterator[None]:
        """Within this, ``model`` holds the average."""
        self._exchange(model)
        try:
            yield
        finally:
            self._exchange(model)

    @torch.no_grad()
    def _exchange(self, model: nn.Module) -> None:
        for mean, weight in zip(self.average or (), model.parameters(), strict=False):
            kept = weight.clone()
            weight.copy_(mean)
            mean.copy_(kept)

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        weights = [weight.detach() for weight in pl_module.parameters()]
        if self.average is None:
            self.average = [weight.clone() for weight in weights]
        else:
            torch._foreach_lerp_(self.average, weights, 1 - self.decay)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._exchange(pl_module)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._exchange(pl_module)

    def state_dict(self) -> dict[str, Any]:
        return {"average": self.average}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.average = state_dict["average"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.average is not None:
            self.average = [mean.to(w.device) for mean, w in zip(self.average, pl_module.parameters(), strict=True)]
