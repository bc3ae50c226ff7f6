"""``content_digest``: a short text that changes with any value inside an object."""

from __future__ import annotations

import hashlib
import types
from collections.abc import Mapping, Set
from typing import Any

import numpy as np
import torch
from torch import Tensor

CODE: tuple[type, ...] = (
    *(types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.CodeType, types.ModuleType),
    *(types.MethodWrapperType, types.WrapperDescriptorType, types.MethodDescriptorType),
)


def content_digest(value: Any) -> str:
    """32 hex digits of a nest of mappings, sequences, tensors, arrays, numbers, texts and objects of these.

    An object counts by the name of its class and by what a pickle of it would hold, a class by its name.

    Raises:
        ValueError: for an object that refers to itself, or whose content cannot be told: functions and modules (their
            code is for :func:`pyg_neuralops.data.fingerprint.fingerprint`), locks, open files.
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
    if isinstance(value, Tensor):
        if value.layout != torch.strided:
            raise ValueError(f"a tensor of layout {value.layout} cannot be compared by content; make it dense")
        tensor = value.detach().resolve_conj().cpu().contiguous()
        found.update(f"tensor {tensor.dtype} {tuple(tensor.shape)} ".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    elif isinstance(value, Mapping):
        found.update(f"mapping {len(value)} ".encode())
        for key in sorted(value, key=str):
            _feed(found, key)
            try:
                _feed(found, value[key])
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from error
    elif isinstance(value, np.ndarray):
        _feed(found, [value.dtype.str, value.shape, value.reshape(-1).tolist()])
    elif isinstance(value, (list, tuple)):
        found.update(f"sequence {len(value)} ".encode())
        for item in value:
            _feed(found, item)
    elif isinstance(value, Set):
        _feed(found, {"set": sorted(map(content_digest, value))})
    elif isinstance(value, (str, bytes)):
        text = value.encode() if isinstance(value, str) else value
        found.update(f"{type(value).__name__} {len(text)} ".encode() + text)
    elif value is None or isinstance(value, (bool, int, float, complex, np.generic, torch.dtype, torch.device)):
        found.update(f"{type(value).__name__} {value!r} ".encode())
    elif isinstance(value, type):
        found.update(_name(value))
    else:
        found.update(_name(type(value)))
        _feed(found, _held(value))


def _held(value: Any) -> list[Any]:
    """What a pickle of an object holds besides its class: arguments, state, items.

    Raises:
        ValueError: where it holds none, or only a name.
    """
    kind = type(value).__qualname__
    if not isinstance(value, CODE):
        try:
            state = value.__reduce_ex__(4)
        except Exception as error:  # whatever its own code raises
            raise ValueError(f"a {kind} cannot be compared by content: {error}") from error
        if not isinstance(state, str):
            arguments, *rest = state[1:]
            return [arguments, *rest[:1], *(list(items) for items in rest[1:3] if items is not None)]
    raise ValueError(f"a {kind}, {getattr(value, '__name__', value)!r}, cannot be compared by content")


def _name(value: Any) -> bytes:
    return f"{value.__module__}:{value.__qualname__} ".encode()
