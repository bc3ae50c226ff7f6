"""``Bar``: one progress bar for a whole run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from tqdm import tqdm


class Bar(Callback):
    """Fills with the spent budget; tells epoch, loss and validation error. Silent where there is no terminal."""

    def __init__(self, label: str, spent: Callable[[], float], history: Callable[[], list[dict[str, Any]]]):
        self.label, self.spent, self.history = label, spent, history
        self.bar: tqdm | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.bar = tqdm(
            total=1.0,
            initial=self.spent(),
            disable=None,
            leave=False,
            dynamic_ncols=True,
            bar_format="{desc} {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}]",
        )
        self.bar.set_description_str(self.label)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert self.bar is not None
        if self.bar.disable:
            return
        text = f"{self.label}epoch {trainer.current_epoch + 1}"
        if self.history():
            last = self.history()[-1]
            text += f", loss {last['loss']:.4f}"
            text += "" if last["val"] is None else f", val {last['val']:.4f}"
        self.bar.set_description_str(text, refresh=False)
        self.bar.update(self.spent() - self.bar.n)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self.bar is not None:
            self.bar.close()
