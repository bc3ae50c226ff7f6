"""``choose_k``: how many points a patch needs, from a short run with large patches."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch_geometric.data import Data

from ..data import MeshData, mesh_loader
from ..engine import SteadyField, Task, fit
from ..inside import attention_mass, connecting_k
from ..models import build_model
from ..transforms import KNNPatches
from .fitted import fitted
from .settings import Recipe


@dataclass(frozen=True)
class ChosenK:
    """What :func:`choose_k` found.

    Attributes:
        k: the larger of the next two.
        by_mass: the smallest K whose nearest hold the share asked for, in every layer.
        connected: the smallest K with which the patches of every sample are one graph, or as nearly one as the largest
            patches are.
        masses: the share that the K nearest hold, from K = 1 on, by layer.
    """

    k: int
    by_mass: int
    connected: int
    masses: dict[str, list[float]]

    def to_table(self, at: Sequence[int] = (4, 8, 12, 16, 24, 32, 48, 64)) -> str:
        """The masses as a Markdown table, a row a layer."""
        at = [k for k in at if k <= max(map(len, self.masses.values()))]
        lines = [f"| layer | {' | '.join(f'K = {k}' for k in at)} |", "|---|" + "---:|" * len(at)]
        for name, held in self.masses.items():
            lines.append(f"| {name} | {' | '.join(f'{held[min(k, len(held)) - 1]:.1%}' for k in at)} |")
        return "\n".join(lines)


def choose_k(
    name: str,
    kwargs: Mapping[str, Any],
    train: Sequence[MeshData],
    *,
    largest: int = 64,
    keep: float = 0.95,
    samples: int = 8,
    task: Task | None = None,
    recipe: Recipe | None = None,
    seed: int = 0,
    positions: str = "channel",
) -> ChosenK:
    """Train with patches of ``largest`` points for a while, and see how many of them are attended to.

    K is the smallest with which the K nearest hold ``keep`` of the attention, in the mean over nodes, heads and
    samples, in each layer; and at least what connects the patch graph of each sample. Attention is more concentrated
    the longer a model has learned: after a short run K is rather too large. Where it is not concentrated at all, the
    answer is ``keep`` times ``largest``: larger patches may then be worth a try.

    Args:
        name, kwargs: of :func:`pyg_neuralops.models.build_model`; a model with patch attention.
        train: training samples; no others are needed, and none should be shown.
        samples: how many of them are looked at after training, the first ones.
        task: ``SteadyField()`` by default.
        recipe: of the run, 3 epochs by default. Epochs and steps give the same answer each time; seconds need not.
        seed: of weights and batches.
        positions: what normalize_pos="auto" stands for, such as ``Airfoil.positions``.

    Raises:
        ValueError: for numbers outside these, patches with a radius (whose K is only a bound), or a model without
            patch attention.
    """
    if largest < 2 or not 0 < keep < 1 or samples < 1 or not len(train):
        raise ValueError(
            f"largest={largest}, keep={keep}, samples={samples}, {len(train)} training samples; they must be at least "
            "2, between 0 and 1, and at least 1"
        )
    settings = KNNPatches.of(kwargs.get("patches", largest)).to_config()
    if "radius" in settings:
        raise ValueError(f"patches with radius={settings['radius']} have no k to choose; it only bounds them")
    kwargs = {**kwargs, "patches": {**settings, "k": largest}}
    task, recipe = task or SteadyField(), recipe or Recipe(epochs=3)
    recipe = recipe.for_model(name)
    first: Any = task.items(train[:1])[0]
    shape = {"in_channels": first.in_channels, "out_channels": first.y.shape[1], "pos_dim": first.pos.shape[1]}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        inner = build_model(name, **shape, **kwargs)
    prepared = [inner.prepare(copy.copy(sample)) for sample in train]
    model = fitted(inner, prepared, task, recipe.modes(positions))
    looked_at = [task.items([sample])[0] for sample in prepared[:samples]]
    attention_mass(model, looked_at[0])  # a model without patch attention is refused before it is trained
    loader = mesh_loader(task.items(prepared), recipe.batch_size, max_nodes=recipe.max_nodes, shuffle=True, seed=seed)
    with tempfile.TemporaryDirectory() as out:
        fit(model, loader, None, recipe, out=out, task=task, seed=seed, progress=False)
    return rule([attention_mass(model, item) for item in looked_at], prepared[:samples], keep)


def rule(found: Sequence[Mapping[str, torch.Tensor]], prepared: Sequence[Data], keep: float) -> ChosenK:
    """The choice, from the masses of each sample by layer, and from the samples with their patches."""
    masses = {}
    for layer in found[0]:
        curves = torch.nn.utils.rnn.pad_sequence([one[layer] for one in found], padding_value=1.0)  # [K, samples]
        masses[layer] = curves.double().mean(1)
    # Sums of weights of one end a rounding below one.
    by_mass = max(int((mass < keep * (1 - 1e-6)).sum()) + 1 for mass in masses.values())
    connected = max(connecting_k(sample.patch_index, len(sample.pos)) for sample in prepared)
    return ChosenK(max(by_mass, connected), by_mass, connected, {name: m.tolist() for name, m in masses.items()})
