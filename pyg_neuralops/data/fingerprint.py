"""``fingerprint``: a key that changes with an object's values, its code, and all that the code reads."""

from __future__ import annotations

import builtins
import dis
import functools
import hashlib
import importlib
import importlib.util
import logging
import platform
import re
import secrets
import sys
import types
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

log = logging.getLogger(__name__)

BY_VERSION = ("torch", "torch_geometric", "numpy", "scipy", "networkx", "h5py", "skfem", "lightning_fabric")
"""Packages whose version tells their code; of others in ``site-packages``, and of this one, all files are read."""
UNREAD: tuple[str, ...] = ("__module__", "__dict__", "__weakref__", "__doc__", "__annotations__", "__annotate_func__")
UNREAD += ("__annotations_cache__", "__firstlineno__", "__static_attributes__", "_abc_impl")
"""Attributes of classes that change nothing, or only with the run."""
ONCE = "once"
"""How the fingerprint begins of what has a new one each time."""
PLAIN = (type(None), type(...), type(NotImplemented), bool, int, float, complex, str, bytes)


def fingerprint(value: Any) -> str:
    """Sixteen hex digits that change with any parameter of a transform, however deep, and with its code.

    Code counts with all that it reads: globals, helpers and their helpers, closures, defaults, attributes of classes
    and modules. Functions and classes of installed packages count by the package's version or files. Comments, line
    numbers and the order of definitions do not count. Python's version does.

    What cannot be described (a lock, a generator, an object of a C extension without state) gets a new key each
    time, which begins with :data:`ONCE`, with a warning: better to compute again than to answer with something stale.
    """
    walk = _Walk()
    try:
        text = walk.describe(value)
    except RecursionError:
        text = walk.unknown(value, "is nested too deeply")
    key = hashlib.sha256(f"{platform.python_version()} {text}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{ONCE}{secrets.token_hex(6)}" if walk.lost else key


@functools.cache
def _package(module: str) -> str | None:
    """What stands for the code of an installed package; None for a user's own code."""
    top = module.partition(".")[0]
    found = sys.modules.get(top)
    if top in sys.stdlib_module_names or top in BY_VERSION:
        return f"{top} {getattr(found, '__version__', '')}"
    file = getattr(found, "__file__", None)
    if file is None or not ({"site-packages", "dist-packages"} & set(Path(file).parts) or top == "pyg_neuralops"):
        return None
    whole = Path(file).name == "__init__.py"
    files = sorted(Path(file).parent.rglob("*")) if whole else [Path(file)]
    digest = hashlib.sha256()
    for path in files:
        if path.suffix in (".py", ".so", ".pyd"):
            digest.update(path.name.encode() + path.read_bytes())
    return f"{top} {digest.hexdigest()}"


class _Walk:
    """Describes objects in words; one that was met before by its number, which also ends cycles."""

    def __init__(self) -> None:
        self.met: dict[int, int] = {}
        self.lost = False  # whether something could not be described
        self.kept: list[Any] = []  # so that no number is given to two objects

    def describe(self, value: Any, names: Iterable[str] = ()) -> str:
        """``value`` in words; of a user's module only the attributes ``names``."""
        if type(value) in PLAIN:
            return f"{type(value).__name__} {value!r}"
        if isinstance(value, (tuple, frozenset, types.CodeType)):  # shared or not as the compiler likes
            return self._shape(value)
        if isinstance(value, types.ModuleType):
            return self._module(value, names)
        if id(value) in self.met:
            return f"#{self.met[id(value)]}"
        self.met[id(value)] = len(self.met)
        self.kept.append(value)
        return self._shape(value)

    def each(self, values: Iterable[Any]) -> str:
        return "[" + ",".join([self.describe(value) for value in values]) + "]"

    def _alone(self, value: Any) -> str:
        """``value`` in words that do not depend on what was met before: a set has no order."""
        walk = _Walk()
        text = walk.describe(value)
        self.lost |= walk.lost
        return text

    def unknown(self, value: Any, why: str) -> str:
        log.warning("a %s %s: what depends on it is computed anew each time", type(value).__qualname__, why)
        self.lost = True
        return ""

    def _shape(self, value: Any) -> str:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        if isinstance(value, torch.Tensor) and value.layout == torch.strided and not value.is_quantized:
            plain = value.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
            digest = hashlib.sha256(plain.view(torch.uint8).numpy().tobytes()).hexdigest()
            return f"{kind} {value.dtype} {tuple(value.shape)} {digest} {self.each([vars(value)])}"
        if type(value) is np.ndarray and not value.dtype.hasobject:
            digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
            return f"{kind} {value.dtype.descr} {value.shape} {digest}"
        if type(value) in (tuple, list):
            return f"{kind} {self.each(value)}"
        if type(value) in (set, frozenset):
            return f"{kind} {sorted(self._alone(item) for item in value)}"
        if type(value) in (dict, types.MappingProxyType):
            return f"{kind} {self.each(part for item in value.items() for part in item)}"
        if isinstance(value, types.CodeType):
            return self._code(value)
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, types.MethodType):
            return f"method {self.each([value.__func__, value.__self__])}"
        if isinstance(value, property):
            return f"property {self.each([value.fget, value.fset, value.fdel])}"
        if isinstance(value, (staticmethod, classmethod)):
            return f"{kind} {self.describe(value.__func__)}"
        if isinstance(value, functools.cached_property):
            return f"{kind} {self.describe(value.func)}"
        if isinstance(value, types.CellType):
            return "empty" if value == types.CellType() else f"cell {self.describe(value.cell_contents)}"
        return self._object(value, kind)

    def _object(self, value: Any, kind: str) -> str:
        """Any other object by what a pickle of it would hold."""
        try:
            state = value.__reduce_ex__(4)
        except Exception:  # noqa: BLE001  (whatever its own code raises: it cannot be described so)
            text = repr(value)
            if re.search(r"\b0x[0-9a-fA-F]{4,}", text):
                return self.unknown(value, "cannot be described")
            return f"{self.describe(type(value))} {text}"
        if isinstance(state, str):  # by name
            wrapped = self.describe(getattr(value, "__wrapped__", None))
            return f"{kind} {getattr(value, '__module__', '')}.{state} {wrapped}"
        made, *rest = state
        return f"{kind} {self.each([type(value), made, rest[0], rest[1] if len(rest) > 1 else None])}" + "".join(
            self.each(items) for items in rest[2:4] if items is not None
        )

    def _importable(self, value: Any) -> str | None:
        """The name of what an installed package has at the top of a module, or inside a class there."""
        package = _package(value.__module__ or "")
        found: Any = sys.modules.get(value.__module__ or "")
        for name in value.__qualname__.split("."):
            found = getattr(found, name, None)
        return f"{package}: {value.__module__}.{value.__qualname__}" if package and found is value else None

    def _function(self, value: types.FunctionType) -> str:
        if name := self._importable(value):
            return name
        inner = [value.__defaults__, value.__kwdefaults__, value.__closure__, value.__dict__]
        package = _package(value.__globals__.get("__name__", ""))  # of a decorator, whose closure is the user's
        code = f"{package} {value.__code__.co_qualname if sys.version_info >= (3, 11) else value.__qualname__}"
        read = "" if package else self._reads(value.__code__, value.__globals__)
        return f"function {code if package else self._code(value.__code__)} {self.each(inner)} {read}"

    def _code(self, code: types.CodeType) -> str:
        names = [code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars]
        flags = [code.co_argcount, code.co_kwonlyargcount, code.co_posonlyargcount, code.co_flags]
        return f"code {code.co_code.hex()} {names} {flags} {self.each(code.co_consts)}"

    def _reads(self, code: types.CodeType, scope: dict[str, Any]) -> str:
        """The globals that code and the functions inside it read, and modules that it imports."""
        found = []
        for name in code.co_names:
            if name in scope:
                found.append(f"{name}={self.describe(scope[name], code.co_names)}")
            elif name in vars(builtins):
                found.append(name)
        steps = list(dis.get_instructions(code))
        for level, step in zip(steps, steps[2:], strict=False):
            if step.opname == "IMPORT_NAME":
                module = _imported(step.argval, level.argval, scope.get("__package__") or "")
                found.append(f"{step.argval}={self.describe(module, code.co_names)}")
        inner = [const for const in code.co_consts if isinstance(const, types.CodeType)]
        return f"reads [{','.join(found)}]" + "".join(self._reads(const, scope) for const in inner)

    def _module(self, value: types.ModuleType, names: Iterable[str]) -> str:
        if package := _package(value.__name__):
            return f"module {package}: {value.__name__}"
        found = [f"{name}={self.describe(vars(value)[name], names)}" for name in names if name in vars(value)]
        return f"module {value.__name__} [{','.join(found)}]"

    def _class(self, value: type) -> str:
        if name := self._importable(value):
            return name
        own = [f"{name}={self.describe(part)}" for name, part in vars(value).items() if name not in UNREAD]
        return f"class {value.__qualname__} {self.each(value.__bases__)} [{','.join(own)}]"


def _imported(name: str, level: int, package: str) -> types.ModuleType | None:
    """The module that an import inside a function means; None where there is none."""
    try:
        return importlib.import_module("." * level + name, package)
    except ImportError:
        return None
