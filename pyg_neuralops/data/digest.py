"""``content_digest``: a short text that changes with any value inside an object."""

from __future__ import annotations

import functools
import hashlib
import types
from collections.abc import Mapping, Set
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def content_digest(value: Any) -> str:
    """32 hex digits of a nest of mappings, sequences, tensors, arrays, numbers, texts and objects of these.

    An object counts by its class and its attributes, a function by its name, code and defaults, a module by its state.

    Raises:
        ValueError: for an object that refers to itself.
    """
    found = hashlib.blake2b(digest_size=16)
    try:
        _feed(found, value)
    except RecursionError:
        raise ValueError(f"a {type(value).__name__} refers to itself, or is nested too deep to be compared") from None
    return found.hexdigest()


def _feed(found: Any, value: Any) -> None:
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        value = torch.from_numpy(np.ascontiguousarray(value))
    if isinstance(value, nn.Module):
        found.update(_name(type(value)))
        value = value.state_dict()
    if isinstance(value, Tensor):
        tensor = value.detach().resolve_conj().cpu().contiguous()
        found.update(f"tensor {tensor.dtype} {tuple(tensor.shape)} ".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    elif isinstance(value, Mapping):
        found.update(f"mapping {len(value)} ".encode())
        for key in sorted(value, key=str):
            _feed(found, key)
            _feed(found, value[key])
    elif isinstance(value, (list, tuple, np.ndarray)):
        found.update(f"sequence {len(value)} ".encode())
        for item in value:
            _feed(found, item)
    elif isinstance(value, Set):
        _feed(found, sorted(map(repr, value)))
    elif isinstance(value, (str, bytes)):
        text = value.encode() if isinstance(value, str) else value
        found.update(f"{type(value).__name__} {len(text)} ".encode() + text)
    elif value is None or isinstance(value, (bool, int, float, complex, np.generic, torch.dtype, torch.device)):
        found.update(f"{type(value).__name__} {value!r} ".encode())
    elif isinstance(value, functools.partial):
        _feed(found, [value.func, value.args, value.keywords])
    elif isinstance(value, types.FunctionType):
        found.update(_name(value) + value.__code__.co_code)
        _feed(found, [value.__defaults__, value.__kwdefaults__])
        _feed(found, [c for c in value.__code__.co_consts if not isinstance(c, types.CodeType)])
        _feed(found, [cell.cell_contents for cell in value.__closure__ or ()])
    elif isinstance(value, types.MethodType):
        _feed(found, [value.__func__, value.__self__])
    elif isinstance(value, type):
        found.update(_name(value))
    else:
        found.update(_name(type(value)))
        _feed(found, getattr(value, "__dict__", None))


def _name(value: Any) -> bytes:
    return f"{value.__module__}:{value.__qualname__} ".encode()
