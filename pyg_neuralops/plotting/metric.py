"""A learned metric as ellipses over the mesh."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from torch import Tensor

from ..data import MeshData
from .attention import plot_wind
from .field import aspect, bare, plot_field

LONGEST = 10.0  # one axis of an ellipse over the other: beyond it all look alike


def metric_on_mesh(
    data: MeshData,
    metric: Tensor,
    *,
    values: Tensor | None = None,
    wind: Tensor | None = None,
    across: int = 14,
    titles: Sequence[str] | None = None,
) -> Figure:
    """Ellipses of equal distance, ``d^T A d = const``, at nodes of a 2D sample, one head a panel.

    A node looks far along the long axis. Lengths are in units of each node's reach and compare within a panel only:
    nine in ten of its ellipses are shorter than the raster is wide. The numbers are medians over all nodes, of the
    strength, trace(A) / 2, and of the ratio of the axes; ellipses are drawn no longer than ten times their width.

    Args:
        data: one sample. metric: ``[N, H, 2, 2]``, one layer of :func:`pyg_neuralops.inside.learned_metrics`.
        values: ``[N]``, drawn below them. wind: ``[N, 2]``, drawn as arrows of one length.
        across: about how many ellipses in a row. titles: one a head.

    Raises:
        ValueError: if the sample is not 2D or the metric not of its nodes.
    """
    if data.pos.shape[1] != 2 or metric.dim() != 4 or metric.shape[::2] != (data.num_nodes, 2) or metric.shape[3] != 2:
        here = f"the sample is {data.pos.shape[1]}D with {data.num_nodes} nodes, metric has shape {list(metric.shape)}"
        raise ValueError(f"{here}; 2D and [{data.num_nodes}, H, 2, 2] are needed")
    heads = metric.shape[1]
    if titles is not None and len(titles) != heads:
        raise ValueError(f"there are {len(titles)} titles for {heads} heads")
    pos = data.pos.detach().cpu().double()
    low, side = pos.amin(0), (pos.amax(0) - pos.amin(0)).amax() / across
    cell = ((pos - low) / side).floor()  # one node each, the nearest to its middle
    order = (pos - low - (cell + 0.5) * side).norm(dim=1).argsort()
    nodes = order[np.unique(cell[order].numpy(), axis=0, return_index=True)[1]]
    weak, strong, axis = _axes(metric.detach().cpu().double())
    figure = Figure(figsize=(3.2 * heads + 0.2, 3.0 * aspect(data) + 0.5), layout="constrained")
    panels = figure.subplots(1, heads, squeeze=False)[0]
    figure.draw_without_rendering()
    for head, ax in enumerate(panels):
        if values is not None:
            plot_field(ax, data, values)
        if wind is not None:
            plot_wind(ax, data.pos, wind)
        long, short = weak[nodes, head].rsqrt(), strong[nodes, head].rsqrt()
        unit = float(side / long.quantile(0.9))
        angle = torch.atan2(axis[nodes, head, 1], axis[nodes, head, 0]).rad2deg()
        ax.add_collection(
            EllipseCollection(
                (unit * long).numpy(),
                (unit * short).numpy(),
                angle.numpy(),
                units="xy",
                offsets=pos[nodes].numpy(),
                offset_transform=ax.transData,
                facecolors="none",
                edgecolors="black" if values is None else "white",
                linewidths=0.8,
            )
        )
        strength = (metric[:, head, 0, 0] + metric[:, head, 1, 1]).median() / 2
        ratio = (strong[:, head] / weak[:, head]).sqrt().median()
        name = titles[head] if titles else f"head {head}"
        axes = f"{float(ratio):.1f}" if ratio < 0.999 * LONGEST else f"over {LONGEST:.0f}"
        ax.set_title(f"{name}: strength {float(strength):.2g}, axes {axes}", fontsize="small")
        bare(ax, pos.numpy())
    return figure


def _axes(metric: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The eigenvalues ``[N, H]`` of a metric, the smaller not below the larger over ``LONGEST`` squared, and the
    eigenvector ``[N, H, 2]`` of the smaller."""
    value, vector = torch.linalg.eigh(metric)
    strong = value[..., 1].clamp_min(torch.finfo(value.dtype).tiny ** 0.5)
    return value[..., 0].maximum(strong / LONGEST**2), strong, vector[..., 0]
