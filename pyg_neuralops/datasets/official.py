"""``OfficialFiles``: the part of a dataset that reads the files its benchmark was published with."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from tqdm import tqdm

from ..data import MeshData, locked, with_weights, write_hdf5


class OfficialFiles:
    """Finds official files below ``root/raw``, and converts the rows of a stream into the set's own raw file.

    A subclass states ``official_files``, :meth:`count_official` and :meth:`read_official`, which checks what a
    transposed axis or a wrong channel breaks. Delete the converted ``.h5`` to convert again.
    """

    official_files: ClassVar[tuple[str, ...]] = ()  # looked for anywhere below root/raw
    official_counts: ClassVar[tuple[int, int]] = (1000, 200)  # samples of the train and the test stream
    official_test: ClassVar[str] = "last"  # test rows: the "last", the "next" to train, "first" of an own file
    official_parameters: ClassVar[tuple[str, ...]] = ()  # arguments that official samples follow
    official_sha256: ClassVar[Mapping[str, str]] = {}  # by file name, where known

    # Of the dataset that this is a part of.
    name: ClassVar[str]
    version: ClassVar[int]
    names: ClassVar[Mapping[str, Any]]
    units: ClassVar[Mapping[str, Any]]
    root: str
    stream: str
    counts: tuple[int, int]
    parameters: dict[str, Any]
    raw_paths: list[str]

    def read_official(self, files: Mapping[str, Path], rows: range) -> Iterator[MeshData]:
        """The samples ``rows`` of the stream's official files, checked, in float32."""
        raise NotImplementedError

    def count_official(self, files: Mapping[str, Path]) -> int:
        """The number of samples in the stream's official files."""
        raise NotImplementedError

    @classmethod
    def find_official(cls, root: str | os.PathLike[str]) -> dict[str, Path]:
        """The official files below ``root/raw`` by name; empty unless all are there."""
        folder = Path(root, "raw")
        found = {name: [folder / name, *sorted(folder.rglob(name))] for name in cls.official_files}
        there = {name: [path for path in paths if path.is_file()] for name, paths in found.items()}
        return {name: paths[0] for name, paths in there.items()} if all(there.values()) else {}

    @classmethod
    def has_official(cls, root: str | os.PathLike[str], converted: str, insist: bool) -> bool:
        """Whether ``root`` has the official files, or the file that they were converted to.

        Raises:
            FileNotFoundError: if not, but ``insist`` or a part of them is there: official and generated samples must
                not be taken for each other.
        """
        folder = Path(root, "raw")
        if (folder / converted).exists() or cls.find_official(root):
            return bool(cls.official_files)
        traces = [path for name in cls.official_files for path in folder.rglob(name)]
        traces += folder.glob(f"{cls.name}-v{cls.version}-official-*.h5") if cls.official_files else []
        if insist or traces:
            only = f" (only {', '.join(sorted(path.name for path in traces))})" if traces else ""
            raise FileNotFoundError(
                f"no official files below {folder}{only}; all of {list(cls.official_files)} are needed"
                + ("" if insist else ", or source='generated'")
            )
        return False

    @classmethod
    def link_official(cls, source: str | os.PathLike[str], root: str | os.PathLike[str]) -> list[Path]:
        """Make the official files found below the folder ``source`` known to ``root``, as links in ``root/raw``.

        Raises:
            ValueError: if the set has no official files, or ``root/raw`` holds other ones of that name.
            FileNotFoundError: naming those that are not below ``source``.
            OSError: if the root cannot be written.
        """
        if not cls.official_files:
            raise ValueError(f"{cls.name} has no official files; it generates itself")
        found = {name: sorted(Path(source).rglob(name)) for name in cls.official_files}
        missing = [name for name, paths in found.items() if not paths]
        if missing:
            raise FileNotFoundError(f"no {missing} below {source}; all of {list(cls.official_files)} are needed")
        links = []
        with locked(Path(root, "raw")):
            for name, paths in found.items():
                link, target = Path(root, "raw", name), paths[0].resolve()
                links.append(link)
                if link.exists() and link.resolve() == target:
                    continue
                if link.exists() and not link.is_symlink():
                    raise ValueError(f"{link} is there already, and is not {target}; remove one of them")
                link.unlink(missing_ok=True)
                link.symlink_to(target)
                # What was converted from other files is no longer theirs.
                for old in link.parent.glob(f"{cls.name}-v*-official-*.h5"):
                    old.unlink()
        return links

    def convert(self) -> None:
        """Write the stream's rows of the official files into the raw file.

        Raises:
            ValueError: for files with too few samples, or which are not what they should be.
        """
        files = self.find_official(self.root)
        digests = [f"{name} sha256 {self._digest(path)}" for name, path in files.items()]
        rows = self._official_rows(self.count_official(files))
        title = f"{self.name} official {self.stream}"
        samples = tqdm(self.read_official(files, rows), desc=title, total=len(rows), unit="sample")
        attributes = {
            "source": "official",
            "dataset": self.name,
            "stream": self.stream,
            "rows": [rows.start, rows.stop],
            "files": digests,
            **{key: self.parameters[key] for key in self.official_parameters},
        }
        write_hdf5(self.raw_paths[0], map(with_weights, samples), names=self.names, units=self.units, attrs=attributes)

    def _official_rows(self, count: int) -> range:
        size = self.counts[self.stream == "test"]
        own_file = self.official_test == "first"
        needed = size if own_file else sum(self.counts)
        if count < needed:
            raise ValueError(f"the official files of {self.name} hold {count} samples; {needed} are needed")
        if self.stream == "train" or own_file:
            return range(size)
        if self.official_test == "last":
            return range(count - size, count)
        # Next to the published train rows, so that no smaller set is tested on what a full one is trained on.
        first = self.official_counts[0] if count >= sum(self.official_counts) else self.counts[0]
        return range(first, first + size)

    def _digest(self, path: Path) -> str:
        found = hashlib.sha256()
        with open(path, "rb") as file:
            while block := file.read(2**22):
                found.update(block)
        known = self.official_sha256.get(path.name, found.hexdigest())
        if found.hexdigest() != known:
            raise ValueError(f"{path} has sha256 {found.hexdigest()}; the official file has {known}")
        return known
