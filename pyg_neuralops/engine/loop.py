"""``Loop``: one model in training on Fabric: its steps, epochs and validation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from ..models import model_name
from ..normalize import Normalized
from ..recipe import FitRecipe
from .averaging import Averaging
from .batches import Batches
from .budget import Budget, Clock
from .optimizers import optimizer_of, set_rate
from .ranks import Ranks
from .schedule import OneCycle
from .task import Task, losses, selecting


class Loop:
    """A step is that of the whole batch, however many ranks and parts it is cut into: gradients of sums over samples
    are added up and divided once, by the number of samples that have a loss.

    Args:
        model: moved to the device, and to the arithmetic, of ``ranks.fabric``.
        seed: of all that is drawn, with the number of the epoch.

    Attributes:
        steps, seconds: what has been trained, over all resumptions.
    """

    def __init__(self, model: Normalized, task: Task, recipe: FitRecipe, seed: int, ranks: Ranks):
        recipe = recipe.for_model(model_name(model.model))
        self.fabric = ranks.fabric
        self._renew_scaler()
        self.model = self.fabric.strategy.precision.convert_module(self.fabric.to_device(model))
        self.task, self.recipe, self.seed, self.ranks = task, recipe, seed, ranks
        self.optimizer = optimizer_of(recipe, model)
        self.schedule = OneCycle(recipe.lr or 0.0, recipe.pct_start, recipe.div)
        self.budget = Budget.of(recipe)
        self.stepping: Any = self.fabric.setup_optimizers(self.optimizer)  # with a scaler where there is one
        self.weights = [weight for group in self.optimizer.param_groups for weight in group["params"]]
        self.averaging, self.clock = Averaging(model.parameters(), recipe.ema), Clock()
        self.wide = torch.float if self.fabric.device.type == "mps" else torch.double  # of sums
        self.steps, self.seconds = 0, 0.0

    def _renew_scaler(self) -> None:
        """A Fabric keeps its gradient scaler; a run begins with a new one, also on a rank that has no sample yet."""
        precision: Any = self.fabric.strategy.precision
        if getattr(precision, "scaler", None) is not None:
            precision.scaler = torch.amp.GradScaler(device=self.fabric.device.type)
            precision.scaler.scale(torch.zeros((), device=self.fabric.device))  # makes its state

    def state_dict(self) -> dict[str, Any]:
        """All that the next epoch depends on, beside the data and (seed, epoch)."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.fabric.strategy.precision.state_dict(),
            "average": self.averaging.average,
            "steps": self.steps,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.fabric.strategy.precision.load_state_dict(state["scaler"])
        self.averaging.load(state["average"])
        self.steps, self.seconds = state["steps"], state["seconds"]
        self.clock = Clock(self.seconds)

    def spent(self, epochs: float) -> float:
        """The spent part of the budget."""
        return self.budget.spent(epochs, self.steps, self.seconds)

    def epoch(self, number: int, batches: Batches, told: Callable[[float], object]) -> dict[str, Any]:
        """Train for the epoch with this number, from 0, or until the budget ends.

        Args:
            told: called after every step with the spent part of the budget.

        Returns:
            ``seconds`` of training in all, ``batches`` of this epoch, ``lr`` of the last, ``loss`` over its samples.

        Raises:
            FloatingPointError: naming epoch and learning rate, if a loss is not finite.
        """
        self.model.train()
        found: list[Tensor] = []
        rates: list[float] = []
        with self.clock.running():
            count, steps = batches.epoch(self.seed, number)
            for index, pieces in enumerate(steps):
                lr, beta1 = self.schedule(self.spent(number + index / count))
                set_rate(self.optimizer, lr, beta1)
                found.append(self.step(pieces))
                rates.append(lr)
                told(self.spent(number + (index + 1) / count))
                if self.budget.over(self.steps, self.seconds):
                    break
        self.seconds = self.ranks.first(lambda: self.clock.seconds)
        if self.ranks.size > 1:  # running statistics are of each rank's part; all go on with one model
            trained = dict(self.model.named_parameters())
            self.ranks.copy(value for name, value in self.model.state_dict().items() if name not in trained)
        totals, counts = torch.stack(found).cpu().unbind(1)
        for index, value in enumerate((totals / counts.clamp_min(1)).tolist()):
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"the loss became {value} in epoch {number + 1}, batch {index + 1}, at lr {rates[index]:.3g}; "
                    "try a lower lr or stronger clipping"
                )
        if not counts.sum():
            raise ValueError("none of the training samples has a loss: it is not defined (NaN) for any of them")
        loss = (totals.sum() / counts.sum()).item()
        return {"seconds": self.seconds, "batches": len(found), "lr": rates[-1], "loss": loss}

    def step(self, pieces: Iterator[Data]) -> Tensor:
        """One step of the optimiser. Returns the sum of the batch's losses and their number, ``[2]``."""
        self.optimizer.zero_grad()
        # Sum and number of the losses; seconds of rank 0, so that all have one learning rate and end at one step.
        said = torch.zeros(3, dtype=self.wide, device=self.fabric.device)
        for piece in pieces:
            batch = piece.to(self.fabric.device, non_blocking=True)
            with self.fabric.autocast():
                found = losses(self.task, self.task.predict(self.model, batch), batch)  # [B]
            defined = ~found.isnan()
            total = torch.where(defined, found, 0).sum()
            self.fabric.backward(total)
            said[:2] += torch.stack([total.detach().to(self.wide), defined.sum()])
        if self.ranks.size > 1:
            said[2] = 0.0 if self.ranks.rank else self.clock.seconds
            self._sum_gradients(said)
            self.seconds = said[2].item()
        gradients = [weight.grad for weight in self.weights if weight.grad is not None]
        if gradients:
            torch._foreach_div_(gradients, said[1].clamp_min(1))
        self.fabric.strategy.precision.unscale_gradients(self.optimizer)
        if isinstance(self.recipe.clip, float):
            torch.nn.utils.clip_grad_norm_(self.weights, self.recipe.clip)
        self.stepping.step()
        self.averaging.step()
        self.steps += 1
        if self.ranks.size == 1:
            self.seconds = self.clock.seconds
        return said[:2]

    def _sum_gradients(self, said: Tensor) -> None:
        """Add up ``said`` and the gradients over the ranks; a weight without gradient on all of them keeps none."""
        there = said.new_tensor([weight.grad is not None for weight in self.weights])
        self.ranks.sum([said, there])
        used = [weight for weight, ranks in zip(self.weights, there.tolist(), strict=True) if ranks]
        for weight in used:
            weight.grad = torch.zeros_like(weight) if weight.grad is None else weight.grad
        self.ranks.sum([weight.grad for weight in used if weight.grad is not None])

    def validate(self, batches: Batches) -> Tensor:
        """The error that selects, of every sample in order, ``[S]``, on all ranks."""
        self.model.eval()
        sizes, mine = batches.shared_out()
        errors = [torch.zeros(size, dtype=self.wide, device=self.fabric.device) for size in sizes]

        def score() -> None:
            for number, piece in mine:
                batch = piece.to(self.fabric.device, non_blocking=True)
                with torch.inference_mode(), self.fabric.autocast():
                    errors[number] += selecting(self.task, self.task.answer(self.model, batch), batch)

        self.ranks.together(score)
        self.ranks.sum(errors)
        return torch.cat(errors).cpu().double()

    def gates(self) -> dict[str, float]:
        """The mean gate of every fusion that has one in this rank's last batch, by layer: ``gate0`` ..."""
        found = [value for name, value in self.model.named_buffers() if name.endswith(".mean_gate")]
        return {f"gate{index}": value for index, value in enumerate(torch.stack(found).tolist() if found else [])}


def mean_error(errors: Tensor, epoch: int, lr: float) -> float:
    """Over the samples that have one.

    Raises:
        ValueError: if none has.
        FloatingPointError: naming epoch and learning rate, if it is not finite.
    """
    if errors.isnan().all():
        raise ValueError(
            f"none of the {len(errors)} validation samples has an error: the metric that selects is not defined "
            "(NaN) for any of them, as a relative error is not where y is zero everywhere"
        )
    found = errors.nanmean().item()
    if not math.isfinite(found):
        raise FloatingPointError(
            f"the validation error became {found} after epoch {epoch + 1}, at lr {lr:.3g}; try a lower lr"
        )
    return found
