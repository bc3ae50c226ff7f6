"""Patch metrics by name or as text, for the command line, recipes and checkpoints."""

from __future__ import annotations

import ast
import inspect
import os
import re
from collections.abc import Mapping
from typing import Any

from ..resolve import resolve
from ..typed import arguments
from .characteristic import Characteristic
from .patch_metric import Anisotropic, PatchMetric, Upwind

METRICS: dict[str, type[PatchMetric]] = {
    "Upwind": Upwind,
    "Anisotropic": Anisotropic,
    "Characteristic": Characteristic,
}


def metric_name(metric: Mapping[str, Any] | str) -> str:
    """The name in what :func:`parse_metric` reads: a key of ``METRICS``, or an import path. Nothing is imported.

    Raises:
        ValueError: if there is none.
    """
    return _split(metric)[0]


def parse_metric(metric: PatchMetric | Mapping[str, Any] | str) -> PatchMetric:
    """A metric from ``{"name": "Upwind", "field": "wind"}`` or from "Upwind('wind', stretch=6)".

    The name may be the import path of a user's own, "package.module:Name", which is imported; nothing is evaluated.
    Arguments are checked against the annotations of the constructor. A word without quotes is a boolean (true, false),
    or text where the parameter is annotated ``str``, and nothing else.

    Raises:
        ValueError: if it is no such thing; says what there is, or which argument is wrong.
    """
    if isinstance(metric, PatchMetric):
        return metric
    name, positional, named = _split(metric)
    cls = resolve(name, METRICS, "patch metric", PatchMetric)
    signature = inspect.signature(cls)
    try:
        given = signature.bind(*positional, **named).arguments
    except TypeError as error:
        raise ValueError(f"metric={metric!r}: {error}; write {name}{signature}") from None
    rest = [p.name for p in signature.parameters.values() if p.kind is p.VAR_KEYWORD and p.name in given]
    given |= given.pop(rest[0]) if rest else {}
    values = arguments(cls, given, f"metric {name}")
    for key, value in values.items():
        if isinstance(value, _Word):  # of a parameter that says nothing of its kind
            raise ValueError(f"metric {name}: {key}={value.name}; write {value.name!r} in quotes if it is text")
    return cls(**values)


def _split(metric: Mapping[str, Any] | str) -> tuple[str, list[Any], dict[str, Any]]:
    """Name, positional and named arguments."""
    wrong = f"metric={metric!r}; write Upwind('wind', stretch=6), Anisotropic('conductivity') or package.module:Name()"
    if isinstance(metric, Mapping):
        if not isinstance(metric.get("name"), str) or not all(isinstance(key, str) for key in metric):
            raise ValueError(wrong)
        return metric["name"], [], {key: value for key, value in metric.items() if key != "name"}
    match = re.fullmatch(r"\s*([\w.:]+)\s*\((.{0,1000})\)\s*", metric) if isinstance(metric, str) else None
    if match is None:
        raise ValueError(wrong)
    try:
        call = ast.parse(f"f({match[2]})", mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise ValueError(wrong)
        named = {keyword.arg: _literal(keyword.value) for keyword in call.keywords}
        return match[1], [_literal(value) for value in call.args], {str(key): value for key, value in named.items()}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError(wrong) from None


class _Word(os.PathLike[str]):
    """A word without quotes: :func:`typed` makes text of it, as of a path, only where text is asked for."""

    def __init__(self, name: str):
        self.name = name

    def __fspath__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return self.name


def _literal(node: ast.expr) -> Any:
    if isinstance(node, ast.Name):
        return {"true": True, "false": False}.get(node.id, _Word(node.id))
    return ast.literal_eval(node)
