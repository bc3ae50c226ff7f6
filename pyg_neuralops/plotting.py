"""Fields and predictions on meshes, drawn on the true cells.

Everything is drawn on ``matplotlib.figure.Figure`` objects without pyplot: no window, no global state.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.tri import Triangulation
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from torch import Tensor

from .data import MeshData, replacing

FIELD, ERROR = "viridis", "magma_r"


def surface(data: MeshData) -> Tensor:
    """The triangles that show a mesh: faces, quads cut in two, and the boundary of tetrahedra. ``-> [T, 3]``"""
    found = [torch.empty(0, 3, dtype=torch.long)]
    if data.get("face") is not None:
        found.append(data.face.t().long())
    if data.get("quad") is not None:
        quad = data.quad.t().long()
        found += [quad[:, [0, 1, 2]], quad[:, [0, 2, 3]]]
    if data.get("tet") is not None:
        tet = data.tet.t().long()
        sides = torch.cat([tet[:, list(corners)] for corners in ((0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3))])
        _, inverse, counts = sides.sort(1).values.unique(dim=0, return_inverse=True, return_counts=True)
        found.append(sides[counts[inverse] == 1])
    return torch.cat(found)


def plot_field(
    ax: Axes, data: MeshData, values: Tensor, *, norm: Normalize | None = None, cmap: str = FIELD, title: str = ""
) -> ScalarMappable:
    """Draw nodal ``values [N]`` of one sample.

    In 2D on the cells, or as points about as wide as their spacing where there are none; in 3D on the surface
    cells, or as points (``ax`` must then have ``projection="3d"``); in 1D as a line, coloured points on it.

    Args:
        norm: colour scale; that of the values by default.

    Returns:
        What a colour bar needs.

    Raises:
        ValueError: if there is not one value per node.
    """
    values = values.detach().cpu().reshape(-1)
    if len(values) != data.num_nodes:
        raise ValueError(f"values has {len(values)} entries; the sample has {data.num_nodes} nodes")
    if norm is None:
        norm = Normalize(float(values.min()), float(values.max()))
    pos, dim = data.pos.detach().cpu().numpy(), data.pos.shape[1]
    triangles, shown = surface(data).cpu().numpy(), values.numpy()
    style: dict[str, Any] = {"cmap": cmap, "norm": norm}
    if title:
        ax.set_title(title)
    if dim == 1:
        order = pos[:, 0].argsort()
        ax.plot(pos[order, 0], shown[order], color="0.7", linewidth=1, zorder=1)
        ax.scatter(pos[:, 0], shown, c=shown, s=6, **style)
    elif dim == 2:
        if len(triangles):
            ax.tripcolor(_triangulation(pos, triangles), shown, shading="gouraud", rasterized=True, **style)
        else:
            ax.scatter(pos[:, 0], pos[:, 1], c=shown, s=_marker_area(ax, pos), linewidths=0, rasterized=True, **style)
        _bare(ax, pos)
    elif len(triangles):
        mapped = ScalarMappable(norm, cmap)
        colours = mapped.to_rgba(shown[triangles].mean(1))
        ax.add_collection(Poly3DCollection(pos[triangles], facecolors=colours, edgecolors=colours, linewidths=0.1))
        _bare(ax, pos)
    else:
        size = float(np.clip(6000 / len(pos), 1, 20))
        ax.scatter(*pos.T, c=shown, s=size, linewidths=0, depthshade=False, **style)  # type: ignore[misc]
        _bare(ax, pos)
    return ScalarMappable(norm, cmap)


def _triangulation(pos: np.ndarray, triangles: np.ndarray) -> Triangulation:
    return Triangulation(pos[:, 0], pos[:, 1], triangles)


def _marker_area(ax: Axes, pos: np.ndarray) -> float:
    """Marker area in points² at which neighbours about touch."""
    extent = np.ptp(pos, axis=0).max() or 1.0
    box = ax.get_position().bounds
    width, height = ax.figure.get_size_inches()  # type: ignore[union-attr]
    across = 72 * min(box[2] * width, box[3] * height)
    return float(np.clip((1.3 * across / np.sqrt(len(pos)) * np.ptp(pos, axis=0).min() / extent) ** 2, 1.0, 200.0))


def _aspect(data: MeshData) -> float:
    """Height over width of a picture of the domain, within reason."""
    if data.pos.shape[1] != 2:
        return 1.0
    extent = (data.pos.amax(0) - data.pos.amin(0)).tolist()
    return min(max(extent[1] / max(extent[0], 1e-12), 0.35), 2.5)


def _bare(ax: Axes, pos: np.ndarray) -> None:
    low, high = pos.min(0), pos.max(0)
    margin = 0.02 * max(float((high - low).max()), 1e-12)
    ax.set_xlim(low[0] - margin, high[0] + margin)
    ax.set_ylim(low[1] - margin, high[1] + margin)
    if pos.shape[1] == 3:
        ax.set_zlim(low[2] - margin, high[2] + margin)  # type: ignore[attr-defined]
        ax.set_box_aspect(high - low + 2 * margin, zoom=1.1)  # type: ignore[call-arg, arg-type]
    else:
        ax.set_aspect("equal")
    ax.set_axis_off()


def plot_predictions(
    data: MeshData,
    predictions: Mapping[str, Tensor],
    *,
    channel: int = 0,
    input_channel: int = 0,
    input_name: str = "input",
    target_name: str = "truth",
) -> Figure:
    """Input, truth and every prediction above; the mesh and every absolute error below.

    Truth and predictions share one colour bar, and so do the errors: the bar ends at the 99th percentile of all
    of them, so that one bad node does not hide the rest.

    Args:
        data: one sample with ``y``.
        predictions: name -> ``[N, O]``; the names are the titles.
        channel, input_channel: which channel of ``y`` and of ``x`` to show.
    """
    truth = data.y[:, channel].detach().cpu()
    shown = {name: value[:, channel].detach().cpu() for name, value in predictions.items()}
    errors = {name: (value - truth).abs() for name, value in shown.items()}
    has_input = data.get("x") is not None
    columns = int(has_input) + 1 + len(shown)
    flat = data.pos.shape[1] < 3
    width, height = 2.3, 2.3 * _aspect(data)
    figure = Figure(figsize=(width * columns + 0.8, 2 * height + 0.8), layout="constrained")
    grid = figure.subplots(2, columns, squeeze=False, subplot_kw={} if flat else {"projection": "3d"})
    figure.draw_without_rendering()

    norm = Normalize(float(truth.min()), float(truth.max()))
    first = int(has_input)
    if has_input:
        mapped = plot_field(grid[0, 0], data, data.x[:, input_channel], cmap="cividis", title=input_name)
        figure.colorbar(mapped, ax=grid[0, 0], location="left", shrink=0.8)
    mapped = plot_field(grid[0, first], data, truth, norm=norm, title=target_name)
    for ax, (name, value) in zip(grid[0, first + 1 :], shown.items(), strict=True):
        plot_field(ax, data, value, norm=norm, title=name)
    figure.colorbar(mapped, ax=grid[0, first:].tolist(), shrink=0.8, extend=_extend(truth, shown))

    _plot_mesh(grid[1, 0], data)
    for ax in grid[1, 1 : first + 1]:
        ax.set_axis_off()
    if errors:
        everything = torch.cat(list(errors.values()))
        top = float(everything.quantile(0.99)) if len(everything) < 1 << 24 else float(everything.max())
        norm = Normalize(0.0, top or 1.0)
        for ax, value in zip(grid[1, first + 1 :], errors.values(), strict=True):
            mapped = plot_field(
                ax, data, value, norm=norm, cmap=ERROR, title=f"|error|, mean {float(value.mean()):.2g}"
            )
        figure.colorbar(mapped, ax=grid[1, first:].tolist(), shrink=0.8, extend="max")
    return figure


def _extend(truth: Tensor, shown: Mapping[str, Tensor]) -> str:
    """Which ends of the truth's colour bar the predictions leave."""
    low = any(bool(value.min() < truth.min()) for value in shown.values())
    high = any(bool(value.max() > truth.max()) for value in shown.values())
    return {(True, True): "both", (True, False): "min", (False, True): "max"}.get((low, high), "neither")


def _plot_mesh(ax: Axes, data: MeshData) -> None:
    pos, triangles = data.pos.detach().cpu().numpy(), surface(data).cpu().numpy()
    cells = sum(value.shape[1] for value in data.cells.values())
    ax.set_title(f"{len(pos)} points" + (f", {cells} cells" if cells else ""))
    if pos.shape[1] == 2:
        if len(triangles):
            ax.triplot(_triangulation(pos, triangles), color="0.3", linewidth=0.3)
        else:
            ax.scatter(pos[:, 0], pos[:, 1], s=1, color="0.3", linewidths=0)
        _bare(ax, pos)
    elif pos.shape[1] == 3 and len(triangles):
        ax.add_collection(Poly3DCollection(pos[triangles], facecolors="w", edgecolors="0.3", linewidths=0.2))
        _bare(ax, pos)
    elif pos.shape[1] == 3:
        ax.scatter(*pos.T, s=1.5, color="0.3", linewidths=0)  # type: ignore[misc]
        _bare(ax, pos)
    else:
        ax.plot(pos[:, 0], np.zeros(len(pos)), "|", color="0.3")
        ax.set_axis_off()


def save_figure(figure: Figure, path: str | os.PathLike[str], dpi: int = 130) -> Path:
    """Write a picture, whole or not at all; the ending of the name says which kind."""
    path = Path(path)
    with replacing(path) as temporary:
        figure.savefig(temporary, format=path.suffix.lstrip(".") or "png", dpi=dpi)
    return path


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
        low, high = pos.amin(0), pos.amax(0)
        raster = low + (high - low) * torch.cartesian_prod(*[torch.linspace(0.03, 0.97, 18)] * 2)
        near = torch.cdist(raster.to(pos.dtype), pos).argmin(1)
        arrows = torch.nn.functional.normalize(wind.detach().cpu()[near], dim=1)
        ax.quiver(*raster.T.numpy(), *arrows.T.numpy(), color="0.55", width=0.002, scale=30)
    source, target = data.patch_index.cpu()
    for number, centre in enumerate(centres):
        patch = pos[source[target == centre]].numpy()
        ax.scatter(patch[:, 0], patch[:, 1], s=16, color=f"C{number % 10}", linewidths=0)
        ax.scatter(x[centre], y[centre], s=110, color=f"C{number % 10}", marker="*", edgecolors="black", linewidths=0.8)
    if title:
        ax.set_title(title)
    _bare(ax, data.pos.detach().cpu().numpy())


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
