"""Where the samples of a study come from: a dataset of this library, a file, or a user's own dataset."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, TypeGuard

from torch_geometric.data import Data

from ..data import HDF5Meshes, MeshData, hdf5_info, open_hdf5, split_indices
from ..data.check import SPLITS
from ..datasets import DATASETS, PDEDataset
from ..resolve import resolve
from ..typed import arguments, closest, typed
from .on_disk import CheckedFile, FileSamples
from .own_code import code_digests
from .provenance import read_json, write_json
from .settings import DataChoice

RESERVED = {
    "root",
    "split",
    "transform",
    "pre_transform",
    "force_reload",
    "protocol",
    "workers",
    "executor",
    "on_disk",
    "parameters",
}
Parts = dict[str, Sequence[MeshData]]


def find_samples(
    choice: DataChoice, whole: bool = False, executor: Executor | None = None, only: str | None = None
) -> tuple[Parts, dict[str, Any]]:
    """The samples that ``choice`` names, by split, and what is known of them: folder, source, names, units.

    Under protocol "paper" the samples of val are among those of train. A split may be empty, or absent.

    Args:
        choice: what to look for.
        whole: True for one part, "all", in the order of the source.
        only: a split that is enough: a dataset of this library is then not made for the others.
        executor: where a dataset of this library is generated that is not there yet; ``choice.workers`` by default.

    Raises:
        ValueError, FileNotFoundError: as :func:`pyg_neuralops.study.load_splits`.
    """
    found = _found(choice)
    if found is None:
        return _file(choice, whole)
    parts, info = _named(choice, found, executor, only) if _is_ours(found) else _own(choice, found, whole)
    return {"all": _joined(list(parts.values()))} if whole else parts, info


def check_choice(choice: DataChoice) -> None:
    """Raise for a dataset that is not there, or arguments that it does not take; nothing is generated or read.

    Raises:
        ValueError, FileNotFoundError: as :func:`find_samples`.
    """
    found = _found(choice)
    if found is None:
        _check_file(choice)
    elif _is_ours(found):
        arguments(found, choice.dataset_args, f"dataset {choice.dataset!r}", RESERVED)


def _check_file(choice: DataChoice) -> None:
    if choice.dataset_args:
        raise ValueError(f"a file takes no arguments; {sorted(choice.dataset_args)} are for named datasets")
    if not Path(choice.dataset).is_file():
        raise FileNotFoundError(f"no file {choice.dataset}")


def _found(choice: DataChoice) -> Callable[..., Any] | None:
    """The class or function that a dataset's name stands for; None for a file."""
    name = choice.dataset
    if name not in DATASETS and (name.endswith((".h5", ".hdf5")) or Path(name).is_file()):
        return None
    if name not in DATASETS and ":" not in name:
        there = f"choose from {sorted(DATASETS)} or give the path of an .h5 file, or 'package.module:Name'"
        raise ValueError(f"unknown dataset {name!r}; {there}{closest(name, DATASETS)}")
    found = resolve(name, DATASETS, "dataset")
    if not callable(found):
        raise ValueError(f"dataset {name!r} is a {type(found).__name__}; a class or function is needed")
    return found


def own_names(dataset: str) -> Mapping[str, Sequence[str]]:
    """Names of the channels of a dataset of this library; empty for others, which only their samples tell."""
    found = _class(dataset)
    return {} if found is None else found.names


def own_task(dataset: str) -> dict[str, Any]:
    """What is usually asked of a dataset, as :func:`pyg_neuralops.engine.make_task` takes it."""
    found = _class(dataset)
    return {"name": "steady"} if found is None else dict(found.task)


def own_positions(dataset: str) -> str:
    """How encoders see the positions of a dataset where nobody says: a mode of ``normalize_pos``."""
    found = _class(dataset)
    return "channel" if found is None else found.positions


def _class(dataset: str) -> type[PDEDataset] | None:
    """The class of a dataset of this library, or a user's own of its kind."""
    found: Any = resolve(dataset, DATASETS, "dataset") if ":" in dataset or dataset in DATASETS else None
    return found if _is_ours(found) else None


def _joined(parts: Sequence[Sequence[MeshData]]) -> Sequence[MeshData]:
    stored = [part for part in parts if isinstance(part, FileSamples)]
    return FileSamples.joined(stored) if stored else [sample for part in parts for sample in part]


def _is_ours(found: Any) -> TypeGuard[type[PDEDataset]]:
    return isinstance(found, type) and issubclass(found, PDEDataset)


def _named(
    choice: DataChoice, cls: type[PDEDataset], executor: Executor | None, only: str | None
) -> tuple[Parts, dict[str, Any]]:
    given = arguments(cls, choice.dataset_args, f"dataset {choice.dataset!r}", RESERVED)
    names: Sequence[str] = ("train", "test") if choice.protocol == "paper" else SPLITS
    names = [only] if only is not None and only in names else names
    options = {**given, "protocol": choice.protocol, "workers": choice.workers}
    options |= {"executor": executor, "on_disk": choice.on_disk}
    sets = {name: cls(root=choice.root, split=name, **options) for name in names}  # type: ignore[arg-type, call-arg]
    sources = {part.source for part in sets.values()}
    if len(sources) > 1:
        raise ValueError(f"the splits of {choice.dataset} come from {sorted(sources)} files; choose a source")
    first = next(iter(sets.values()))
    about = first.info
    info = {
        "folder": first.root,
        "source": first.source,
        "window": cls.window,
        "names": about["names"],
        "units": about["units"],
    }
    if not choice.on_disk:
        return {name: list(part) for name, part in sets.items()}, info
    # The splits of one stream share its file.
    paths = {part.source_path: part.processed_dir for part in sets.values()}
    files = {path: CheckedFile(path, folder) for path, folder in paths.items()}
    return {name: FileSamples.of(files[part.source_path], part.rows) for name, part in sets.items()}, info


def _file(choice: DataChoice, whole: bool) -> tuple[Parts, dict[str, Any]]:
    if choice.dataset_args:
        _check_file(choice)
    about = hdf5_info(choice.dataset)  # first, as a wrong file needs no cache
    info = {
        "folder": str(Path(choice.dataset).parent),
        "source": Path(choice.dataset).name,
        "names": about["names"],
        "units": about["units"],
    }
    if not choice.on_disk:
        samples = HDF5Meshes(choice.dataset, root=choice.root)
        return _divided(choice, list(samples), info, whole), info
    file = CheckedFile(choice.dataset, choice.root or f"{choice.dataset}.cache")
    with open_hdf5(choice.dataset) as content:
        said = content["split"].asstr()[:].tolist() if "split" in content else [None] * len(file.samples)
    rows = {"all": list(range(len(said)))} if whole else _division(choice, said, info)
    return {name: FileSamples.of(file, part) for name, part in rows.items()}, info


def _own(choice: DataChoice, make: Callable[..., Any], whole: bool) -> tuple[Parts, dict[str, Any]]:
    """A user's PyG dataset, or function that returns samples; called for every split where it takes ``split``."""
    what, takes = f"dataset {choice.dataset!r}", inspect.signature(make).parameters
    if choice.on_disk:
        raise ValueError(
            f"on_disk=True reads HDF5 files, and {what} is of your own; write its samples to one, which can be larger "
            "than the memory (data.write_hdf5), and give its path"
        )
    given = arguments(make, choice.dataset_args, what, RESERVED - {"protocol", "workers", "executor", "parameters"})
    folder = Path(choice.root or Path("datasets", choice.dataset.partition(":")[2]))
    if "root" in takes:
        given["root"] = str(folder)
    elif choice.root is not None:
        raise ValueError(f"{what} has no argument root, so root={choice.root!r} leads nowhere")
    names: list[str | None] = [*SPLITS] if "split" in takes else [None]
    calls = {name: given if name is None else {**given, "split": name} for name in names}
    if "root" in takes:
        _same_code(folder, choice)
    sets = {name: make(**call) for name, call in calls.items()}
    labels = _labels(sets[names[0]], what)
    info = {"folder": str(folder) if "root" in takes else ".", "source": choice.dataset, **labels}
    if None in sets:
        return _divided(choice, _samples(sets[None], what), info, whole), info
    return _by_protocol(choice, {str(name): _samples(found, f"{what}, {name}") for name, found in sets.items()}), info


def _same_code(folder: Path, choice: DataChoice) -> None:
    """Note in ``folder`` what makes its content, before it is made: PyG would hand out what older code has processed.

    Raises:
        ValueError: if other code or arguments did, or nobody knows which; says what to remove.
    """
    note, processed = folder / "pyg_neuralops.json", folder / "processed"
    here = {"code": code_digests(choice.dataset), "arguments": dict(choice.dataset_args)}
    if not note.is_file() and processed.is_dir() and any(processed.iterdir()):
        raise ValueError(
            f"{processed} was made by code or arguments of {choice.dataset} that nothing tells of; remove it to have "
            "it made again, or choose another root"
        )
    if note.is_file() and read_json(note) != json.loads(json.dumps(here)) and _holds_more(folder, note):
        raise ValueError(
            f"{folder} holds what other code or arguments of {choice.dataset} made; remove {processed} and "
            f"{note}, or choose another root"
        )
    write_json(note, here)


def _holds_more(folder: Path, note: Path) -> bool:
    """Whether a dataset's folder has files besides the note and those that it starts from."""
    files = (path for path in folder.rglob("*") if path.is_file() and path != note)
    return any(path.relative_to(folder).parts[0] != "raw" for path in files)


def _samples(found: Any, what: str) -> list[Any]:
    if isinstance(found, Data) or not isinstance(found, (Sized, Iterable)):
        raise ValueError(f"{what} gave a {type(found).__name__}; a dataset or a list of samples is needed")
    # Not list(found): a dataset with a length may lack the IndexError that ends an iteration.
    return [found[index] for index in range(len(found))] if isinstance(found, Sized) else list(found)  # type: ignore[index]


def _labels(found: Any, what: str) -> dict[str, Any]:
    """Names and units of channels, where a dataset tells them in ``info``, or in ``names`` and ``units``."""
    info = getattr(found, "info", None)
    about = info if isinstance(info, Mapping) else {key: getattr(found, key, None) for key in ("names", "units")}
    tables = {key: about.get(key) for key in ("names", "units")}
    return {
        key: typed(table, dict[str, tuple[str, ...]], f"{what}: {key}") if isinstance(table, Mapping) else {}
        for key, table in tables.items()
    }


def _divided(choice: DataChoice, samples: list[MeshData], info: dict[str, Any], whole: bool) -> Parts:
    if whole:
        return {"all": samples}
    rows = _division(choice, [sample.get("split") for sample in samples], info)
    return {name: [samples[index] for index in part] for name, part in rows.items()}


def _division(choice: DataChoice, said: Sequence[str | None], info: dict[str, Any]) -> dict[str, list[int]]:
    """The numbers of the samples of each split: as the samples say in ``split``, or at random by ``split_seed``."""
    if all(name is None for name in said):
        info["split_seed"] = choice.split_seed
        return split_indices(len(said), choice.split_seed, choice.protocol)
    rows: dict[str, list[int]] = {name: [] for name in SPLITS}
    for index, name in enumerate(said):
        if name not in SPLITS:
            raise ValueError(f"{choice.dataset}, sample {index}: split is {name!r}; choose from {list(SPLITS)}")
        rows[name].append(index)
    if choice.protocol == "paper":
        rows["train"] += rows.pop("val")
    return rows


def _by_protocol(choice: DataChoice, parts: dict[str, list[MeshData]]) -> Parts:
    if choice.protocol == "paper":
        parts["train"] += parts.pop("val")
    return {**parts}
