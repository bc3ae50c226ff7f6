"""Patches, and where attention looks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor

from ..data import MeshData
from .field import bare, plot_field


def plot_patch(
    ax: Axes, data: MeshData, centres: Sequence[int], *, wind: Tensor | None = None, title: str = ""
) -> None:
    """Draw the patches of some nodes of a 2D sample: the neighbours of each in a colour, the node itself as a star.

    Args:
        data: with ``patch_index`` (:class:`pyg_neuralops.transforms.KNNPatches`).
        centres: the nodes.
        wind: ``[N, 2]``, drawn as arrows of one length on a raster of the nearest nodes.

    Raises:
        ValueError: if the sample has no patches or is not 2D.
    """
    if data.get("patch_index") is None or data.pos.shape[1] != 2:
        raise ValueError(
            f"the sample is {data.pos.shape[1]}D with {sorted(data.keys())}; 2D and patch_index are needed"
        )
    pos = data.pos.detach().cpu()
    x, y = pos.T.numpy()
    ax.scatter(x, y, s=4, color="0.8", linewidths=0)
    if wind is not None:
        plot_wind(ax, pos, wind)
    source, target = data.patch_index.cpu()
    for number, centre in enumerate(centres):
        patch = pos[source[target == centre]].numpy()
        ax.scatter(patch[:, 0], patch[:, 1], s=16, color=f"C{number % 10}", linewidths=0)
        ax.scatter(x[centre], y[centre], s=110, color=f"C{number % 10}", marker="*", edgecolors="black", linewidths=0.8)
    if title:
        ax.set_title(title)
    bare(ax, data.pos.detach().cpu().numpy())


def plot_wind(ax: Axes, pos: Tensor, wind: Tensor) -> None:
    """Draw ``wind [N, 2]`` at ``pos [N, 2]`` as arrows of one length on a raster of the nearest nodes."""
    pos = pos.detach().cpu()
    low, high = pos.amin(0), pos.amax(0)
    raster = low + (high - low) * torch.cartesian_prod(*[torch.linspace(0.03, 0.97, 18)] * 2)
    near = torch.cdist(raster.to(pos.dtype), pos).argmin(1)
    arrows = torch.nn.functional.normalize(wind.detach().cpu()[near], dim=1)
    ax.quiver(*raster.T.numpy(), *arrows.T.numpy(), color="0.55", width=0.002, scale=30)


def attention_on_mesh(
    data: MeshData, weights: Tensor, nodes: Sequence[int], *, titles: Sequence[str] | None = None, cmap: str = "magma_r"
) -> Figure:
    """How chosen nodes look at the mesh: one picture a node, the node marked by a star.

    Colours start at zero and end at each picture's own maximum, so that a sharp and a wide attention both show.

    Args:
        data: one sample. weights: ``[len(nodes), N]``, such as a mean over the heads of
            :func:`pyg_neuralops.inside.attention_maps`, or :func:`pyg_neuralops.inside.influence`.
        nodes: the query nodes. titles: one a picture.

    Raises:
        ValueError: if there is not one row a node or one value per node of the mesh.
    """
    if weights.shape != (len(nodes), data.num_nodes):
        raise ValueError(f"weights has shape {tuple(weights.shape)}; [{len(nodes)}, {data.num_nodes}] is needed")
    flat = data.pos.shape[1] < 3
    figure = Figure(figsize=(2.6 * len(nodes) + 0.4, 2.9), layout="constrained")
    axes = figure.subplots(1, len(nodes), squeeze=False, subplot_kw={} if flat else {"projection": "3d"})[0]
    figure.draw_without_rendering()
    for number, (ax, node, row) in enumerate(zip(axes, nodes, weights.detach().cpu(), strict=True)):
        norm = Normalize(0.0, float(row.max()) or 1.0)
        mapped = plot_field(ax, data, row, norm=norm, cmap=cmap, title=titles[number] if titles else f"node {node}")
        where = data.pos[node].detach().cpu().tolist() + ([float(row[node])] if data.pos.shape[1] == 1 else [])
        ax.plot(*[[value] for value in where], "*", color="tab:cyan", markeredgecolor="black", markersize=11)
        figure.colorbar(mapped, ax=ax, shrink=0.75)
    return figure
