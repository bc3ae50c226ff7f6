"""The attention over patches, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from ..data import Mesh
from ..nn import KNNAttention, PatchMixer
from ..ops import nearest_image


@dataclass(frozen=True)
class PatchAttention:
    """The attention of one layer over its patches.

    Shapes: ``edge_index [2, E]`` (row 0 the neighbour, row 1 the query); ``weight [E, H]`` sums to one over the
    edges of a query; ``mask [E, H]`` the same with all scores equal, so that only the soft mask is left;
    ``distance [E]`` = |p_j - p_i| / l_i.
    """

    layer: str
    edge_index: Tensor
    weight: Tensor
    mask: Tensor
    distance: Tensor

    def row(self, node: int, num_nodes: int) -> Tensor:
        """How ``node`` attends to every node, ``[H, N]``, zero outside its patch."""
        mine = self.edge_index[1] == node
        out = self.weight.new_zeros(self.weight.shape[1], num_nodes)
        return out.index_add(1, self.edge_index[0, mine], self.weight[mine].t())


def patch_attention(model: nn.Module, data: Data) -> list[PatchAttention]:
    """The attention over patches of every layer of ``model`` on one sample or batch, in the order of the layers.

    Raises:
        ValueError: if the model has no patch attention.
    """
    found: list[PatchAttention] = []
    with watching(model, lambda *seen: found.append(_attention(*seen))):
        with torch.no_grad():
            model(data)
    return found


def attention_maps(model: nn.Module, data: Data, nodes: Sequence[int]) -> dict[str, Tensor]:
    """How chosen query nodes attend to all nodes, ``{layer: [len(nodes), H, N]}``, zero outside their patches.

    Raises:
        ValueError: if the model has no patch attention, or a node is not there.
    """
    check_nodes(nodes, len(data.pos))
    rows = {layer.layer: [layer.row(n, len(data.pos)) for n in nodes] for layer in patch_attention(model, data)}
    return {name: torch.stack(row) for name, row in rows.items()}


@contextmanager
def watching(model: nn.Module, seen: Callable[[str, KNNAttention, Tensor, dict[str, Any]], object]) -> Iterator[None]:
    """While open, patch attention runs edge by edge and calls ``seen(name, layer, edges, message's arguments)``."""
    names = {module: name for name, module in model.named_modules()}
    edges: dict[nn.Module, Tensor] = {}

    def on_edges(mixer: nn.Module, args: tuple[Tensor, Mesh]) -> tuple[Tensor, Mesh]:
        x, mesh = args
        return x, mesh if mesh.patches is None else replace(mesh, patches=replace(mesh.patches, tiles=None))

    def keep_edges(layer: nn.Module, args: tuple[Tensor, Any, Any]) -> None:
        edges[layer] = args[0]

    def tell(layer: KNNAttention, args: tuple[dict[str, Any]]) -> None:
        seen(names[layer], layer, edges[layer], args[0])

    handles = []
    for module in names:
        if isinstance(module, PatchMixer):
            handles.append(module.register_forward_pre_hook(on_edges))
        if isinstance(module, KNNAttention):
            handles.append(module.register_propagate_forward_pre_hook(keep_edges))
            handles.append(module.register_message_forward_pre_hook(tell))
    if not handles:
        raise ValueError(f"{type(model).__name__} has no patch attention to look at")
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def weights_of(layer: KNNAttention, kwargs: dict[str, Any], **changes: Any) -> Tensor:
    """Attention weights ``[E, H]``: the messages of a layer whose values are all one."""
    ones = torch.ones_like(kwargs["v_j"][..., :1])
    return layer.message(**{**kwargs, "v_j": ones, **changes})[..., 0]


def _attention(name: str, layer: KNNAttention, edge_index: Tensor, kwargs: dict[str, Any]) -> PatchAttention:
    # Without queries (and the direction made from them) the scores are those of the soft mask alone.
    mask = weights_of(layer, kwargs, q_i=torch.zeros_like(kwargs["q_i"]), w_i=None)
    offset, period = kwargs["pos_j"] - kwargs["pos_i"], kwargs["period"]
    offset = offset if period is None else nearest_image(offset, period)
    distance = offset.norm(dim=1) / kwargs["reach_i"]
    return PatchAttention(name, edge_index, weights_of(layer, kwargs).detach(), mask.detach(), distance)


def check_nodes(nodes: Sequence[int], num_nodes: int) -> None:
    """ValueError unless all ``nodes`` are among the first ``num_nodes`` numbers."""
    wrong = [node for node in nodes if not 0 <= node < num_nodes]
    if wrong:
        raise ValueError(f"nodes {wrong} are not there; the data have {num_nodes}")
