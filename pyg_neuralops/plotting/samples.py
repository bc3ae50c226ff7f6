"""A set at a glance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ..data import MeshData
from .field import Window, aspect, plot_field


def plot_samples(
    samples: Sequence[MeshData], *, channel: int = -1, name: str = "", window: Window | None = None
) -> Figure:
    """The targets of up to nine samples, each with a colour bar of its own.

    Args:
        samples: the first nine are shown.
        channel: which channel of ``y``. name: what it is called.
        window: in 2D the part of the plane to show.

    Raises:
        ValueError: if there is no sample.
    """
    if not len(samples):
        raise ValueError("samples is empty; at least one is needed")
    shown = [samples[index] for index in range(min(9, len(samples)))]
    columns = int(np.ceil(np.sqrt(len(shown))))
    rows = -(-len(shown) // columns)
    flat = shown[0].pos.shape[1] < 3
    height = 2.8 * aspect(shown[0], window)
    figure = Figure(figsize=(3.5 * columns, (height + 0.3) * rows + 0.4), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, subplot_kw={} if flat else {"projection": "3d"})
    figure.draw_without_rendering()
    for ax in axes.flat[len(shown) :]:
        ax.set_axis_off()
    for ax, sample in zip(axes.flat, shown, strict=False):
        mapped = plot_field(ax, sample, sample.y[:, channel], window=window)
        figure.colorbar(mapped, ax=ax, shrink=0.8)
    if name:
        figure.suptitle(name)
    return figure
