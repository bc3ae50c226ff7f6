"""One field or one mesh on one axes."""

from __future__ import annotations

import os
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

from ..data import CELLS, MeshData, boundary_sides, replacing

FIELD, ERROR = "viridis", "magma_r"
Window = tuple[tuple[float, float], tuple[float, float]]
"""A part of the plane, ``((x0, x1), (y0, y1))``."""


def surface(data: MeshData) -> Tensor:
    """The triangles that show a mesh: its 2D cells and the boundary of its 3D cells, quadrilaterals cut in two.
    ``-> [T, 3]``"""
    flat = [cells.t() for name, cells in data.cells.items() if CELLS[name].dim == 2]
    found = [torch.empty(0, 3, dtype=torch.long)]
    for sides in (*flat, *boundary_sides(data)):  # [n, 3 or 4]
        sides = sides.long()
        found += [sides] if sides.shape[1] == 3 else [sides[:, [0, 1, 2]], sides[:, [0, 2, 3]]]
    return torch.cat(found)


def plot_field(
    ax: Axes,
    data: MeshData,
    values: Tensor,
    *,
    norm: Normalize | None = None,
    cmap: str = FIELD,
    title: str = "",
    window: Window | None = None,
) -> ScalarMappable:
    """Draw nodal ``values [N]`` of one sample.

    In 2D on the cells, or as points about as wide as their spacing where there are none; in 3D on the surface
    cells, or as points (``ax`` must then have ``projection="3d"``); in 1D as a line, coloured points on it.

    Args:
        norm: colour scale; that of the values by default.
        window: in 2D the part of the plane to show, ``((x0, x1), (y0, y1))``; all by default.

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
            ax.tripcolor(triangulation(pos, triangles), shown, shading="gouraud", rasterized=True, **style)
        else:
            ax.scatter(pos[:, 0], pos[:, 1], c=shown, s=_marker_area(ax, pos), linewidths=0, rasterized=True, **style)
        bare(ax, pos, window)
    elif len(triangles):
        mapped = ScalarMappable(norm, cmap)
        colours = mapped.to_rgba(shown[triangles].mean(1))
        ax.add_collection(Poly3DCollection(pos[triangles], facecolors=colours, edgecolors=colours, linewidths=0.1))
        bare(ax, pos)
    else:
        size = float(np.clip(6000 / len(pos), 1, 20))
        ax.scatter(*pos.T, c=shown, s=size, linewidths=0, depthshade=False, **style)  # type: ignore[misc]
        bare(ax, pos)
    return ScalarMappable(norm, cmap)


def plot_mesh(ax: Axes, data: MeshData, window: Window | None = None) -> None:
    """Draw the cells, or the points where there are none."""
    pos, triangles = data.pos.detach().cpu().numpy(), surface(data).cpu().numpy()
    cells = sum(value.shape[1] for value in data.cells.values())
    ax.set_title(f"{len(pos)} points" + (f", {cells} cells" if cells else ""))
    if pos.shape[1] == 2:
        if len(triangles):
            ax.triplot(triangulation(pos, triangles), color="0.3", linewidth=0.3)
        else:
            ax.scatter(pos[:, 0], pos[:, 1], s=1, color="0.3", linewidths=0)
        bare(ax, pos, window)
    elif pos.shape[1] == 3 and len(triangles):
        ax.add_collection(Poly3DCollection(pos[triangles], facecolors="w", edgecolors="0.3", linewidths=0.2))
        bare(ax, pos)
    elif pos.shape[1] == 3:
        ax.scatter(*pos.T, s=1.5, color="0.3", linewidths=0)  # type: ignore[misc]
        bare(ax, pos)
    else:
        ax.plot(pos[:, 0], np.zeros(len(pos)), "|", color="0.3")
        ax.set_axis_off()


def triangulation(pos: np.ndarray, triangles: np.ndarray) -> Triangulation:
    return Triangulation(pos[:, 0], pos[:, 1], triangles)


def _marker_area(ax: Axes, pos: np.ndarray) -> float:
    """Marker area in points² at which neighbours about touch."""
    extent = np.ptp(pos, axis=0).max() or 1.0
    box = ax.get_position().bounds
    width, height = ax.figure.get_size_inches()  # type: ignore[union-attr]
    across = 72 * min(box[2] * width, box[3] * height)
    return float(np.clip((1.3 * across / np.sqrt(len(pos)) * np.ptp(pos, axis=0).min() / extent) ** 2, 1.0, 200.0))


def aspect(data: MeshData, window: Window | None = None) -> float:
    """Height over width of a picture of the domain or the window, within reason."""
    if data.pos.shape[1] != 2:
        return 1.0
    extent = (data.pos.amax(0) - data.pos.amin(0)).tolist() if window is None else [b - a for a, b in window]
    return min(max(extent[1] / max(extent[0], 1e-12), 0.35), 2.5)


def bare(ax: Axes, pos: np.ndarray, window: Window | None = None) -> None:
    """Limits around the points or those of the window, equal scales, no axes."""
    low, high = (pos.min(0), pos.max(0)) if window is None else np.array(window, float).T
    margin = 0.02 * max(float((high - low).max()), 1e-12)
    ax.set_xlim(low[0] - margin, high[0] + margin)
    ax.set_ylim(low[1] - margin, high[1] + margin)
    if pos.shape[1] == 3:
        ax.set_zlim(low[2] - margin, high[2] + margin)  # type: ignore[attr-defined]
        ax.set_box_aspect(high - low + 2 * margin, zoom=1.1)  # type: ignore[call-arg, arg-type]
    else:
        ax.set_aspect("equal")
    ax.set_axis_off()


def save_figure(figure: Figure, path: str | os.PathLike[str], dpi: int = 130) -> Path:
    """Write a picture, whole or not at all; the ending of the name says which kind."""
    path = Path(path)
    with replacing(path) as temporary:
        figure.savefig(temporary, format=path.suffix.lstrip(".") or "png", dpi=dpi)
    return path
