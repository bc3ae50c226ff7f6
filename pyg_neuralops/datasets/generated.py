"""``GeneratedDataset``: a set that makes itself offline with a solver, in parallel, and resumes."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from tqdm import tqdm

from ..data import PROTOCOLS, MeshData, MeshDataset, fingerprint, hdf5_info, read_hdf5, write_hdf5
from ..solvers.parallel import make_parts
from ..solvers.parts import load_part

SPLITS = ("train", "val", "test")
SOURCES = ("auto", "generated")
STREAMS = {"train": 0, "test": 1}


class GeneratedDataset(MeshDataset):
    """Base of the sets that generate themselves.

    There are two streams of samples, "train" and "test"; sample i of a stream has the entropy
    ``[seed, 0 or 1, i]`` (``numpy.random.SeedSequence``), so that its content depends on nothing else, neither
    on the order nor on the number of processes. ``num_samples // 6`` samples make the test stream, the rest
    the train stream. Protocol "standard" takes the last ``num_samples // 12`` of the train stream for val;
    "paper" has no val, and trains on the whole stream.

    A subclass states the class attributes and :meth:`to_mesh`. A change of either that changes the data needs
    a new ``version``.

    Args:
        parameters: keyword arguments of the solver; all are part of the raw file's name.
        root: folder of the set; ``datasets/<name>`` below the current folder when None.
        split: "train", "val" or "test".
        num_samples: of both streams together.
        seed: base of all seeds, at least 0.
        source: "auto" or "generated".
        protocol: "standard" or "paper".
        transform, pre_transform, force_reload: as in PyG; force_reload processes again, and keeps the raw file.
        workers: generating processes; the number of cores when None, 0 for this process.

    Attributes:
        info: provenance: the raw file's attributes, with names and units of the channels.

    Raises:
        ValueError: for an argument out of range; says what is allowed.
        RuntimeError: naming the seed of the sample whose solver failed. Samples done until then are kept.
        OSError: if the root cannot be written.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    solver: ClassVar[str]  # "package.module:function" without torch, so that workers start fast
    packages: ClassVar[Sequence[str]] = ("numpy", "scipy")
    names: ClassVar[Mapping[str, Sequence[str]]]
    units: ClassVar[Mapping[str, Sequence[str]]]
    part_size: ClassVar[int] = 8

    def __init__(
        self,
        parameters: Mapping[str, Any],
        root: str | os.PathLike[str] | None = None,
        split: str = "train",
        *,
        num_samples: int = 1200,
        seed: int = 0,
        source: str = "auto",
        protocol: str = "standard",
        transform: Callable | None = None,
        pre_transform: Callable | None = None,
        force_reload: bool = False,
        workers: int | None = None,
    ):
        for label, value, allowed in (
            ("split", split, SPLITS),
            ("source", source, SOURCES),
            ("protocol", protocol, PROTOCOLS),
        ):
            if value not in allowed:
                raise ValueError(f"{label}={value!r}; choose from {list(allowed)}")
        if split == "val" and protocol == "paper":
            raise ValueError("split='val'; protocol='paper' has no val, choose from ['train', 'test']")
        for label, number, least in (("num_samples", num_samples, 12), ("seed", seed, 0)):
            if number < least:
                raise ValueError(f"{label}={number}; it must be at least {least}")
        if workers is not None and workers < 0:
            raise ValueError(f"workers={workers}; it must be at least 0, or None for the number of cores")
        self.parameters = dict(parameters)
        self.split, self.num_samples, self.seed, self.protocol = split, num_samples, seed, protocol
        self.source = "generated"
        self.workers = (os.cpu_count() or 1) if workers is None else workers
        self.stream = "test" if split == "test" else "train"
        num_test = num_samples // 6
        self.stream_size = num_test if split == "test" else num_samples - num_test
        root = Path("datasets", self.name) if root is None else root
        super().__init__(os.fspath(root), transform, pre_transform, force_reload=force_reload)
        self.load(self.processed_paths[0])

    def to_mesh(self, arrays: Mapping[str, np.ndarray]) -> MeshData:
        """The sample, in float32, from the arrays of the solver's dataclass."""
        raise NotImplementedError

    @property
    def _stem(self) -> str:
        parameters = [f"{key}{value}" for key, value in self.parameters.items()]
        count = f"{self.stream}{self.stream_size}"
        return "-".join([self.name, f"v{self.version}", count, *parameters, f"seed{self.seed}"])

    @property
    def raw_file_names(self) -> list[str]:
        return [f"{self._stem}.h5"]

    @property
    def processed_file_names(self) -> list[str]:
        rows = self._rows
        key = "" if self.pre_transform is None else f"-{fingerprint(self.pre_transform)}"
        return [f"{self._stem}-{self.split}{rows.start}to{rows.stop}{key}.pt"]

    @property
    def _rows(self) -> range:
        """Samples of the stream that belong to the split."""
        num_val = 0 if self.protocol == "paper" or self.split == "test" else self.num_samples // 12
        first_val = self.stream_size - num_val
        return range(first_val, self.stream_size) if self.split == "val" else range(first_val)

    @property
    def info(self) -> dict[str, Any]:
        return hdf5_info(self.raw_paths[0])

    def download(self) -> None:
        """Make the raw file: solve what is missing, assemble, and remove the parts."""
        folder = Path(self.raw_dir, f"{self._stem}.parts")
        seeds = [(self.seed, STREAMS[self.stream], index) for index in range(self.stream_size)]
        interval = 0.1 if sys.stderr.isatty() else 10.0  # a log file wants fewer lines
        with tqdm(total=len(seeds), desc=f"{self.name} {self.stream}", unit="sample", mininterval=interval) as bar:
            parts = make_parts(
                self.solver,
                self.parameters,
                seeds,
                folder,
                workers=self.workers,
                part_size=self.part_size,
                advance=bar.update,
            )
        samples = (self.to_mesh(arrays) for part in parts for arrays in load_part(part))
        attributes = self._provenance(parts)
        write_hdf5(self.raw_paths[0], samples, names=self.names, units=self.units, attrs=attributes)
        shutil.rmtree(folder)

    def _download(self) -> None:
        super()._download()
        # A kill between the last two steps of download leaves parts that nobody needs.
        shutil.rmtree(Path(self.raw_dir, f"{self._stem}.parts"), ignore_errors=True)

    def _provenance(self, parts: Sequence[Path]) -> dict[str, Any]:
        """What made the file; of the solver's scalars (residual, redraws ...) the greatest and the sum."""
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
            **{f"{key}_max": max(values) for key, values in scalars.items()},
            **{f"{key}_sum": sum(values) for key, values in scalars.items()},
        }

    def process(self) -> None:
        samples, _ = read_hdf5(self.raw_paths[0])
        samples = [samples[row] for row in self._rows]
        for sample in samples:
            sample.source = self.source
        if self.pre_transform is not None:
            samples = [self.pre_transform(sample) for sample in samples]
        self.save(samples, self.processed_paths[0])
