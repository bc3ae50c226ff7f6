"""``Record``: what a run keeps on disk: its history, its best weights, and the state to go on from."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import nn

from ..checkpoint import save_model
from ..data import load_tensors, remove_leftovers, replacing, save_tensors
from ..data.weights_file import load_texts, load_weights
from .averaging import Averaging
from .batches import EpochBatches
from .clock import Clock
from .identity import WAYS, Identity, differences
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
        identity: Identity,
        settings: dict[str, Any],
        info: dict[str, Any],
        batches: EpochBatches,
        clock: Clock,
        averaging: Averaging | None,
    ):
        self.out, self.identity, self.settings, self.info = out, identity, settings, info
        self.batches, self.clock, self.averaging = batches, clock, averaging
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Any] | None = None
        self.best_digest = ""
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
                waiting = save_model(self.out / "best.next.safetensors", pl_module.model, info)
            self.best_digest = load_texts(waiting)["tensors"]
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
        remove_leftovers(self.out)
        waiting = self.out / "best.next.safetensors"
        if waiting.exists():
            if load_texts(waiting)["tensors"] == self.best_digest:
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
        kept = {"history": self.history, "best": self.best, "best_digest": self.best_digest}
        return {**kept, "finished": self.finished, "identity": self.identity}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history, self.best = list(state_dict["history"]), state_dict["best"]
        self.best_digest, self.finished = state_dict["best_digest"], state_dict["finished"]

    def load_best(self, model: nn.Module) -> None:
        """Give ``model`` the weights that were selected.

        Raises:
            ValueError, FileNotFoundError: naming the file, if it is damaged, not this run's, or not there.
        """
        path = self.out / "best.safetensors"
        tensors, texts = load_weights(path)
        if texts["tensors"] != self.best_digest:
            raise ValueError(f"{path} holds other weights than this run selected; {WAYS}")
        model.load_state_dict({**tensors, **json.loads(texts["state"])})


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

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        return load_tensors(path)


def read_record(path: Path, identity: Identity) -> dict[str, Any]:
    """The record in a checkpoint, if the checkpoint belongs to this run.

    Raises:
        ValueError: if the file is damaged or foreign, or of another run, naming what differs and what to do.
    """
    checkpoint = load_tensors(path, advice="remove it, or pass resume=False to train anew")
    try:
        state = checkpoint["callbacks"]["Record"]
        changes = differences(state["identity"], identity)
    except (KeyError, TypeError, IndexError):
        raise ValueError(f"{path} is foreign or of an older version; {WAYS}") from None
    if changes:
        raise ValueError(f"{path.parent} holds a run with {changes}; {WAYS}")
    return state


def check_vacant(out: Path) -> None:
    """Raise if ``out`` holds what a run left, without the state to go on from.

    Raises:
        ValueError: naming the file. What was waiting to be kept when the process was killed is no such file.
    """
    for name in ("best.safetensors", "history.csv"):
        if (out / name).exists():
            raise ValueError(f"{out} holds {name} of a run, but no last.ckpt to go on from; {WAYS}")
