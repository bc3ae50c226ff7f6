"""``check_saving``: that a model will come back from its file, found out before it is trained."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch_geometric.data import Batch, Data

from ..checkpoint import describe, restore
from ..data.weights_file import pack
from ..normalize import Normalized
from .task import Task


def check_saving(model: Normalized, task: Task, sample: Data) -> None:
    """Write ``model`` in memory, build it again and compare: all weights bit by bit, and, for a user's own class, the
    prediction for one training item too.

    Raises:
        ValueError: for what cannot be written, does not come back, or comes back as another model.
    """
    tensors, texts = describe(model)
    again = rebuilt(model)
    wrong = [name for name, value in describe(again)[0].items() if not _same(value, tensors[name])]
    if wrong:
        raise ValueError(f"{wrong[0]} of {texts['model']} does not come back from a checkpoint as it was")
    own = ":" in texts["model"]  # an import path
    if own and not _same(*_predictions((model, again), task, sample)):
        raise ValueError(
            f"{texts['model']}, built again from a checkpoint, predicts something else: part of what it predicts with "
            "is drawn or given outside its arguments, parameters and persistent buffers; register_buffer keeps it"
        )


def rebuilt(model: Normalized) -> Normalized:
    """Another of it, as from its checkpoint; not every model can be copied."""
    tensors, texts = describe(model)
    plain, aliases = pack(tensors)
    stored = {name: torch.view_as_complex(t) if tensors[name].is_complex() else t for name, t in plain.items()}
    stored |= {name: stored[other] for name, other in aliases.items()}
    return restore("a checkpoint of this model", stored, texts, trust_import=True)


def _same(one: Tensor, two: Tensor) -> bool:
    one, two = (torch.view_as_real(value.resolve_conj()) if value.is_complex() else value for value in (one, two))
    return one.dtype == two.dtype and torch.equal(one.cpu().nan_to_num(), two.cpu().nan_to_num())


def _predictions(models: Sequence[Normalized], task: Task, sample: Data) -> list[Tensor]:
    """Of the models, in eval mode, on the device of the first."""
    weight = next(models[0].parameters(), None)
    place, training = torch.device("cpu") if weight is None else weight.device, models[0].training
    found = []
    for model in models:
        torch.manual_seed(0)
        with torch.no_grad():
            found.append(task.predict(model.to(place).eval(), Batch.from_data_list([sample]).to(place)))
    models[0].train(training)
    return found
