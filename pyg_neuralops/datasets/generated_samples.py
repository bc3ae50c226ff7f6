"""``GeneratedSamples``: the part of a dataset that solves its samples, in parallel, and goes on after a kill."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from tqdm import tqdm

from ..data import MeshData, with_weights, write_hdf5
from ..solvers.parallel import make_parts
from ..solvers.parts import load_part

STREAMS = {"train": 0, "test": 1}


class GeneratedSamples:
    """Makes the raw file of a stream with a solver.

    Sample i of a stream has the entropy ``[seed, 0 or 1, i]`` (``numpy.random.SeedSequence``), so that its content
    depends on nothing else, neither on the order nor on the number of processes. A subclass states ``solver`` and
    :meth:`to_mesh`.
    """

    solver: ClassVar[str]  # "package.module:function" without torch, so that workers start fast
    packages: ClassVar[Sequence[str]] = ("numpy", "scipy")
    part_size: ClassVar[int] = 8

    # Of the dataset that this is a part of.
    name: ClassVar[str]
    version: ClassVar[int]
    names: ClassVar[Mapping[str, Any]]
    units: ClassVar[Mapping[str, Any]]
    source: str
    stream: str
    seed: int
    workers: int
    executor: Executor | None
    parameters: dict[str, Any]
    raw_paths: list[str]

    def to_mesh(self, arrays: Mapping[str, np.ndarray]) -> MeshData:
        """The sample, in float32, from the arrays of the solver's dataclass."""
        raise NotImplementedError

    def generate(self, count: int, folder: Path) -> None:
        """Solve the first ``count`` samples of the stream, assemble the raw file, and remove the parts.

        What has been solved before a kill lies in parts in ``folder``, and is not solved again.
        """
        seeds = [(self.seed, STREAMS[self.stream], index) for index in range(count)]
        interval = 0.1 if sys.stderr.isatty() else 10.0  # a log file wants fewer lines
        with tqdm(total=len(seeds), desc=f"{self.name} {self.stream}", unit="sample", mininterval=interval) as bar:
            parts = make_parts(
                self.solver,
                self.parameters,
                seeds,
                folder,
                workers=self.workers,
                executor=self.executor,
                part_size=self.part_size,
                advance=bar.update,
            )
        samples = (with_weights(self.to_mesh(arrays)) for part in parts for arrays in load_part(part))
        attributes = self._provenance(parts)
        write_hdf5(self.raw_paths[0], samples, names=self.names, units=self.units, attrs=attributes)
        shutil.rmtree(folder)

    def _provenance(self, parts: Sequence[Path]) -> dict[str, Any]:
        """What made the file; of the solver's scalars (residual, redraws ...) least, greatest and mean."""
        scalars: dict[str, list[float]] = {}
        for part in parts:
            for arrays in load_part(part):
                for key, value in arrays.items():
                    if value.ndim == 0:
                        scalars.setdefault(key, []).append(float(value))
        versions = [f"{package} {importlib.metadata.version(package)}" for package in self.packages]
        return {
            "source": self.source,
            "dataset": self.name,
            "stream": self.stream,
            "generator": self.solver,
            "generator_version": self.version,
            "seed": self.seed,
            **self.parameters,
            "versions": [f"python {platform.python_version()}", *versions],
            **{f"{key}_min": min(values) for key, values in scalars.items()},
            **{f"{key}_max": max(values) for key, values in scalars.items()},
            **{f"{key}_mean": sum(values) / len(values) for key, values in scalars.items()},
        }
