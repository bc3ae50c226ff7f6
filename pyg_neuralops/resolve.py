"""``resolve``: what a name stands for: an entry of a registry, or a user's own object by its import path."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any


def resolve(name: str, table: Mapping[str, Any], what: str, base: type | None = None) -> Any:
    """The entry of ``table`` called ``name``, or the object that ``package.module:Name`` names.

    Importing runs the module's code, so an import path must come from the user, not from a file of somebody else's.

    Args:
        name: a key of ``table``, or an import path.
        table: what this library brings.
        what: what is looked for, for messages: "model", "task", "dataset", "metric", "patch metric".
        base: a class that an imported class must derive from.

    Raises:
        ValueError: for an unknown name, saying what there is; for a path that leads nowhere, or to something else. An
            error inside the imported module is raised as it is.
    """
    if not isinstance(name, str):
        raise ValueError(f"{what}={name!r}; a name is needed, one of {sorted(table)} or 'package.module:Name'")
    if name in table:
        return table[name]
    module, colon, attribute = name.partition(":")
    if not colon:
        raise ValueError(f"unknown {what} {name!r}; choose from {sorted(table)} or give 'package.module:Name'")
    if not attribute or not all(part.isidentifier() for part in [*module.split("."), *attribute.split(".")]):
        raise ValueError(f"{what} {name!r} is not of the form 'package.module:Name'")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        parents = [module.rsplit(".", cut)[0] for cut in range(module.count(".") + 1)]
        if error.name not in parents:  # the module is there, and itself imports what is not
            raise
        raise ValueError(f"cannot import {what} {name!r}: {error}") from None
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise ValueError(f"cannot import {what} {name!r}: module {module!r} has no {attribute!r}")
        found = getattr(found, part)
    if base is not None and not (isinstance(found, type) and issubclass(found, base)):
        raise ValueError(f"{what} {name!r} is no class derived from {base.__module__}.{base.__qualname__}")
    return found


def import_path(value: Any) -> str:
    """``package.module:Name`` of a class or function, by which :func:`resolve` finds it again.

    Raises:
        ValueError: if it cannot be found again by a name: defined inside a function, or in a script.
    """
    path = f"{value.__module__}:{value.__qualname__}"
    if "<" in path:
        raise ValueError(f"{path} is defined inside a function; move it to the top of a module to give it a name")
    if value.__module__ == "__main__":
        raise ValueError(f"{path} is defined in a script; move it to a module that can be imported, to give it a name")
    return path
