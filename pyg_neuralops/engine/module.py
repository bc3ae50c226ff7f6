"""``Training``: one model, one task, an optimiser and the one-cycle schedule, as Lightning wants it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch_geometric.data import Data

from .optimizers import set_rate
from .schedule import OneCycle
from .task import Task, selecting


class Training(LightningModule):
    """Args:
    model: predicts in physical units.
    task: what is predicted and how it is scored.
    schedule: learning rate by progress.
    progress: epoch, batch within it -> spent part of the budget, in [0, 1].
    make: the model -> its optimiser.
    """

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        schedule: OneCycle,
        progress: Callable[[int, int], float],
        make: Callable[[nn.Module], torch.optim.Optimizer],
    ):
        super().__init__()
        self.model, self.task, self.schedule = model, task, schedule
        self.progress, self.make = progress, make
        self.lr = schedule(0.0)[0]
        self.losses: list[Tensor] = []
        self.rates: list[float] = []
        self.sizes: list[int] = []
        self.errors: list[Tensor] = []

    def configure_optimizers(self) -> torch.optim.Optimizer:
        optimizer = self.make(self.model)
        set_rate(optimizer, *self.schedule(0.0))
        return optimizer

    def on_train_epoch_start(self) -> None:
        self.losses, self.rates, self.sizes, self.errors = [], [], [], []

    def on_train_batch_start(self, batch: Data, batch_idx: int) -> None:
        self.lr, beta1 = self.schedule(self.progress(self.current_epoch, batch_idx))
        set_rate(cast(torch.optim.Optimizer, self.optimizers(use_pl_optimizer=False)), self.lr, beta1)

    def training_step(self, batch: Data, batch_idx: int) -> Tensor:
        loss = self.task.loss(self.task.predict(self.model, batch), batch)
        self.losses.append(loss.detach())
        self.rates.append(self.lr)
        self.sizes.append(batch.num_graphs)
        return loss

    def on_validation_epoch_start(self) -> None:
        self.errors = []

    def validation_step(self, batch: Data, batch_idx: int) -> None:
        self.errors.append(selecting(self.task, self.task.answer(self.model, batch), batch))

    def epoch_summary(self) -> dict[str, Any]:
        """Means of the epoch that has just ended: ``loss`` over training samples, ``val`` over validation samples
        (None without), ``lr`` of the last batch, and the mean gate of every fusion that has one, ``gate0`` ...

        Raises:
            FloatingPointError: naming epoch and learning rate, if a loss or the validation error is not finite.
        """
        losses = torch.stack(self.losses).double().cpu()
        for batch, value in enumerate(losses.tolist()):
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"the loss became {value} in epoch {self.current_epoch + 1}, batch {batch + 1}, "
                    f"at lr {self.rates[batch]:.3g}; try a lower lr or stronger clipping"
                )
        errors = torch.cat(self.errors).double() if self.errors else None
        if errors is not None and errors.isnan().all():
            raise ValueError(
                f"none of the {len(errors)} validation samples has an error: the metric that selects is not defined "
                "(NaN) for any of them, as a relative error is not where y is zero everywhere"
            )
        val = None if errors is None else errors.nanmean().item()
        if val is not None and not math.isfinite(val):
            raise FloatingPointError(
                f"the validation error became {val} after epoch {self.current_epoch + 1}, at lr {self.lr:.3g}; "
                "try a lower lr"
            )
        sizes = torch.tensor(self.sizes, dtype=torch.double)
        gates = [value for name, value in self.model.named_buffers() if name.endswith(".mean_gate")]
        means = {f"gate{index}": value for index, value in enumerate(torch.stack(gates).tolist() if gates else [])}
        return {"loss": (losses @ sizes / sizes.sum()).item(), "val": val, "lr": self.lr, **means}
