"""Truth and predictions side by side."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor

from ..data import MeshData
from .field import ERROR, Window, aspect, plot_field, plot_mesh


def plot_predictions(
    data: MeshData,
    predictions: Mapping[str, Tensor],
    *,
    channel: int = 0,
    input_channel: int = 0,
    input_name: str = "input",
    target_name: str = "truth",
    window: Window | None = None,
) -> Figure:
    """Input, truth and every prediction above; the mesh and every absolute error below.

    Truth and predictions share one colour bar, and so do the errors: the bar ends at the 99th percentile of all
    of them, so that one bad node does not hide the rest.

    Args:
        data: one sample; without ``y`` neither truth nor errors are drawn.
        predictions: name -> ``[N, O]``; the names are the titles.
        channel, input_channel: which channel of ``y`` and of ``x`` to show.
        window: in 2D the part of the plane to show.
    """
    truth = None if data.get("y") is None else data.y[:, channel].detach().cpu()
    shown = {name: value[:, channel].detach().cpu() for name, value in predictions.items()}
    fields = {**({} if truth is None else {target_name: truth}), **shown}
    errors = {} if truth is None else {name: (value - truth).abs() for name, value in shown.items()}
    has_input = data.get("x") is not None and data.x.shape[1] > 0
    first = int(has_input)
    columns = first + len(fields)
    flat = data.pos.shape[1] < 3
    width, height = 2.3, 2.3 * aspect(data, window)
    figure = Figure(figsize=(width * columns + 0.8, 2 * height + 0.8), layout="constrained")
    grid = figure.subplots(2, columns, squeeze=False, subplot_kw={} if flat else {"projection": "3d"})
    figure.draw_without_rendering()

    scale = torch.cat(list(shown.values())) if truth is None else truth
    norm = Normalize(float(scale.min()), float(scale.max()))
    if has_input:
        mapped = plot_field(grid[0, 0], data, data.x[:, input_channel], cmap="cividis", title=input_name, window=window)
        figure.colorbar(mapped, ax=grid[0, 0], location="left", shrink=0.8)
    for ax, (name, value) in zip(grid[0, first:], fields.items(), strict=True):
        mapped = plot_field(ax, data, value, norm=norm, title=name, window=window)
    figure.colorbar(mapped, ax=grid[0, first:].tolist(), shrink=0.8, extend=_extend(scale, shown))

    plot_mesh(grid[1, 0], data, window)
    for ax in grid[1, 1 : columns - len(errors)]:
        ax.set_axis_off()
    if errors:
        everything = torch.cat(list(errors.values()))
        top = float(everything.quantile(0.99)) if len(everything) < 1 << 24 else float(everything.max())
        norm = Normalize(0.0, top or 1.0)
        for ax, value in zip(grid[1, columns - len(errors) :], errors.values(), strict=True):
            title = f"|error|, mean {float(value.mean()):.2g}"
            mapped = plot_field(ax, data, value, norm=norm, cmap=ERROR, title=title, window=window)
        figure.colorbar(mapped, ax=grid[1, first:].tolist(), shrink=0.8, extend="max")
    return figure


def _extend(truth: Tensor, shown: Mapping[str, Tensor]) -> str:
    """Which ends of the colour bar, that of the truth where it is there, the predictions leave."""
    low = any(bool(value.min() < truth.min()) for value in shown.values())
    high = any(bool(value.max() > truth.max()) for value in shown.values())
    return {(True, True): "both", (True, False): "min", (False, True): "max"}.get((low, high), "neither")
