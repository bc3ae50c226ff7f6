"""``Clock``: seconds of pure training, kept across interruptions."""

from __future__ import annotations

import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer


class Clock(Callback):
    """Counts training (data loading included), not validation, checkpoints or time lost to a kill.

    At ``limit`` seconds it ends the run, in the middle of an epoch if need be; the weights reached are validated.
    """

    def __init__(self, limit: float | None = None):
        self.limit = limit
        self.spent = 0.0
        self.since: float | None = None

    @property
    def seconds(self) -> float:
        return self.spent + (0.0 if self.since is None else time.perf_counter() - self.since)

    def _start(self) -> None:
        self.since = time.perf_counter()

    def _pause(self) -> None:
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()  # kernels still in flight belong to the training
        self.spent, self.since = self.seconds, None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._start()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._pause()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._start()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._pause()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.limit is not None and self.seconds >= self.limit:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        return {"spent": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.spent = state_dict["spent"]
