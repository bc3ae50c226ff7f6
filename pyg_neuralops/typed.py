"""Values checked against annotations: what a file, a command line or a call gives is what was asked for, or refused."""

from __future__ import annotations

import contextlib
import difflib
import inspect
import math
import os
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Annotated, Any, Literal, Union

PLAIN: dict[Any, str] = {bool: "true or false", int: "an integer", float: "a finite number", str: "text"}
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True)
class Range:
    """What a number in ``Annotated[int, Range(1)]`` may be: from ``low`` to ``high``, these two included or not."""

    low: float
    high: float = math.inf
    open: bool = False

    def check(self, value: float, name: str) -> None:
        low, high = ("above", "below") if self.open else ("at least", "at most")
        if value < self.low or (self.open and value == self.low):
            raise ValueError(f"{name}={value}; it must be {low} {self.low}")
        if value > self.high or (self.open and value == self.high):
            raise ValueError(f"{name}={value}; it must be {high} {self.high}")


def typed(value: Any, hint: Any, name: str) -> Any:
    """``value`` as the annotation ``hint`` has it: integers become floats, and lists and tuples each other.

    Text, booleans and numbers never stand for each other. Checked are ``bool, int, float, str`` (or a path), unions,
    ``Literal``, tuples, lists and mappings of them, ranges (:class:`Range`), and ``Any`` for what JSON can hold; an
    annotation of another kind takes anything.

    Raises:
        ValueError: such as "epochs='3'; an integer is needed".
    """
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        value = typed(value, inner[0], name)
        for limit in inner[1:]:
            if isinstance(limit, Range):
                limit.check(value, name)
        return value
    if origin in (Union, types.UnionType):
        return _any_of(value, inner, name)
    if origin is Literal:
        if not any(type(value) is type(item) and value == item for item in inner):
            raise ValueError(f"{name}={value!r:.80}; choose from {list(inner)}{closest(value, inner)}")
    elif origin in (tuple, list, Sequence):
        if not isinstance(value, (tuple, list)):
            raise ValueError(f"{name}={value!r:.80}; a list is needed")
        hints = [inner[0]] * len(value) if origin is not tuple or inner[1:] == (...,) else inner
        if len(hints) != len(value):
            raise ValueError(f"{name}={value!r:.80}; a list of {len(hints)} is needed")
        items = [typed(item, one, f"{name}[{i}]") for i, (item, one) in enumerate(zip(value, hints, strict=True))]
        value = items if origin is list else tuple(items)
    elif origin in (dict, Mapping):
        _check_names(value, name)
        value = {key: typed(item, inner[1], f"{name}.{key}") for key, item in value.items()}
    elif hint is Any:
        _check_json(value, name)
    elif hint is str and isinstance(value, os.PathLike):
        value = os.fspath(value)
    elif hint is int and isinstance(value, Integral) and not isinstance(value, bool):
        value = int(value)
    elif hint is float and isinstance(value, Real) and not isinstance(value, bool) and _is_finite(value):
        value = float(value)
    elif hint in PLAIN and not (hint in (bool, str) and isinstance(value, hint)):
        raise ValueError(f"{name}={value!r:.80}; {PLAIN[hint]} is needed")
    return value


def _any_of(value: Any, hints: Sequence[Any], name: str) -> Any:
    """``value`` as the first of several annotations that takes it."""
    others = [hint for hint in hints if hint is not type(None)]
    if value is None and len(others) < len(hints):
        return None
    if len(others) == 1:
        return typed(value, others[0], name)
    needed = []
    for hint in others:
        try:
            return typed(value, hint, name)
        except ValueError as error:
            needed.append(str(error).rpartition("; ")[2].removesuffix(" is needed"))
    raise ValueError(f"{name}={value!r:.80}; {' or '.join(dict.fromkeys(needed))} is needed")


def _is_finite(value: Real) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


def _check_names(value: Any, name: str) -> None:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ValueError(f"{name}={value!r:.80}; a table of names and values is needed")


def _check_json(value: Any, name: str) -> None:
    if isinstance(value, Mapping):
        _check_names(value, name)
        for key, item in value.items():
            _check_json(item, f"{name}.{key}")
    elif isinstance(value, (tuple, list)):
        for index, item in enumerate(value):
            _check_json(item, f"{name}[{index}]")
    elif isinstance(value, float):
        typed(value, float, name)
    elif not (value is None or isinstance(value, (int, str))):
        raise ValueError(
            f"{name}={value!r:.80} is a {type(value).__name__}; a number, text, a list or a table is needed"
        )


def closest(value: Any, names: Collection[str]) -> str:
    """``"; did you mean 'train'?"`` where one of ``names`` is like ``value``, else nothing."""
    found = difflib.get_close_matches(str(value), [name for name in names if isinstance(name, str)], 1)
    return f"; did you mean {found[0]!r}?" if found else ""


def unknown(names: Collection[str], known: Collection[str], what: str) -> None:
    """Raise for the ``names`` that are not among the ``known``; says which there are, and which is meant.

    Raises:
        ValueError: such as "recipe.toml has unknown keys ['epoch']; choose from [...]; did you mean 'epochs'?".
    """
    strange = sorted(set(names) - set(known))
    if strange:
        raise ValueError(f"{what} {strange}; choose from {sorted(known)}{closest(strange[0], known)}")


def arguments(
    function: Callable[..., Any], given: Mapping[str, Any], what: str, reserved: Collection[str] = ()
) -> dict[str, Any]:
    """``given`` as the parameters of a function or constructor are annotated, ready to be passed.

    Args:
        function: of a class, its constructor is looked at, and those that it hands its ``**options`` on to.
        what: what is called, for messages, such as "dataset 'darcy'".
        reserved: parameters that are not the user's to give.

    Raises:
        ValueError: for a name that it does not have, a value of another kind, or one that is missing.
    """
    calls = [function]
    if isinstance(function, type):
        calls = [vars(owner)["__init__"] for owner in function.__mro__[:-1] if "__init__" in vars(owner)]
    known: dict[str, inspect.Parameter] = {}
    hints: dict[str, Any] = {}
    takes_any = False
    for call in calls:
        parameters = [p for p in inspect.signature(call).parameters.values() if p.name != "self"]
        known = {p.name: p for p in parameters if p.kind in NAMED} | known
        with contextlib.suppress(NameError, TypeError):  # annotations that only a type checker can read
            hints = typing.get_type_hints(call, include_extras=True) | hints
        takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
        if not takes_any:
            break
    unknown(set(given) & set(reserved) if takes_any else given, set(known) - set(reserved), f"{what} has no argument")
    missing = [name for name, p in known.items() if p.default is p.empty and name not in (*given, *reserved)]
    if missing:
        raise ValueError(f"{what} needs the argument {missing[0]!r}")
    return {name: typed(value, hints.get(name), f"{what}: {name}") for name, value in given.items()}
