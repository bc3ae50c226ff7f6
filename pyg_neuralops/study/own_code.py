"""``code_digests``: what a user's own classes do, as the files of their source say.

A file that is edited while its code runs does not count before the code is imported again: each is read once for an
import, when it is first asked for.
"""

from __future__ import annotations

import ast
import hashlib
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

LIBRARY = __name__.partition(".")[0]
PATH = re.compile(r"([^\W\d][\w.]*:[^\W\d][\w.]*)(\(.*\))?", re.DOTALL)

READ: dict[Path, tuple[Any, bytes]] = {}  # files of imported modules: the import, and what was read for it


def import_paths(value: Any) -> Iterator[str]:
    """Every "package.module:Name", with "(...)" behind it or not, among the strings in a nested value."""
    if isinstance(value, str):
        if match := PATH.fullmatch(value):
            yield match[1]
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from import_paths(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from import_paths(item)


def code_digests(*values: Any) -> dict[str, str]:
    """For every import path in ``values`` that leads to an imported module: the digest of its code.

    Counted are the module's file and, through its import statements, the files beside it that it uses: those below the
    folder that its top-level package or module lies in. What is installed, and this library, are told by their
    versions.
    """
    found = sorted({path for path in import_paths(values) if path.partition(":")[0] in sys.modules})
    return {path: _digest(path.partition(":")[0]) for path in found}


def _digest(name: str) -> str:
    """Twelve hex digits of the files of a module and of its own imports."""
    top = sys.modules[name.partition(".")[0]]
    package = [Path(folder) for folder in getattr(top, "__path__", [])]
    file = getattr(top, "__file__", None)
    if not package and file is None:  # typed in at a prompt
        return ""
    root = package[0].parent if package else Path(str(file)).parent
    installed = root.name in ("site-packages", "dist-packages")
    seen: dict[str, bytes] = {} if package else {name: _source(name, Path(str(file)))}
    waiting = _with_parents(name) if package else list(_imports(seen[name], name, False))
    while waiting:
        found = waiting.pop()
        own = found.partition(".")[0] == name.partition(".")[0] if installed else found.partition(".")[0] != LIBRARY
        path = root.joinpath(*found.split("."))
        source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if own and found not in seen and source.is_file():
            seen[found] = _source(found, source)
            waiting += _imports(seen[found], found, path.is_dir())
    whole = hashlib.sha256()
    for found, content in sorted(seen.items()):
        whole.update(f"{found} {len(content)} ".encode() + content)
    return whole.hexdigest()[:12]


def _source(name: str, path: Path) -> bytes:
    """The file of a module, as it was when first asked for since the module's import."""
    module = sys.modules.get(name)
    if module is None:  # to be imported later, as the file will be then
        return path.read_bytes()
    imported = module.__spec__ or module  # a spec is of one import: importlib.reload makes another
    if path not in READ or READ[path][0] is not imported:
        READ[path] = imported, path.read_bytes()
    return READ[path][1]


def _imports(source: bytes, name: str, is_package: bool) -> Iterator[str]:
    """The modules that the import statements of a module name."""
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            here = name.split(".")[: len(name.split(".")) - node.level + is_package] if node.level else []
            base = ".".join([*here, *([node.module] if node.module else [])])
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        for found in names:
            yield from _with_parents(found)


def _with_parents(name: str) -> list[str]:
    """``"a.b.c" -> ["a", "a.b", "a.b.c"]``: all of them run when the last is imported."""
    parts = name.split(".")
    return [".".join(parts[: length + 1]) for length in range(len(parts))]
