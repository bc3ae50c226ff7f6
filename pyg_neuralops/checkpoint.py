"""Models on disk: one safetensors file from which a working, normalised model comes back.

Weights and normalisers are the file's tensors; what the model is called, its constructor's arguments and any
provenance are JSON in the file's metadata. Nothing is unpickled, and every bit is covered by a digest.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .data.weights_file import load_texts, load_weights, save_weights
from .models import MODELS, NeuralOperator, build_model, declared_shapes, model_name
from .models.declared import FOREIGN
from .models.rebuilt import check_rebuilt
from .models.transfer import PARTS, transfer
from .normalize import PARTS as NORMALIZERS
from .normalize import Normalized, Normalizer
from .quantiles import Quantiles
from .transforms.patch_settings import current_settings, foreign_metric


def describe(model: Normalized, info: dict[str, Any] | None = None) -> tuple[dict[str, Tensor], dict[str, str]]:
    """What :func:`save_model` writes: the model's tensors, and the texts beside them.

    Raises:
        ValueError: for what a file cannot hold, naming it.
    """
    inner, kind = model.model, type(getattr(model.model, "module", model.model)).__name__
    tensors: dict[str, Tensor] = {}
    others: dict[str, Any] = {}
    for name, value in model.state_dict().items():
        if not isinstance(value, Tensor):
            others[name] = value
        elif nn.parameter.is_lazy(value):
            raise ValueError(f"{name} of {kind} has no shape yet; call the model on a sample once, then train it")
        else:
            tensors[name] = value
    config = inner.config
    for name, value in config.items():
        _text(value, f"the argument {name!r} of {kind}")
    texts = {"model": model_name(inner), "config": _text(config, f"the settings of {kind}")}
    texts |= {"state": _text(others, f"the extra state of {kind}"), "info": _text(info or {}, "info")}
    if model.residual is not None:
        texts["residual"] = _text(model.residual.to_dict(), "residual")
    return tensors, texts


def _text(value: Any, what: str) -> str:
    try:
        _check_keys(value)
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{what} cannot be written as JSON: {error}") from None


def _check_keys(value: Any) -> None:
    """JSON makes texts of other keys, and says nothing."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} is no text")
            _check_keys(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check_keys(item)


def save_model(path: str | os.PathLike[str], model: nn.Module, info: dict[str, Any] | None = None) -> Path:
    """Write a model (wrapped in :class:`Normalized` or not) to ``path``, whole or not at all.

    Args:
        path: the file, by custom ``*.safetensors``.
        model: a :class:`Normalized`, a :class:`NeuralOperator`, or a user's own ``nn.Module`` that keeps its
            constructor's arguments as attributes.
        info: provenance, anything JSON can hold.

    A class that is not of this library is built once more from what was written, and must have its arguments again.

    Raises:
        ValueError: for a model that no file could bring back, or settings that JSON cannot hold.
        OSError: if the file cannot be written.
    """
    model = model if isinstance(model, Normalized) else Normalized(model)
    tensors, texts = describe(model, info)
    if texts["model"] not in MODELS:
        check_rebuilt(model.model, texts["model"], json.loads(texts["config"]))
    save_weights(path, tensors, texts)
    return Path(path)


def _parsed(path: str | os.PathLike[str], texts: dict[str, str]) -> dict[str, Any]:
    """The texts that are JSON, each of the type that it must have."""
    try:
        found = {name: json.loads(texts[name]) for name in ("config", "info")}
        found["state"] = json.loads(texts.get("state", "{}"))
        found |= {"residual": json.loads(texts["residual"])} if "residual" in texts else {}
    except (KeyError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is foreign: its settings are no JSON ({type(error).__name__}: {error})") from None
    wrong = [name for name, value in found.items() if not isinstance(value, dict)]
    if wrong or "model" not in texts:
        raise ValueError(f"{path} is foreign: it holds no {(wrong or ['model'])[0]}")
    return found


def load_info(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The ``info`` that :func:`save_model` was given, with the keys "model" and "config" added.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged or foreign.
    """
    texts = load_texts(path)
    found = _parsed(path, texts)
    return {**found["info"], "model": texts["model"], "config": found["config"]}


def load_model(path: str | os.PathLike[str], *, trust_import: bool = False) -> Normalized:
    """The model of a checkpoint, in eval mode, on the CPU.

    Args:
        path: a file of :func:`save_model`.
        trust_import: whether a class named "package.module:Class" in the file may be imported. Importing runs
            code that the file chose, so say yes only to your own files.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, foreign, or does not fit the model it names.
    """
    tensors, texts = load_weights(path)
    return restore(path, tensors, texts, trust_import=trust_import)


def restore(
    path: str | os.PathLike[str], tensors: dict[str, Tensor], texts: dict[str, str], *, trust_import: bool
) -> Normalized:
    """The model that :func:`describe` described; ``path`` is for messages."""
    parsed, name = _parsed(path, texts), texts["model"]
    if name not in MODELS and not trust_import:
        raise ValueError(
            f"{path} holds a model {name!r} that is not of this library; pass trust_import=True to import it"
        )
    config = _settings(path, name, parsed["config"], trust_import)
    parts = {}
    for field in NORMALIZERS:
        if {f"{field}.mean", f"{field}.std"} <= set(tensors):
            parts[field] = Normalizer(tensors[f"{field}.mean"].clone(), tensors[f"{field}.std"].clone())
    try:
        if "pos.knots" in tensors:
            parts["pos"] = Quantiles(tensors["pos.knots"].clone())
        if name in MODELS:  # a stranger's settings, perhaps: look at the sizes before memory is taken
            found = {key.removeprefix("model."): tuple(t.shape) for key, t in tensors.items() if key[:6] == "model."}
            needed = declared_shapes(name, config, len(found))
            for key in [*needed, *found]:
                if needed.get(key) != found.get(key):
                    raise ValueError(f"{key} has shape {found.get(key)}, where the model has {needed.get(key)}")
        model = Normalized(build_model(name, **config), **parts, residual=parsed.get("residual"))
    except ValueError as error:
        raise ValueError(f"{path} does not fit the model {name!r} that it names: {error}") from error
    as_stored(model, tensors)
    try:
        model.load_state_dict({**tensors, **parsed["state"]})
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit the model {name!r} that it names: {error}") from None
    return model.eval()


def _settings(path: str | os.PathLike[str], name: str, config: dict[str, Any], trust_import: bool) -> dict[str, Any]:
    """``config`` in today's form; a patch metric that is not of this library needs trust."""
    if name not in MODELS:
        return config
    try:
        config = current_settings(config)
        foreign = foreign_metric(config.get("patches"))
    except FOREIGN as error:
        raise ValueError(f"{path} does not fit the model {name!r} that it names: {error}") from None
    if foreign is not None and not trust_import:
        raise ValueError(
            f"{path} holds a patch metric {foreign!r} that is not of this library; pass trust_import=True to import it"
        )
    return config


@torch.no_grad()
def as_stored(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Give every parameter and buffer of ``model`` the dtype of its tensor; ties are kept."""
    for name, weight in [*model.named_parameters(remove_duplicate=False), *model.named_buffers()]:
        if name in tensors and weight.dtype != tensors[name].dtype:
            weight.data = weight.data.to(tensors[name].dtype)


def start_from(model: NeuralOperator, path: str | os.PathLike[str], replace: Sequence[str] = ()) -> NeuralOperator:
    """Copy a checkpoint's weights into ``model``, to train on from there. Returns the model.

    Args:
        model: of the same class and settings; its numbers of channels may differ where a part is replaced.
        path: a file of :func:`save_model`.
        replace: parts that keep the model's fresh weights: "encoder", "decoder" or both.

    Raises:
        FileNotFoundError, ValueError: as :func:`load_model`; if the weights do not fit, naming the first that does
            not and whether replacing a part would help; for other settings, naming each; for an unknown part.
    """
    unknown = sorted(set(replace) - set(PARTS))
    if unknown:
        raise ValueError(f"replace names {unknown}; choose from {list(PARTS)}")
    tensors, texts = load_weights(path)
    parsed = _parsed(path, texts)
    if texts["model"] != model_name(model):
        raise ValueError(f"{path} holds a model {texts['model']!r}; this one is {model_name(model)!r}")
    found = {
        name.removeprefix("model."): value
        for name, value in {**tensors, **parsed["state"]}.items()
        if name[:6] == "model."
    }
    config = _settings(path, texts["model"], parsed["config"], True)
    transfer(model, found, config, replace, f"{path} has")
    return model
