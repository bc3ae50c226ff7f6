"""``Record``: what a run keeps on disk: its history, its best weights, and the state to go on from."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import nn

from ..checkpoint import load_info, save_model
from ..data import replacing, save_tensors
from .averaging import Averaging
from .batches import EpochBatches
from .clock import Clock
from .module import Training

COLUMNS = ("epoch", "seconds", "batches", "lr", "loss", "val")


class Record(Callback):
    """Writes after every epoch, each file whole or not at all:

    - ``last.ckpt``: weights, optimiser, history, clock; from it a killed run goes on. Plain tensors and numbers.
    - ``best.safetensors``: the model of the best validation error (of the last epoch, when nothing is validated).
    - ``history.csv``: one row an epoch; rewritten from the history, so rows are never lost or doubled.

    New best weights wait under another name until ``last.ckpt`` knows of them: a kill between the two leaves
    either both or neither (:func:`settle`).
    """

    def __init__(
        self,
        out: Path,
        settings: dict[str, Any],
        info: dict[str, Any],
        batches: EpochBatches,
        clock: Clock,
        averaging: Averaging | None,
    ):
        self.out, self.settings, self.info = out, settings, info
        self.batches, self.clock, self.averaging = batches, clock, averaging
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Any] | None = None
        self.finished = False

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Training)
        row = {
            "epoch": trainer.current_epoch + 1,
            "seconds": self.clock.seconds,
            "batches": self.batches.num_batches if not trainer.should_stop else len(pl_module.losses),
            **pl_module.epoch_summary(),
        }
        self.history.append({name: row.pop(name) for name in COLUMNS} | row)
        row = self.history[-1]
        if self.best is None or row["val"] is None or row["val"] < self.best["val"]:
            self.best = self.history[-1]
            average = nullcontext() if self.averaging is None else self.averaging.weights(pl_module)
            with average:
                info = {**self.info, "epoch": row["epoch"], "val": row["val"]}
                save_model(self.out / "best.next.safetensors", pl_module.model, info)
        patience = self.settings["patience"]
        if patience is not None and row["epoch"] - self.best["epoch"] >= patience:
            trainer.should_stop = True
        self.finished = trainer.should_stop or row["epoch"] == self.settings["epochs"]
        trainer.save_checkpoint(self.out / "last.ckpt")
        self.settle()

    def clear(self) -> None:
        """Remove what an earlier run left in the folder."""
        for name in ("last.ckpt", "best.safetensors", "best.next.safetensors", "history.csv"):
            (self.out / name).unlink(missing_ok=True)

    def settle(self) -> None:
        """Bring the folder in line with the history: keep new best weights that it knows of, drop others."""
        for left in self.out.glob(".*.tmp"):
            left.unlink(missing_ok=True)
        waiting = self.out / "best.next.safetensors"
        if waiting.exists():
            if self.best is not None and load_info(waiting)["epoch"] == self.best["epoch"]:
                os.replace(waiting, self.out / "best.safetensors")
            else:
                waiting.unlink()
        text = io.StringIO()
        columns = self.history[0] if self.history else COLUMNS
        table = csv.DictWriter(text, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(self.history)
        with replacing(self.out / "history.csv") as temporary:
            temporary.write_text(text.getvalue())

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history, "best": self.best, "finished": self.finished, "settings": self.settings}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history, self.best = list(state_dict["history"]), state_dict["best"]
        self.finished = state_dict["finished"]


@contextmanager
def sole_user(out: Path) -> Iterator[None]:
    """Hold the run's folder against other processes; a killed process lets go of it.

    Raises:
        ValueError: if another process trains there.
    """
    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(f"{out} is in use by another process") from None
    try:
        yield
    finally:
        lock.release()


class WholeFiles(TorchCheckpointIO):
    """Checkpoints that appear whole or not at all, on one file system."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        save_tensors(checkpoint, path)


def read_record(path: Path, settings: dict[str, Any], module: nn.Module) -> dict[str, Any]:
    """The record in a checkpoint, if the checkpoint belongs to this run."""
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        state, weights = checkpoint["callbacks"]["Record"], checkpoint["state_dict"]
    except Exception as error:  # noqa: BLE001  (torch raises half a dozen kinds on a damaged file)
        raise ValueError(
            f"{path} is damaged or foreign ({type(error).__name__}); remove it, or pass resume=False"
        ) from None
    there = {**state["settings"], "weights": {name: list(value.shape) for name, value in weights.items()}}
    here = {**settings, "weights": {name: list(value.shape) for name, value in module.state_dict().items()}}
    for name, value in here.items():
        if there.get(name) != value:
            what = "another model" if name == "weights" else f"{name}={there.get(name)}, not {value}"
            raise ValueError(f"{path.parent} holds a run with {what}; choose another folder, or pass resume=False")
    return state
