"""``pyg-neuralops table``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Table:
    """One table of finished runs: of comparisons, or of single runs on the same samples."""

    runs: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Folders of compare or train, or their files results.json and result.json."""
    format: str = "markdown"
    """markdown, csv, latex (for the package booktabs) or html."""
    metrics: tuple[str, ...] = ()
    """The first decides: relative_l2, relative_max, mean_absolute, r2, per-channel ..."""
    out: str | None = None
    """The file to write; printed by default."""

    def run(self) -> None:
        from ..data import replacing
        from ..study.gather import gather
        from ..study.table import table

        text = table(gather(self.runs), self.format, self.metrics)
        if self.out is None:
            print(text, end="")
            return
        with replacing(Path(self.out)) as temporary:
            temporary.write_text(text)
