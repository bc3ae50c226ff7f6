"""C-grids around an airfoil, and values at their nodes from those of their cells."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.optimize import brentq

RADIUS = 40.0
"""Chords from the airfoil to the far field, above, below, ahead and behind."""


def graded(cells: int, first: float, gentle: float) -> np.ndarray:
    """``[cells + 1]`` points from 0 to 1 whose steps grow from ``first``, by at most ``gentle`` over three quarters.

    One ratio of growth throughout, if it is below ``gentle``; else ``gentle`` for the first three quarters of the
    points, where the flow has its detail, and the ratio that reaches 1 for the rest.
    """

    def grown(step: float, count: int, length: float) -> np.ndarray:
        """Steps from ``step`` that add up to ``length``."""
        powers = np.arange(count)
        highest = max((length / step) ** (1 / max(count - 1, 1)), 1.0) + 1.0  # its last step alone is as long as all
        ratio = brentq(lambda r: step * np.sum(r**powers) - length, 1e-3, highest)
        return step * ratio**powers

    steps = grown(first, cells, 1.0)
    if steps[1] > gentle * steps[0]:
        near = 3 * (cells + 1) // 4 - 1
        steps[: near + 1] = first * gentle ** np.arange(near + 1)
        steps[near:] = grown(steps[near], cells - near, 1 - steps[:near].sum())
    points = np.concatenate([[0.0], np.cumsum(steps)])
    points[-1] = 1.0
    return points


def _refined(points: np.ndarray, refine: int) -> np.ndarray:
    """Points between the given ones, ``refine`` steps for one; the given ones stay."""
    places = np.arange((len(points) - 1) * refine + 1) / refine
    return PchipInterpolator(np.arange(len(points)), points)(places)


def surface_points(half: int, refine: int = 1) -> np.ndarray:
    """Fractions of the chord from the nose to the tail, ``[half * refine + 1]``, dense at the nose."""
    return _refined(np.linspace(0, 1, half + 1) ** 1.5, refine)


def c_grid(surface: np.ndarray, half: int, refine: int = 1) -> tuple[np.ndarray, int]:
    """Straight lines from an airfoil and its wake cut to a far field ``RADIUS`` chords away.

    The far field is a half circle around (1, 0) ahead, and straight above, below and behind. Along i the grid
    comes from behind along the upper side of the cut, goes around the airfoil by its upper side, its nose and its
    lower side, and leaves along the lower side of the cut: clockwise. The first cells at the wall are 1 / half
    chords high. A refined grid has the nodes of the unrefined one, ``[::refine, ::refine]``.

    Args:
        surface: ``[2 * half * refine + 1, 2]`` points from the tail over the upper side to the tail at x = 1.
        half: cells on a side of the airfoil before refinement, a multiple of 6; 5/6 of it along a side of the cut
            and from the wall to the far field.
        refine: cells of the grid per cell of the unrefined one, each way.

    Returns:
        ``[I + 1, J + 1, 2]`` nodes, and the cells along a side of the cut.
    """
    gentle, cells = 1.02 ** (60 / half), 5 * half // 6
    last = surface[0] - surface[refine]  # the cut goes on with the step of the airfoil
    along = _refined(graded(cells, float(np.hypot(*last)) / (RADIUS - 1), gentle), refine)
    away = _refined(graded(cells, 1 / (half * RADIUS), gentle), refine)
    cut = np.stack([1 + (RADIUS - 1) * along, surface[0, 1] * (1 - along)], -1)
    inner = np.concatenate([cut[:0:-1], surface, cut[1:]])
    angle = np.linspace(0.5 * np.pi, 1.5 * np.pi, len(surface))
    arc = np.stack([1 + RADIUS * np.cos(angle), RADIUS * np.sin(angle)], -1)
    flat = np.stack([np.linspace(1, RADIUS, len(along)), np.full(len(along), RADIUS)], -1)
    outer = np.concatenate([flat[:0:-1], arc, flat[1:] * [1, -1]])
    return inner[:, None] * (1 - away[:, None]) + outer[:, None] * away[:, None], cells * refine


def _between(values: tuple[np.ndarray, np.ndarray], widths: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Linear interpolation to the face between two cells from their centres."""
    share = (widths[1] / (widths[0] + widths[1]))[..., None]
    return share * values[0] + (1 - share) * values[1]


def cells_to_nodes(cells: np.ndarray, grid: np.ndarray, wake: int) -> np.ndarray:
    """Values at the nodes of a C-grid from those of its cells.

    Linear between the centres of cells, along i and along j with the widths of the cells; beyond the wake cut lie
    the cells of its other side, so that both sides of the cut get one value. Linear from two cells at the wall;
    at the far field, where hardly anything changes, the value of the nearest cells.

    Args:
        cells: ``[I, J, C]``.
        grid: ``[I + 1, J + 1, 2]``, see :func:`c_grid`.
        wake: cells along a side of the cut.

    Returns:
        ``[I + 1, J + 1, C]``.
    """
    middles = 0.5 * (grid[:, 1:] + grid[:, :-1]), 0.5 * (grid[1:] + grid[:-1])  # of the faces
    widths = [np.linalg.norm(np.diff(middle, axis=axis), axis=-1) for axis, middle in enumerate(middles)]
    packed = np.concatenate([cells, np.stack(widths, -1)], -1)
    packed = np.pad(packed, ((1, 1), (1, 1), (0, 0)), mode="edge")  # [I + 2, J + 2, C + 2]
    packed[1 : wake + 1, 0] = packed[-2 : -wake - 2 : -1, 1]
    packed[-wake - 1 : -1, 0] = packed[wake:0:-1, 1]
    wall = slice(wake + 1, -wake - 1)
    near, second = packed[wall, 1], packed[wall, 2]
    share = 2 * near[:, -1] / (near[:, -1] + second[:, -1])
    packed[wall, 0, :-2] = (near + share[:, None] * (near - second))[:, :-2]
    rows = _between((packed[:-1], packed[1:]), (packed[:-1, :, -2], packed[1:, :, -2]))  # [I + 1, J + 2, C + 2]
    nodes = _between((rows[:, :-1], rows[:, 1:]), (rows[:, :-1, -1], rows[:, 1:, -1]))[..., :-2]
    cut = 0.5 * (nodes[: wake + 1, 0] + nodes[: -wake - 2 : -1, 0])
    nodes[: wake + 1, 0] = cut
    nodes[-wake - 1 :, 0] = cut[::-1]
    return nodes
