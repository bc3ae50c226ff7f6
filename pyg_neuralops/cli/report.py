"""``pyg-neuralops report``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Report:
    """One page of finished studies, comparisons and runs: tables that sort, curves, fields, windows, commands.

    The page is a single file that needs no network; its twin in Markdown is written beside it.
    """

    folders: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Folders of study, compare or train."""
    out: str = "page.html"
    """The .html file to write."""

    def run(self) -> None:
        from ..study.page import write_page

        print(f"page: {write_page(self.folders, self.out)}")
