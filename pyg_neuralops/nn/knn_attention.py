"""``KNNAttention``, softmax attention of each node over its patch, and ``PatchMixer``, the same as a mixer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import softmax

from ..data import Mesh
from ..ops import EdgeTiles, incoming_reach, nearest_image, tiled_attention
from ..ops.symmetric import products
from ..ops.tiles.geometry import num_columns
from .heads import check_heads, width_of_keys
from .initial import Layer, reset_parts
from .learned_metric import LearnedMetric

SOFT_MASKS = ("head", "layer", "none", "metric")
INITIAL_STRENGTH = 0.1  # a weak mask: nearly the plain softmax


class KNNAttention(MessagePassing):
    r"""Local pairwise attention with a learnable soft mask, after LA2Former (arXiv 2504.13480).

    .. math::
        w_{ij} \propto \exp\Big(\frac{q_i \cdot k_j}{\sqrt d} - g_h \frac{|p_j - p_i|^2}{l_i^2}
            + \frac{w_h(q_i) \cdot (p_j - p_i)}{l_i} + \log m_j\Big), \qquad y_i = W_o \sum_j w_{ij} v_j

    over the incoming edges j -> i, per head h. The reach :math:`l_i` is the longest incoming edge (the distance
    to the K-th neighbour), :math:`g_h = \mathrm{softplus}(s_h)` is learned, and the directional term is optional. m is
    the weight of a node, where nodes do not count alike. A node without incoming edges gets the bias of :math:`W_o`
    alone. A learned metric has :math:`-(p_j - p_i)^\top A_h(x_i) (p_j - p_i) / l_i^2` in place of g's term
    (:class:`LearnedMetric`), and starts as it.

    Args:
        channels: C, in and out.
        pos_dim: D.
        heads: H, a divisor of C.
        soft_mask: "head" (one g per head), "layer" (one g), "none", or "metric" (A, per node and head).
        direction: whether the directional term is present; it starts at zero.
        key_width: features of a head's queries and keys, d; by default the head's width C / H, less the D + 1
            columns that tiles need for distance and direction where a head of 16 or more features has no room for
            them beside its own: fused attention works on multiples of 8, and a wider head costs half as much again.
            A metric needs D (D + 3) / 2 columns, and takes what is missing from smaller heads too.
        project: whether W_o is present (a :class:`Fusion` brings its own).
        scales: lengths of the soft mask in units of l_i, dealt to as many groups of consecutive heads, such as
            (1, 0.5, 0.25): g_h is softplus(s_h) over the square of the head's. With soft_mask="head" only.

    Shapes:
        ``x [N, C], pos [N, D], adj -> [N, C]``, with adj either ``edge_index [2, E]`` or
        :class:`pyg_neuralops.ops.EdgeTiles` made from it: the same result, several times faster;
        ``reach [N]`` is computed when not given; ``period [D]``: side lengths of a periodic box, in which
        p_j - p_i is the nearest image; ``log_weight [N]``: log m, which tiles may carry themselves
        (:meth:`pyg_neuralops.ops.EdgeTiles.with_bias`).

    Raises:
        ValueError: if heads does not divide channels, soft_mask is unknown, or scales are not positive, do not
            divide the heads, or stand with another soft mask.
    """

    def __init__(
        self,
        channels: int,
        *,
        pos_dim: int = 2,
        heads: int = 8,
        soft_mask: str = "head",
        direction: bool = False,
        key_width: int | None = None,
        project: bool = True,
        scales: Sequence[float] | None = None,
    ):
        super().__init__(aggr="add", node_dim=0)
        self.width = check_heads(channels, heads)
        if soft_mask not in SOFT_MASKS:
            raise ValueError(f"soft_mask={soft_mask!r}; choose from {list(SOFT_MASKS)}")
        if key_width is None:
            has_mask = soft_mask != "none"
            plain = num_columns(pos_dim, has_mask, False) if has_mask or direction else 0
            columns = num_columns(pos_dim, False, True) if soft_mask == "metric" else plain
            key_width = width_of_keys(self.width, plain, columns)
        if key_width < 1:
            raise ValueError(f"key_width={key_width}; it must be at least 1")
        self.key_width = key_width
        self.channels, self.pos_dim, self.heads, self.soft_mask = channels, pos_dim, heads, soft_mask
        self.qkv = nn.Linear(channels, heads * (2 * key_width + self.width))
        self.out = nn.Linear(channels, channels) if project else nn.Identity()
        shape = {"head": (heads,), "layer": (1,), "none": (0,), "metric": (0,)}[soft_mask]
        self.mask = nn.Parameter(torch.empty(shape))
        self.direction = nn.Parameter(torch.empty(heads, key_width, pos_dim)) if direction else None
        self.squared = None if scales is None else squared_scales(scales, heads, soft_mask)
        self.register_buffer("squares", None if scales is None else torch.empty(heads), persistent=False)
        self.metric: LearnedMetric | None = None
        if soft_mask == "metric":
            self.metric = LearnedMetric(channels, pos_dim=pos_dim, heads=heads, start=INITIAL_STRENGTH)
        self.max_mib: float | None = None  # see :func:`pyg_neuralops.nn.limit_memory`
        self.reset_own()

    def reset_parameters(self) -> None:
        reset_parts(self)
        self.reset_own()

    def reset_own(self) -> None:
        # Drawn a second time, as it always was, so that a seed keeps its numbers.
        self.qkv.reset_parameters()
        if isinstance(self.out, nn.Linear):
            self.out.reset_parameters()
        nn.init.constant_(self.mask, math.log(math.expm1(INITIAL_STRENGTH)))  # softplus^-1
        if self.direction is not None:
            nn.init.zeros_(self.direction)
        if self.squared is not None and self.squares is not None:
            self.squares.copy_(torch.tensor(self.squared, device="cpu"))

    @property
    def strength(self) -> Tensor:
        """g, the strength of the soft mask: ``[H]``, ``[1]``, or ``[0]`` without one or with a metric."""
        g = F.softplus(self.mask)
        return g if self.squares is None else g / self.squares

    def forward(
        self,
        x: Tensor,
        pos: Tensor,
        adj: Tensor | EdgeTiles,
        reach: Tensor | None = None,
        period: Tensor | None = None,
        log_weight: Tensor | None = None,
    ) -> Tensor:
        shares = [self.heads * width for width in (self.key_width, self.key_width, self.width)]
        q, k, v = (part.unflatten(1, (self.heads, -1)) for part in self.qkv(x).split(shares, 1))  # [N, H, d]
        w = None if self.direction is None else torch.einsum("nhd,hdp->nhp", q, self.direction)  # [N, H, D]
        metric = None if self.metric is None else self.metric(x)  # [N, H, D (D + 1) / 2]
        if isinstance(adj, EdgeTiles):
            out = tiled_attention(
                q,
                k,
                v,
                adj if log_weight is None else adj.with_bias(q.dtype, log_weight),
                pos=pos,
                strength=self.strength if self.mask.numel() else None,
                reach=reach,
                direction=w,
                period=period,
                max_mib=self.max_mib,
                metric=metric,
            )
            return self.out(out.flatten(1))
        reach = incoming_reach(pos, adj, period) if reach is None else reach
        # propagate_type: (q: Tensor, k: Tensor, v: Tensor, pos: Tensor, reach: Tensor, w: OptTensor, period: OptTensor, log_weight: OptTensor, metric: OptTensor)  # noqa: E501
        out = self.propagate(
            adj, q=q, k=k, v=v, pos=pos, reach=reach, w=w, period=period, log_weight=log_weight, metric=metric
        )  # [N, H, d]
        return self.out(out.flatten(1))

    def message(
        self,
        q_i: Tensor,
        k_j: Tensor,
        v_j: Tensor,
        pos_i: Tensor,
        pos_j: Tensor,
        reach_i: Tensor,
        w_i: Tensor | None,
        period: Tensor | None,
        log_weight_j: Tensor | None,
        metric_i: Tensor | None,
        index: Tensor,
        ptr: Tensor | None,
        size_i: int | None,
    ) -> Tensor:
        offset = pos_j - pos_i  # [E, D]
        offset = offset if period is None else nearest_image(offset, period)
        offset = (offset / reach_i[:, None]).to(q_i.dtype)
        score = (q_i * k_j).sum(-1) / math.sqrt(self.key_width)  # [E, H]
        if self.mask.numel():
            score = score - self.strength * offset.square().sum(1, keepdim=True)
        if metric_i is not None:
            score = score - (metric_i * products(offset)[:, None]).sum(-1)
        if w_i is not None:
            score = score + (w_i * offset[:, None]).sum(-1)
        if log_weight_j is not None:
            score = score + log_weight_j[:, None].to(score.dtype)
        weight = softmax(score, index, ptr, size_i)
        return weight[..., None] * v_j

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}({self.channels}, heads={self.heads}, soft_mask={self.soft_mask!r}, "
            f"direction={self.direction is not None})"
        )


def squared_scales(scales: Sequence[float], heads: int, soft_mask: str) -> list[float]:
    """The square of each head's scale, of H heads."""
    if not scales or heads % len(scales) or not all(0 < scale < math.inf for scale in scales):
        raise ValueError(f"scales={list(scales)}; positive lengths are needed, as many as divide heads={heads}")
    if soft_mask != "head":
        raise ValueError(f"scales={list(scales)} with soft_mask={soft_mask!r}; only soft_mask='head' has one a head")
    return [scale**2 for scale in scales for _ in range(heads // len(scales))]


class PatchMixer(Layer):
    """Runs a :class:`KNNAttention` on the patches of the mesh, as tiles where there are any, with the weights of the
    mesh.

    Shapes: ``x [N, C], mesh with patches -> [N, C]``.

    Raises:
        ValueError: in forward, if the mesh has no patches.
    """

    def __init__(self, attention: KNNAttention):
        super().__init__()
        self.attention = attention

    def forward(self, x: Tensor, mesh: Mesh) -> Tensor:
        patches = mesh.patches
        if patches is None:
            raise ValueError("the mesh has no patches; apply KNNPatches (model.prepare does)")
        if patches.tiles is not None:
            return self.attention(x, mesh.pos, patches.tiles, patches.reach, patches.period)
        return self.attention(x, mesh.pos, patches.index, patches.reach, patches.period, mesh.log_weight)
