"""``PDEDataset``: a set from its official files, or made offline with a solver, in parallel, and resumed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..data import (
    PROTOCOLS,
    HDF5Samples,
    MeshData,
    MeshDataset,
    hdf5_info,
    open_hdf5,
    read_hdf5,
)
from .generated_samples import GeneratedSamples
from .official import OfficialFiles

SPLITS = ("train", "val", "test")
SOURCES = ("auto", "official", "generated")


class PDEDataset(OfficialFiles, GeneratedSamples, MeshDataset):
    """Base of the library's sets: official files where they lie in ``root/raw``, else generated samples.

    There are two streams of samples, "train" and "test": official ones are the rows of the published protocol,
    generated ones are numbered (:class:`.generated_samples.GeneratedSamples`).
    Protocol "standard" takes the last twelfth of all samples from the end of the train stream for val;
    "paper" has no val, and trains on the whole stream. Each stream becomes one HDF5 file in ``root/raw``, whose
    name says where it comes from.

    A subclass states the class attributes and ``to_mesh``, and what :class:`.official.OfficialFiles` asks for where
    there are official files. A change that changes the data needs a new ``version``.

    Args:
        parameters: keyword arguments of the solver; all are part of the raw file's name.
        root: folder of the set; ``datasets/<name>`` below the current folder when None.
        split: "train", "val" or "test".
        num_samples: of both streams together; ``num_default``, or the published number of official ones, when None.
        seed: base of all seeds, at least 0; official files have none.
        source: "auto" takes official files where there are any; "official" insists; "generated" ignores them. Official
            samples follow ``official_parameters`` alone of the solver's.
        protocol: "standard" or "paper".
        transform, pre_transform, force_reload: as in PyG; force_reload processes again, and keeps the raw file.
        workers: generating processes; the number of cores when None, 0 for this process.
        executor: where to generate instead; anything with ``submit`` whose workers see the same files, such as
            :func:`pyg_neuralops.executors.cluster_executor`. Samples and files do not depend on either.
        on_disk: read each sample from the HDF5 file when it is asked for, instead of all into memory.

    Attributes:
        source: "official" or "generated".
        info: provenance: the raw file's attributes, with names and units of the channels.

    Raises:
        ValueError: for an argument out of range (says what is allowed), or official files that are not what
            they should be (says what was expected and what was found).
        FileNotFoundError: for source="official" without the files; says which and where.
        RuntimeError: naming the seed of the sample whose solver failed, or the samples whose worker died. Samples done
            until then are kept.
        OSError: if the root cannot be written.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    names: ClassVar[Mapping[str, Sequence[str]]]
    units: ClassVar[Mapping[str, Sequence[str]]]
    task: ClassVar[Mapping[str, Any]] = {"name": "steady"}  # what is usually asked; see pyg_neuralops.engine.TASKS
    positions: ClassVar[str] = "channel"  # how encoders see them where nobody says, a mode of normalize_pos
    # What the equation and its boundary allow, for RandomSymmetry(**symmetry); none where nothing is said.
    symmetry: ClassVar[Mapping[str, Any]] = {"group": "identity"}
    window: ClassVar[tuple[tuple[float, float], tuple[float, float]] | None] = None  # the part of the plane to look at
    num_default: ClassVar[tuple[int, int]] = (1000, 200)  # samples of the train and the test stream

    def __init__(
        self,
        parameters: Mapping[str, Any],
        root: str | os.PathLike[str] | None = None,
        split: str = "train",
        *,
        num_samples: int | None = None,
        seed: int = 0,
        source: str = "auto",
        protocol: str = "standard",
        transform: Callable | None = None,
        pre_transform: Callable | None = None,
        force_reload: bool = False,
        workers: int | None = None,
        executor: Executor | None = None,
        on_disk: bool = False,
    ):
        for label, value, allowed in (
            ("split", split, SPLITS),
            ("source", source, SOURCES if self.official_files else ("auto", "generated")),
            ("protocol", protocol, PROTOCOLS),
        ):
            if value not in allowed:
                raise ValueError(f"{label}={value!r}; choose from {list(allowed)}")
        if split == "val" and protocol == "paper":
            raise ValueError("split='val'; protocol='paper' has no val, choose from ['train', 'test']")
        for label, number, least in (("num_samples", num_samples, 12), ("seed", seed, 0)):
            if number is not None and number < least:
                raise ValueError(f"{label}={number}; it must be at least {least}")
        if workers is not None and workers < 0:
            raise ValueError(f"workers={workers}; it must be at least 0, or None for the number of cores")
        if workers is not None and executor is not None:
            raise ValueError(f"workers={workers} and an executor; give one of them")
        if on_disk and pre_transform is not None:
            raise ValueError("on_disk=True stores nothing processed; give the pre_transform as transform")
        self.split, self.seed, self.protocol, self.on_disk = split, seed, protocol, on_disk
        self.workers = (os.cpu_count() or 1) if workers is None else workers
        self.stream = "test" if split == "test" else "train"
        root = os.fspath(Path("datasets", self.name) if root is None else root)
        self.parameters = {k: v.item() if isinstance(v, np.generic) else v for k, v in parameters.items()}
        self.source, self.counts = "official", self._counts(num_samples, self.official_counts)
        if source == "generated" or not self.has_official(root, f"{self._stem}.h5", source == "official"):
            self.source, self.counts = "generated", self._counts(num_samples, self.num_default)
        self.num_samples = sum(self.counts)
        self.executor = executor
        super().__init__(root, transform, pre_transform, force_reload=force_reload)
        self.executor = None  # whatever it is, a dataset is sent to the workers of a loader without it
        if on_disk:
            self._samples = HDF5Samples(self.raw_paths[0], self.rows)
        else:
            self.load(self.processed_paths[0])

    @staticmethod
    def _counts(num_samples: int | None, usual: tuple[int, int]) -> tuple[int, int]:
        """Samples of the train and the test stream, in the usual ratio."""
        if num_samples is None:
            return usual
        num_test = max(1, num_samples * usual[1] // sum(usual))
        return num_samples - num_test, num_test

    @property
    def stream_size(self) -> int:
        return self.counts[self.stream == "test"]

    @property
    def _used(self) -> dict[str, Any]:
        """The parameters that the samples depend on."""
        official = self.source == "official"
        return {k: v for k, v in self.parameters.items() if not official or k in self.official_parameters}

    @property
    def _stem(self) -> str:
        count = f"{self.stream}{self.stream_size}"
        official = self.source == "official"
        parameters = [f"{key}{value}" for key, value in self._used.items()]
        head = [self.name, f"v{self.version}", *(["official"] if official else []), count]
        # Of official samples those for the test depend on where the train stream ends.
        tail = [f"after{self.counts[0]}"] if official and self.stream == "test" else []
        return "-".join([*head, *parameters, *(tail if official else [f"seed{self.seed}"])])

    @property
    def _parts(self) -> Path:
        return Path(self.raw_dir, f"{self._stem}.parts")

    @property
    def raw_file_names(self) -> list[str]:
        return [f"{self._stem}.h5"]

    @property
    def source_path(self) -> Path:
        return Path(self.raw_paths[0])

    @property
    def cache_stem(self) -> str:
        return f"{self._stem}-{self.split}{self.rows.start}to{self.rows.stop}"

    @property
    def processed_file_names(self) -> list[str]:
        return [] if self.on_disk else super().processed_file_names

    @property
    def rows(self) -> range:
        """Samples of the stream that belong to the split."""
        num_val = 0 if self.protocol == "paper" or self.split == "test" else self.num_samples // 12
        first_val = self.stream_size - num_val
        return range(first_val, self.stream_size) if self.split == "val" else range(first_val)

    @property
    def info(self) -> dict[str, Any]:
        return hdf5_info(self.raw_paths[0])

    def download(self) -> None:
        """Make the raw file: convert official samples, or solve what is missing and assemble it."""
        self.convert() if self.source == "official" else self.generate(self.stream_size, self._parts)

    def _download(self) -> None:
        super()._download()
        self._check_raw()
        # A kill between the last two steps of download leaves parts that nobody needs.
        shutil.rmtree(self._parts, ignore_errors=True)

    def _check_raw(self) -> None:
        """Raise if the raw file holds something else than its name says: names are changed by mistake."""
        expected = {"source": self.source, "dataset": self.name, "stream": self.stream, **self._used}
        if self.source == "generated":
            expected |= {"generator_version": self.version, "seed": self.seed}
        with open_hdf5(self.source_path) as file:
            found = {**hdf5_info(self.source_path), "samples": len(file["node_ptr"]) - 1}
        expected["samples"] = self.stream_size
        wrong = [
            f"{key}={found.get(key)!r}, not {value!r}" for key, value in expected.items() if found.get(key) != value
        ]
        if wrong:
            raise ValueError(f"{self.source_path} holds {'; '.join(wrong)}; remove it to have it made anew")

    def read_source(self) -> list[MeshData]:
        samples, _ = read_hdf5(self.source_path)
        samples = [samples[row] for row in self.rows]
        for sample in samples:
            sample.source = self.source
        return samples

    def len(self) -> int:
        return len(self._samples) if self.on_disk else super().len()

    def get(self, idx: int) -> MeshData:
        if not self.on_disk:
            return super().get(idx)
        sample = self._samples[idx]
        sample.source = self.source
        return sample
