"""``pyg-neuralops data``."""

from __future__ import annotations

from dataclasses import dataclass, field

import tyro

from .options import SourceOptions


@dataclass(frozen=True)
class Data:
    """Generate a dataset (or read a file) and say what is in it; without a name, list the datasets."""

    dataset: tyro.conf.Positional[str] = ""
    """The dataset's name, or the path of an .h5 file."""
    source: SourceOptions = field(default_factory=SourceOptions)

    def run(self) -> None:
        from ..study.data import load_splits

        if not self.dataset:
            _list_datasets()
            return
        print(load_splits(self.source.choice(self.dataset)).describe())


def _list_datasets() -> None:
    from ..datasets import DATASETS

    for name, cls in sorted(DATASETS.items()):
        print(f"{name:20} {(cls.__doc__ or '').strip().splitlines()[0].split(': ')[0]}")
