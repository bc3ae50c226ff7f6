"""Models on disk: one safetensors file from which a working, normalised model comes back.

Weights and normalisers are the file's tensors; what the model is called, its constructor's arguments and any
provenance are JSON in the file's metadata. Nothing is unpickled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from .data import replacing
from .models import NeuralOperator, build_model, model_name
from .models.registry import MODELS
from .normalize import Normalized, Normalizer
from .transforms.patch_settings import current_settings, foreign_metric

FORMAT, VERSION = "pyg_neuralops.model", "1"
FIELDS = ("x", "y", "pos", "edge_attr")
PARTS = ("encoder", "decoder")


def save_model(path: str | os.PathLike[str], model: nn.Module, info: dict[str, Any] | None = None) -> Path:
    """Write a model (wrapped in :class:`Normalized` or not) to ``path``, whole or not at all.

    Args:
        path: the file, by custom ``*.safetensors``.
        model: a :class:`Normalized` or a :class:`NeuralOperator`.
        info: provenance, anything JSON can hold.

    Raises:
        ValueError: for another kind of model, or settings that JSON cannot hold.
        OSError: if the file cannot be written.
    """
    model = model if isinstance(model, Normalized) else Normalized(model)
    inner = model.model
    if not isinstance(inner, NeuralOperator):
        raise ValueError(f"cannot save a {type(inner).__name__}; build it with build_model or subclass NeuralOperator")
    try:
        config, extra = json.dumps(inner.config), json.dumps(info or {})
    except TypeError as error:
        raise ValueError(f"the settings of {type(inner).__name__} cannot be written as JSON: {error}") from None
    metadata = {"format": FORMAT, "version": VERSION, "model": model_name(inner), "config": config, "info": extra}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata)
    return Path(path)


def _metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    if not Path(path).is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is not a readable safetensors file (truncated or foreign): {error}") from None
    if metadata.get("format") != FORMAT or metadata.get("version") != VERSION:
        found = f"format={metadata.get('format')!r}, version={metadata.get('version')!r}"
        raise ValueError(f"{path} has {found}; expected format={FORMAT!r}, version={VERSION!r}")
    return metadata


def _trusted_name(path: str | os.PathLike[str], metadata: dict[str, str], trust_import: bool) -> str:
    name = metadata["model"]
    if name not in MODELS and not trust_import:
        raise ValueError(
            f"{path} holds a model {name!r} that is not of this library; pass trust_import=True to import it"
        )
    return name


def _trusted_config(
    path: str | os.PathLike[str], name: str, metadata: dict[str, str], trust_import: bool
) -> dict[str, Any]:
    config = json.loads(metadata["config"])
    if name not in MODELS:
        return config
    config = current_settings(config)
    foreign = foreign_metric(config.get("patches"))
    if foreign is not None and not trust_import:
        raise ValueError(
            f"{path} holds a patch metric {foreign!r} that is not of this library; pass trust_import=True to import it"
        )
    return config


def _tensors(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    with safe_open(path, "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (not a mapping)


def load_info(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The ``info`` that :func:`save_model` was given, with the keys "model" and "config" added."""
    metadata = _metadata(path)
    return {
        **json.loads(metadata["info"]),
        "model": metadata["model"],
        "config": json.loads(metadata["config"]),
    }


def load_model(path: str | os.PathLike[str], *, trust_import: bool = False) -> Normalized:
    """The model of a checkpoint, in eval mode, on the CPU.

    Args:
        path: a file of :func:`save_model`.
        trust_import: whether a class named "package.module:Class" in the file may be imported. Importing runs
            code that the file chose, so say yes only to your own files.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is truncated, foreign, or does not fit the model it names.
    """
    metadata = _metadata(path)
    name = _trusted_name(path, metadata, trust_import)
    tensors = _tensors(path)
    parts = {
        field: Normalizer(tensors[f"{field}.mean"], tensors[f"{field}.std"])
        for field in FIELDS
        if f"{field}.mean" in tensors
    }
    model = Normalized(build_model(name, **_trusted_config(path, name, metadata, trust_import)), **parts)
    first = next((t for t in tensors.values() if t.is_floating_point()), None)
    if first is not None:
        model = model.to(first.dtype)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit the model {name!r} that it names: {error}") from None
    return model.eval()


def start_from(model: NeuralOperator, path: str | os.PathLike[str], replace: Sequence[str] = ()) -> NeuralOperator:
    """Copy a checkpoint's weights into ``model``, to train on from there. Returns the model.

    Args:
        model: of the same class and size; its numbers of channels may differ where a part is replaced.
        path: a file of :func:`save_model`.
        replace: parts that keep the model's fresh weights: "encoder", "decoder" or both.

    Raises:
        FileNotFoundError, ValueError: as :func:`load_model`; if the weights do not fit, naming the first that does
            not and whether replacing a part would help; for an unknown part.
    """
    unknown = sorted(set(replace) - set(PARTS))
    if unknown:
        raise ValueError(f"replace names {unknown}; choose from {list(PARTS)}")
    metadata = _metadata(path)
    if metadata["model"] != model_name(model):
        raise ValueError(f"{path} holds a model {metadata['model']!r}; this one is {model_name(model)!r}")
    found = {name.removeprefix("model."): t for name, t in _tensors(path).items() if name.startswith("model.")}
    own = model.state_dict()
    for name, tensor in own.items():
        part = next((part for part in PARTS if name.split(".")[0].endswith(part)), None)
        if part in replace:
            found[name] = tensor
            continue
        there = None if name not in found else list(found[name].shape)
        if there != list(tensor.shape):
            hint = f"; replace the {part} to train it anew" if part else ""
            raise ValueError(f"{path} has {name} of shape {there}; this model needs {list(tensor.shape)}{hint}")
    model.load_state_dict({name: found[name] for name in own})
    return model
