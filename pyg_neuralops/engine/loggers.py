"""Loggers: where a run's rows go beside its own files."""

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..resolve import resolve


class Logger(Protocol):
    """What a run needs of one; all of Lightning's have it."""

    def log_hyperparams(self, params: Any) -> Any:
        """The recipe, once."""

    def log_metrics(self, metrics: Any, step: int) -> Any:
        """A row of the history; ``step`` is the epoch."""

    def finalize(self, status: str) -> Any:
        """ "success" or "failed"."""


def _csv(root_dir: str) -> Logger:
    from lightning_fabric.loggers import CSVLogger

    return CSVLogger(root_dir, name="csv", flush_logs_every_n_steps=1)


def _tensorboard(root_dir: str) -> Logger:
    from lightning_fabric.loggers import TensorBoardLogger

    try:
        return TensorBoardLogger(root_dir, name="tensorboard", version="")
    except ModuleNotFoundError:
        raise ImportError("logger 'tensorboard' needs the package tensorboard: pip install tensorboard") from None


LOGGERS: dict[str, Callable[..., Logger]] = {"csv": _csv, "tensorboard": _tensorboard}


def make_logger(name: str, out: str | os.PathLike[str]) -> Logger:
    """The logger called ``name``, which writes below the folder of a run.

    Args:
        name: "csv", "tensorboard", or package.module:Class, such as ``lightning.pytorch.loggers:WandbLogger``; of its
            arguments ``root_dir`` or ``save_dir`` is given.

    Raises:
        ValueError: for an unknown name.
        ImportError: if its package is not there.
    """
    make = resolve(name, LOGGERS, "logger")
    taken = inspect.signature(make).parameters
    where = next((key for key in ("root_dir", "save_dir") if key in taken), None)
    return make(**({} if where is None else {where: str(Path(out))}))


@contextlib.contextmanager
def telling(loggers: Sequence[Logger], settings: dict[str, Any]) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Within this, what is called with a row of the history passes it to all loggers, which are then finished."""

    def tell(row: dict[str, Any]) -> None:
        values = {key: float(value) for key, value in row.items() if value is not None and key != "epoch"}
        for logger in loggers:
            logger.log_metrics(values, step=row["epoch"])

    for logger in loggers:
        with contextlib.suppress(NotImplementedError):  # Fabric's own CSVLogger has no place for them
            logger.log_hyperparams(settings)
    status = "failed"
    try:
        yield tell
        status = "success"
    finally:
        for logger in loggers:
            logger.finalize(status)
