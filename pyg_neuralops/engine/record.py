"""``Record``: what a run keeps on disk: its history, its best weights, and the state to go on from."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..checkpoint import save_model
from ..data import load_tensors, remove_leftovers, replacing, save_tensors
from ..data.weights_file import load_texts, load_weights
from ..normalize import Normalized
from .identity import WAYS, Identity, differences

COLUMNS = ("epoch", "seconds", "batches", "lr", "loss", "val")


class Record:
    """Written after every epoch, each file whole or not at all:

    - ``last.ckpt``: weights, optimiser, history, clock; from it a killed run goes on. Plain tensors and numbers.
    - ``best.safetensors``: the model of the best validation error (of the last epoch, when nothing is validated).
    - ``history.csv``: one row an epoch; rewritten from the history, so rows are never lost or doubled.

    New best weights wait under another name until ``last.ckpt`` knows of them: a kill between the two leaves
    either both or neither (:meth:`settle`).
    """

    def __init__(self, out: Path, identity: Identity, info: dict[str, Any]):
        self.out, self.identity, self.info = out, identity, info
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Any] | None = None
        self.best_digest = ""
        self.finished = False

    @property
    def best_epoch(self) -> int:
        """Of the selected weights; 0 before there are any."""
        return 0 if self.best is None else self.best["epoch"]

    def add(self, row: dict[str, Any], model: Normalized) -> None:
        """The row of a new epoch, and its weights if they are the best."""
        self.history.append({name: row[name] for name in COLUMNS} | row)
        if self.best is None or row["val"] is None or row["val"] < self.best["val"]:
            self.best = self.history[-1]
            info = {**self.info, "epoch": row["epoch"], "val": row["val"]}
            waiting = save_model(self.out / "best.next.safetensors", model, info)
            self.best_digest = load_texts(waiting)["tensors"]

    def keep(self, state: dict[str, Any]) -> None:
        """What the next epoch goes on from."""
        save_tensors({"record": self.state_dict(), **state}, self.out / "last.ckpt")
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

    def best_state(self) -> dict[str, Any]:
        """State of the model that was selected.

        Raises:
            ValueError, FileNotFoundError: naming the file, if it is damaged, not this run's, or not there.
        """
        path = self.out / "best.safetensors"
        tensors, texts = load_weights(path)
        if texts["tensors"] != self.best_digest:
            raise ValueError(f"{path} holds other weights than this run selected; {WAYS}")
        return {**tensors, **json.loads(texts["state"])}


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


def read_last(path: Path, identity: Identity) -> dict[str, Any]:
    """What :meth:`Record.keep` wrote, if it belongs to this run.

    Raises:
        ValueError: if the file is damaged or foreign, or of another run, naming what differs and what to do.
    """
    checkpoint = load_tensors(path, advice="remove it, or pass resume=False to train anew")
    try:
        changes = differences(checkpoint["record"]["identity"], identity)
    except (KeyError, TypeError, IndexError):
        raise ValueError(f"{path} is foreign or of an older version; {WAYS}") from None
    if changes:
        raise ValueError(f"{path.parent} holds a run with {changes}; {WAYS}")
    return checkpoint


def check_vacant(out: Path) -> None:
    """Raise if ``out`` holds what a run left, without the state to go on from.

    Raises:
        ValueError: naming the file. What was waiting to be kept when the process was killed is no such file.
    """
    for name in ("best.safetensors", "history.csv"):
        if (out / name).exists():
            raise ValueError(f"{out} holds {name} of a run, but no last.ckpt to go on from; {WAYS}")
