"""Named tensors and texts in one safetensors file, with digests of both. Nothing is unpickled.

Safetensors stores neither shared memory nor every kind of number: a tensor that is another one (tied weights) is
stored once, complex ones as pairs of reals; an entry of the metadata says so.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .digest import content_digest
from .files import replacing

FORMAT, VERSION = "pyg_neuralops.model", "2"
OLD = "1"
"""The version before digests."""


def save_weights(path: str | os.PathLike[str], tensors: Mapping[str, Tensor], texts: Mapping[str, str]) -> None:
    """Write ``tensors`` and ``texts`` to ``path``, whole or not at all.

    Raises:
        OSError: if it cannot be written.
    """
    plain, aliases = pack(tensors)
    metadata = {**texts, "format": FORMAT, "version": VERSION, "aliases": json.dumps(aliases)}
    metadata["complex"] = json.dumps([name for name in plain if tensors[name].is_complex()])
    metadata["tensors"] = content_digest(plain)
    metadata["digest"] = content_digest(metadata)
    with replacing(path) as temporary:
        try:
            save_file(plain, temporary, metadata)
        except SafetensorError as error:  # a full disk
            raise OSError(f"writing failed, perhaps for want of space ({error})") from None


def pack(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors as safetensors can hold them, on the CPU, and ``{name: name of the tensor that it is}``."""
    plain: dict[str, Tensor] = {}
    aliases: dict[str, str] = {}
    known: dict[tuple, str] = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach()
        place = (str(tensor.device), tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride())
        if tensor.numel() and place in known:
            aliases[name] = known[place]
            continue
        known[place] = name
        real = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
        # Cloned, as another tensor may look at a part of the same memory.
        plain[name] = real.cpu().clone(memory_format=torch.contiguous_format)
    return plain, aliases


def load_texts(path: str | os.PathLike[str]) -> dict[str, str]:
    """The texts of a file of :func:`save_weights`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming ``path``, if it is damaged or foreign.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        with safe_open(path, "pt") as file:
            metadata = dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"{path} is not a readable safetensors file (truncated or foreign): {error}") from None
    if metadata.get("format") != FORMAT or metadata.get("version") not in (VERSION, OLD):
        found = f"format={metadata.get('format')!r}, version={metadata.get('version')!r}"
        raise ValueError(f"{path} has {found}; expected format={FORMAT!r}, version={VERSION!r}")
    if metadata["version"] != OLD and metadata.pop("digest", None) != content_digest(metadata):
        raise ValueError(f"{path} is damaged: its texts are not what was written")
    return metadata


def load_weights(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and texts of a file of :func:`save_weights`, tied tensors as one and the same.

    Raises:
        FileNotFoundError, ValueError: as :func:`load_texts`.
    """
    texts = load_texts(path)
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"{path} is not a readable safetensors file (truncated or foreign): {error}") from None
    if texts["version"] == OLD:
        return tensors, texts
    if texts.get("tensors") != content_digest(tensors):
        raise ValueError(f"{path} is damaged: its weights are not what was written")
    try:
        found = {name: torch.view_as_complex(tensors[name]) for name in json.loads(texts["complex"])}
        tensors |= found
        return tensors | {name: tensors[other] for name, other in json.loads(texts["aliases"]).items()}, texts
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, RuntimeError) as error:
        raise ValueError(f"{path} is foreign: {type(error).__name__} in its notes on tensors") from None
