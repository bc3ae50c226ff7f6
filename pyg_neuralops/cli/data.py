"""``pyg-neuralops data``."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from ..study.settings import DataChoice
from .options import SourceOptions

if TYPE_CHECKING:  # torch takes seconds to import
    from ..study.data import Splits


@dataclass(frozen=True)
class Data:
    """Generate a dataset (or read a file) and say what is in it; without a name, list the datasets."""

    dataset: tyro.conf.Positional[str] = ""
    """The dataset's name, the path of an .h5 file, or package.module:Class of your own."""
    source: SourceOptions = field(default_factory=SourceOptions)
    from_: Annotated[str | None, tyro.conf.arg(name="from")] = None
    """A folder with the official files, which are then converted."""
    preview: bool = False
    """Draw nine samples, beside the data."""

    def run(self) -> None:
        from ..executors import cluster_executor
        from ..study.data import load_splits

        if not self.dataset:
            if self != Data():
                raise ValueError(f"{'--from' if self.from_ else 'an option'} needs the name of a dataset beside it")
            _list_datasets()
            return
        choice = self.source.choice(self.dataset)
        if self.from_ is not None:
            choice = _from_official(choice, self.from_)
        with cluster_executor(self.source.cluster) as executor:
            splits = load_splits(choice, executor)
        print(splits.describe())
        if self.preview:
            print(f"picture: {_draw(splits)}")


def _from_official(choice: DataChoice, folder: str) -> DataChoice:
    """The choice of the official files in ``folder``, which are linked to where the dataset looks for them."""
    from ..datasets import DATASETS

    if choice.dataset not in DATASETS:
        raise ValueError(f"--from needs the name of a dataset; choose from {sorted(DATASETS)}")
    root = choice.root or Path("datasets", choice.dataset)
    DATASETS[choice.dataset].link_official(folder, root)
    return dataclasses.replace(choice, dataset_args={**choice.dataset_args, "source": "official"})


def _draw(splits: Splits) -> Path:
    from ..plotting import plot_samples, save_figure

    info = splits.info
    names = info["names"].get("y", [])
    title = f"{info['dataset']}: {names[-1]}" if names else info["dataset"]
    figure = plot_samples(splits.train, name=title, window=info.get("window"))
    name = re.sub(r"[^\w.-]", "_", Path(info["dataset"]).stem)
    return save_figure(figure, Path(info["folder"], f"{name}-samples.png"))


def _list_datasets() -> None:
    from ..datasets import DATASETS

    for name, cls in sorted(DATASETS.items()):
        print(f"{name:22} {_plain(cls.__doc__ or '')}")


def _plain(doc: str) -> str:
    """The first line of a docstring without its formula."""
    first = doc.strip().splitlines()[0]
    return re.sub(r"([:,]) :math:`[^`]*`(,?)", lambda found: found[2] if found[1] == ":" else "", first).rstrip(".")
