"""LA2Former's relatives: the same class with other defaults, under names of their own."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from torch import nn

from .la2former import LA2Former

T = TypeVar("T", bound=type[nn.Module])


def with_defaults(**defaults: Any) -> Callable[[T], T]:
    """Class decorator: other default values for the constructor that the class inherits.

    The signature says so too, which is what ``config``, checkpoints and the command line read.

    Raises:
        ValueError: for a name that the constructor does not have.
    """

    def decorate(cls: T) -> T:
        inherited = cls.__init__
        signature = inspect.signature(inherited)
        unknown = sorted(set(defaults) - set(signature.parameters))
        if unknown:
            raise ValueError(f"{cls.__name__} takes no {unknown}; choose from {list(signature.parameters)}")

        @functools.wraps(inherited)  # annotations too
        def __init__(*args: Any, **kwargs: Any) -> None:
            bound = signature.bind(*args, **kwargs)
            inherited(**{**defaults, **bound.arguments})

        parameters = signature.parameters.values()
        changed = [p.replace(default=defaults[p.name]) if p.name in defaults else p for p in parameters]
        __init__.__signature__ = signature.replace(parameters=changed)  # type: ignore[attr-defined]
        cls.__init__ = __init__  # type: ignore[method-assign]
        return cls

    return decorate


@with_defaults(global_="lrsa")
class LA2FormerLRSA(LA2Former):
    """Soft-mask KNN attention beside low-rank spatial attention: the union of LA2Former and LRSA.

    Ours; published nowhere that we know of. All arguments are those of :class:`LA2Former`.
    """


@with_defaults(global_="none")
class LA2FormerLocal(LA2Former):
    """:class:`LA2Former` without its global path."""


@with_defaults(local=False)
class LA2FormerGlobal(LA2Former):
    """:class:`LA2Former` without its local path: its linear-attention twin."""
