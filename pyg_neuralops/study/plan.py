"""``Study``: a question put to several comparisons, from one TOML file; plain Python, without torch."""

from __future__ import annotations

import dataclasses
import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..recipe import BUDGETS, Settings, hints_of
from ..typed import closest, typed, unknown
from .settings import Comparison, DataChoice
from .toml import read_toml

STUDIES = Path("benchmarks", "studies")


@dataclass(frozen=True, kw_only=True)
class Part(Settings):
    """One comparison of a study, and how its results are looked at.

    Raises:
        ValueError: for a setting out of range; says what is allowed.
    """

    comparison: Comparison
    by: str | None = None
    """An input channel that is constant in each sample, such as "log10 diffusivity": errors are told in bins of it."""
    bins: tuple[float, ...] = ()
    """Inner edges of these bins, ascending; thirds of the test samples by default."""
    transfer: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By name, arguments of the dataset that differ: trained models are tested there too, untrained for it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if list(self.bins) != sorted(set(self.bins)):
            raise ValueError(f"bins={list(self.bins)}; edges must ascend")
        if self.bins and self.by is None:
            raise ValueError(f"bins={list(self.bins)}; by must say of which input channel")

    @property
    def elsewhere(self) -> dict[str, DataChoice]:
        """By name, the samples that the models are tested on besides their own."""
        choice = {item.name: getattr(self.comparison, item.name) for item in dataclasses.fields(DataChoice)}
        return {
            name: DataChoice(**{**choice, "dataset_args": {**self.comparison.dataset_args, **changes}})
            for name, changes in self.transfer.items()
        }


@dataclass(frozen=True, kw_only=True)
class Study(Settings):
    """A question, and the comparisons that answer it."""

    name: str
    """Of the file, without its ending."""
    question: str = ""
    """What is asked, in a sentence or two."""
    out: str
    """Folder of the results, with one for each part."""
    parts: Mapping[str, Part]
    """By name."""

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str], size: str | None = None, **changes: Any) -> Study:
        """A study from its file.

        Keys of :class:`Comparison` and of :class:`Part` stand for all parts; ``question`` and ``out`` are the study's.
        ``[parts.NAME]`` changes some for one part; without any, the file is a study of one part. ``[sizes.NAME]``
        changes the file where that size is asked for. ``sweep = {"dataset_args.points" = [200, 400]}``, at the top, in
        a part or among a model's overrides (where keys are the model's: ``"patches.k"``), makes a part or a model of
        every value, or of every combination of values.

        Args:
            path: the file.
            size: one of its ``sizes``.
            changes: fields of all comparisons that replace the file's, such as ``seeds=1``; ``out`` is the study's.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: naming the file, if it is not TOML, has an unknown key (says which there are) or a wrong value.
        """
        raw = read_toml(path)
        try:
            return cls(**_study(raw, size, changes, Path(path).stem))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


def find_study(name: str, folder: Path = STUDIES) -> Path:
    """The file of a study: a path, or a name among ``benchmarks/studies`` here or beside the library's source.

    Raises:
        ValueError: for an unknown name; says which there are.
    """
    if name.endswith(".toml"):
        return Path(name)
    places = [folder, Path(__file__).parents[2] / folder]
    known = {path.stem: path for place in reversed(places) for path in sorted(place.glob("*.toml"))}
    if name not in known:
        raise ValueError(f"unknown study {name!r}; give a .toml file, or one of {sorted(known)}{closest(name, known)}")
    return known[name]


def _study(raw: Mapping[str, Any], size: str | None, changes: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The fields of a :class:`Study`."""
    raw = dict(raw)
    sizes = typed(raw.pop("sizes", {}), Mapping[str, Mapping[str, Any]], "sizes")
    if size is not None:
        if size not in sizes:
            there = f"choose from {sorted(sizes)}{closest(size, sizes)}" if sizes else "the file names none"
            raise ValueError(f"size={size!r}; {there}")
        raw = _merged(raw, sizes[size])
    question, out = raw.pop("question", ""), str(raw.pop("out", Path("runs", name)))
    out = str(changes["out"]) if "out" in changes else out if size is None else f"{out}-{size}"
    given = {key: value for key, value in changes.items() if key != "out"}
    named = typed(raw.pop("parts", {}), Mapping[str, Mapping[str, Any]], "parts")
    parts: dict[str, Part] = {}
    for label, part in (named or {"": {}}).items():
        strange = {"out", "question"} & set(part)
        if strange:
            raise ValueError(f"part {label!r} has {sorted(strange)}, which is the study's; put it at the top")
        for suffix, settings in _swept(_merged(raw, part), "sweep"):
            called = ", ".join(filter(None, (label, suffix)))
            folder = str(Path(out, re.sub(r"[^\w.-]", "_", called))) if called else out
            if folder in {other.comparison.out for other in parts.values()}:
                raise ValueError(f"part {called!r} would share the folder {folder} with another; rename one")
            try:
                parts[called or name] = _part(_merged(settings, given), folder)
            except ValueError as error:
                raise ValueError(f"part {called!r}: {error}" if called else str(error)) from None
    return {"name": name, "question": question, "out": out, "parts": parts}


def _part(settings: dict[str, Any], out: str) -> Part:
    views, hints = set(hints_of(Part)) - {"comparison"}, hints_of(Comparison)
    unknown(settings, [*views, *hints], "unknown keys")
    if "dataset" not in settings:
        raise ValueError("there is no key 'dataset', which says what to learn from")
    view = {key: settings.pop(key) for key in views & set(settings)}
    models = typed(settings.get("models", Comparison.models), hints["models"], "models")
    overrides = typed(settings.get("overrides", {}), hints["overrides"], "overrides")
    arms: dict[str, Mapping[str, Any]] = {}
    for model in models:
        for suffix, arm in _swept(overrides.get(model, {}), "sweep"):
            label = ", ".join(filter(None, (model, suffix)))
            if label in arms:
                raise ValueError(f"two models would be called {label!r}; rename one")
            arms[label] = {"model": model, **arm} if suffix else arm
    # Overrides of models that are not there are Comparison's to refuse.
    others = {model: arm for model, arm in overrides.items() if model not in models}
    values = {**settings, "models": list(arms), "overrides": {**{k: v for k, v in arms.items() if v}, **others}}
    values["out"] = out
    return Part(comparison=Comparison(**{key: typed(value, hints[key], key) for key, value in values.items()}), **view)


def _swept(settings: Mapping[str, Any], key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Settings without their sweep, once for every combination of its values, with what the combination is called."""
    settings = dict(settings)
    axes = settings.pop(key, {})
    if not isinstance(axes, Mapping) or not all(isinstance(values, list) and values for values in axes.values()):
        raise ValueError(f"{key}={axes!r:.80}; a table of keys, each with a list of values, is needed")
    for values in itertools.product(*axes.values()):
        found, names = settings, []
        for path, value in zip(axes, values, strict=True):
            found = _merged(found, _nested(path.split("."), value))
            names.append(f"{path.rpartition('.')[2]}={value}")
        yield ", ".join(names), found


def _nested(path: Sequence[str], value: Any) -> dict[str, Any]:
    return {path[0]: value if len(path) == 1 else _nested(path[1:], value)}


def _merged(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``settings`` with ``changes``: tables are merged key by key, and a budget replaces another."""
    budget = {*BUDGETS} & set(changes)
    found = {key: value for key, value in settings.items() if not (budget and key in BUDGETS)}
    for key, value in changes.items():
        here = found.get(key)
        found[key] = _merged(here, value) if isinstance(here, Mapping) and isinstance(value, Mapping) else value
    return found
