"""``pyg-neuralops study``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from ..recipe import Count
from ..study.plan import Study, find_study


@dataclass(frozen=True)
class RunStudy:
    """Run a study from its file: comparisons that answer one question, with their tables and a page.

    Started again with the same arguments, finished runs are kept and an interrupted one goes on.
    """

    name: Annotated[str, tyro.conf.Positional]
    """A .toml file, or the name of one in benchmarks/studies."""
    size: str | None = None
    """One of the file's sizes, such as paper."""
    seeds: Count | None = None
    """Number of seeds, in place of the file's."""
    out: str | None = None
    """Folder of the results, in place of the file's."""
    jobs: Count = 1
    """Runs at a time; with more than one, each is a process of one thread."""
    cluster: str | None = None
    """Address of a Dask scheduler, such as tcp://localhost:8786, whose workers run the study."""
    dry_run: bool = False
    """Only tell the parts, and parameters and time to expect, found out on a few samples of each."""

    def run(self) -> None:
        from ..executors import cluster_executor
        from ..study.forecast import forecast
        from ..study.study import run_study

        if self.jobs > 1 and self.cluster is not None:
            raise ValueError(f"jobs={self.jobs} and cluster={self.cluster!r}; give one of them")
        given: dict[str, Any] = {"seeds": self.seeds, "out": self.out}
        changes = {name: value for name, value in given.items() if value is not None}
        study = Study.from_toml(find_study(self.name), self.size, **changes)
        if self.dry_run or self.size is not None:
            print(forecast(study, self.jobs), flush=True)
        if self.dry_run:
            return
        with cluster_executor(self.cluster) as executor:
            run_study(study, jobs=self.jobs, executor=executor)
        out = Path(study.out)
        print("\n" + (out / "page.md").read_text(encoding="utf-8"))
        print(f"page: {out / 'page.html'}")
