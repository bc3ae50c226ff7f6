"""``LA2Former``: local attention on KNN patches beside global linear attention."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn
from torch_geometric.transforms import BaseTransform

from ..nn import (
    EfficientAttention,
    FourierMixer,
    Fusion,
    GalerkinAttention,
    KNNAttention,
    LowRankSpatialAttention,
    PatchMixer,
    SpectralMixer,
)
from ..transforms import KNNPatches, LaplacianModes
from .base import BlockStack, Patched

GLOBALS = ("efficient", "galerkin", "lrsa", "laplacian", "fourier", "none")


class LA2Former(Patched, BlockStack):
    r"""After LA2Former (arXiv 2504.13480): in every block KNN-patch attention with a learnable soft mask, in
    parallel with global linear attention; both are concatenated and projected. Trained on relative L2.

    .. math::
        z = \mathrm{LN}(x), \quad
        x \leftarrow x + W_o [\mathrm{local}(z), \mathrm{global}(z)], \quad
        x \leftarrow x + \mathrm{MLP}(\mathrm{LN}(x)),

    .. math::
        \mathrm{local}(z)_i = \sum_{j \in \mathrm{KNN}(i)} w_{ij} v_j, \quad
        w_{ij} \propto \exp\Big(\frac{q_i \cdot k_j}{\sqrt d} - g_h \frac{|p_j - p_i|^2}{l_i^2}\Big), \qquad
        \mathrm{global}(z)_i = \mathrm{softmax}_d(q_i) \sum_j \mathrm{softmax}_N(k)_j^\top v_j

    per head h, each path with queries, keys and values of its own (:class:`KNNAttention`,
    :class:`EfficientAttention`). With ``fusion="gate"`` the sum is :math:`W_o [\gamma\, \mathrm{local} + (1 - \gamma)\,
    \mathrm{global}]`, :math:`\gamma` made of both (:class:`Fusion`).

    The paper fixes the layout, K of 30 to 40, 8 layers and about 96 channels. The form of the soft mask, the
    kind of linear attention and the heads are our choices, each a switch below.

    Args:
        in_channels: F, channels of ``data.x`` (0: shape-only problems).
        out_channels: O.
        pos_dim: D.
        hidden_channels: C. num_layers: blocks.
        heads: H, a divisor of C. Each has a soft mask of its own; where C is small, fewer of them are faster.
        patches: a :class:`KNNPatches`, its settings such as ``{"k": 24, "metric": "Upwind('wind', stretch=6)"}``,
            or K alone.
        soft_mask: of :class:`KNNAttention`: "head", "layer", "none", or "metric", whose width has a learned direction
            at each node.
        direction: whether patches see direction (the directional term of :class:`KNNAttention`).
        local: whether the local path is present.
        global_: "efficient" (softmax on q over features and on k over nodes), "galerkin", "lrsa", "laplacian" (a
            learned filter on the lowest modes of the mesh, :class:`SpectralMixer`), "fourier" (FNO's layer, grids
            only), or "none"; or several of them but "none", ("efficient", "lrsa"), all beside the local path.
        fusion: of both paths, "concat" (paper), "gate" or "scalar" (:class:`Fusion`).
        coords: whether the encoder sees positions, "reference-grid" or "fourier" (:class:`Positions`).
        ratio: of the feed-forwards, those of the latents included.
        num_latents: M of "lrsa".
        modes: kept by "laplacian", in all; "fourier" keeps the D-th root of it on each axis, rounded.
        measure: whether nodes count by their weight (``data.weight``) in all softmaxes and sums over nodes, local and
            global, which then estimate integrals on graded meshes too: False, True, or "auto", where the data have it.
            Splitting a node in two of half the weight at its place changes nothing, then, but for the K of patches.
        scales: of :class:`KNNAttention`: lengths of the soft mask, one for each group of heads, such as (1, 0.5, 0.25).

    Raises:
        ValueError: for values outside these, or neither a local nor a global path.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        pos_dim: int = 2,
        hidden_channels: int = 96,
        num_layers: int = 8,
        heads: int = 8,
        patches: KNNPatches | Mapping[str, Any] | int = 32,
        soft_mask: str = "head",
        direction: bool = False,
        local: bool = True,
        global_: str | Sequence[str] = "efficient",
        fusion: str = "concat",
        coords: bool | str = True,
        ratio: float = 2,
        num_latents: int = 64,
        measure: bool | str = False,
        modes: int = 64,
        scales: Sequence[float] | None = None,
    ):
        names = [global_] if isinstance(global_, str) else list(global_)
        if not names or set(names) - set(GLOBALS) or ("none" in names and len(names) > 1):
            raise ValueError(f"global_={global_!r}; choose from {list(GLOBALS)}, or several other than 'none'")
        if not local and names == ["none"]:
            raise ValueError("local=False with global_='none' leaves no path between nodes; keep one")
        if modes < 1:
            raise ValueError(f"modes={modes}; it must be at least 1")
        build_global: dict[str, Callable[[], nn.Module]] = {
            "efficient": lambda: EfficientAttention(hidden_channels, heads=heads, project=False),
            "galerkin": lambda: GalerkinAttention(hidden_channels, pos_dim=pos_dim, heads=heads),
            "lrsa": lambda: LowRankSpatialAttention(
                hidden_channels, heads=heads, num_latents=num_latents, ratio=ratio, project=False
            ),
            "laplacian": lambda: SpectralMixer(hidden_channels, project=False),
            "fourier": lambda: FourierMixer(hidden_channels, dim=pos_dim, modes=round(modes ** (1 / pos_dim))),
        }

        def make_mixer(layer: int) -> nn.Module:
            mixers: list[nn.Module] = []
            if local:
                mixers.append(
                    PatchMixer(
                        KNNAttention(
                            hidden_channels,
                            pos_dim=pos_dim,
                            heads=heads,
                            soft_mask=soft_mask,
                            direction=direction,
                            project=False,
                            scales=scales,
                        )
                    )
                )
            mixers += [build_global[name]() for name in names if name != "none"]
            return Fusion(hidden_channels, mixers, mode=fusion)

        super().__init__(
            in_channels,
            out_channels,
            pos_dim=pos_dim,
            hidden_channels=hidden_channels,
            num_layers=num_layers,
            make_mixer=make_mixer,
            coords=coords,
            ratio=ratio,
            measure=measure,
        )
        self.patches = KNNPatches.of(patches, tiles=True)
        self.heads, self.soft_mask, self.direction = heads, soft_mask, direction
        self.local, self.fusion, self.num_latents = local, fusion, num_latents
        self.modes, self.laplacian = modes, LaplacianModes(modes, period=self.patches.period or None)
        self.scales = None if scales is None else list(scales)
        self.global_: str | list[str] = global_ if isinstance(global_, str) else names

    @property
    def transforms(self) -> Sequence[BaseTransform]:
        found: list[BaseTransform] = [self.patches] if self.local else []
        names = [self.global_] if isinstance(self.global_, str) else self.global_
        return [*found, self.laplacian] if "laplacian" in names else found
