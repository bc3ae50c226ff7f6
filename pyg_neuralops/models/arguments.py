"""Constructors' arguments: which there are, which fit, and what a module keeps of them."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import nn

ANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Constructor(NamedTuple):
    """What a class is built with: ``known`` arguments, the name of its ``**kwargs`` where these end in no other class's
    (``rest``), and of its ``*args``, likewise (``listed``)."""

    known: dict[str, inspect.Parameter]
    rest: str | None
    listed: str | None


def constructor(cls: type) -> Constructor:
    """Of ``cls``; ``**kwargs`` are followed to the constructors of base classes, which are taken to receive them."""
    found: dict[str, inspect.Parameter] = {}
    rest: str | None = None
    listed: str | None = None
    for base in cls.__mro__:
        if base in (nn.Module, object):
            break
        if "__init__" not in vars(base):
            continue
        parameters = list(inspect.signature(base.__init__).parameters.values())[1:]  # type: ignore[misc]
        found = {**{p.name: p for p in parameters if p.kind not in ANY}, **found}
        rest = next((p.name for p in parameters if p.kind is p.VAR_KEYWORD), None)
        listed = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), None)
        if rest is None:
            break
    return Constructor(found, rest, listed)


def bound(cls: type, given: Mapping[str, Any], what: str, optional: Sequence[str] = ()) -> dict[str, Any]:
    """The part of ``given`` that the constructor of ``cls`` takes.

    Args:
        what: how messages start. optional: names that are left out where the constructor does not take them.

    Raises:
        ValueError: for an argument that it does not take, or lacks; says which there are.
    """
    known, rest, _ = constructor(cls)
    found = {name: value for name, value in given.items() if rest or name in known or name not in optional}
    unknown = [] if rest else [name for name in found if name not in known]
    if unknown:
        raise ValueError(f"{what}no argument {unknown[0]!r}; choose from {sorted(known)}")
    missing = [name for name, p in known.items() if p.default is p.empty and name not in found]
    if missing:
        raise ValueError(f"{what}no value for its argument {missing[0]!r}")
    return found


def construct(cls: type[nn.Module], given: Mapping[str, Any]) -> nn.Module:
    """``cls(**given)``, arguments that are positional-only included."""
    known = constructor(cls).known
    first = [name for name, p in known.items() if p.kind is p.POSITIONAL_ONLY]
    values = [given.get(name, known[name].default) for name in first]
    return cls(*values, **{name: value for name, value in given.items() if name not in first})


def kept_arguments(module: nn.Module) -> dict[str, Any]:
    """The arguments with which ``module`` was built, read from its attributes of the same names.

    Raises:
        ValueError: for one that it does not keep.
    """
    known, rest, listed = constructor(type(module))
    if listed:
        raise ValueError(f"{type(module).__name__} takes a list of arguments, *{listed}, which no checkpoint can hold")
    found = dict(vars(module).get(rest) or {}) if rest else {}
    for name in known:
        try:
            found[name] = copy.copy(getattr(module, name))
        except AttributeError:
            raise ValueError(
                f"{type(module).__name__} keeps its argument {name!r} under no attribute of that name, so it could "
                f"not be built again from a checkpoint; add self.{name} = {name} to its constructor, or build it by "
                "its import path with build_model, which remembers the arguments"
            ) from None
    return found
