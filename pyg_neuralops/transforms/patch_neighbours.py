"""The points of a patch, by what ``KNNPatches`` was asked for; and the box that they may be periodic in."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch_geometric.data import Batch, Data

from ..ops import knn_graph, metric_knn_graph, reachable_knn_graph
from .graph_edges import is_mesh
from .mesh_edges import MeshEdges
from .patch_metric import PatchMetric
from .patch_window import PatchWindow


def neighbours(
    data: Data,
    k: int,
    period: Tensor | None,
    *,
    through_solid: bool,
    metric: PatchMetric | None,
    window: PatchWindow,
    backend: str,
) -> Tensor:
    """``edge_index [2, E]`` from the points of each patch to its centre, of a sample or batch.

    Raises:
        ValueError: if through_solid=False finds no mesh; as :func:`pyg_neuralops.ops.knn_graph`.
    """
    pos, batch = data.pos.detach(), data.get("batch")
    # A metric reads one sample, its globals too; and each sample needs a mesh of its own.
    if isinstance(data, Batch) and (metric is not None or not through_solid):
        starts = data.ptr.tolist()
        of_sample = dict(through_solid=through_solid, metric=metric, window=window, backend=backend)
        parts = [neighbours(sample, k, period, **of_sample) for sample in data.to_data_list()]  # type: ignore[arg-type]
        return torch.cat([part + start for part, start in zip(parts, starts, strict=False)], 1)
    if window.radius is not None:
        return window.graph(pos, k, batch, period)
    if not through_solid:
        edges = data.edge_index if is_mesh(data) else MeshEdges()(data).edge_index
        if not edges.numel() and data.num_nodes > 1:
            raise ValueError("the data hold no cells; through_solid=False needs a mesh")
        return reachable_knn_graph(pos, k, edges)
    if metric is not None:
        return metric_knn_graph(pos, k, metric.on(data), metric.stretch(data), batch, period)
    if period is not None:
        ones = torch.ones(data.num_nodes)
        return metric_knn_graph(pos, k, lambda _, p: p.norm(dim=-1), ones, batch, period)
    return knn_graph(pos, k, batch, backend=backend)


def box_sides(period: float | Sequence[float | None] | None) -> tuple[float, ...]:
    """Side lengths as they are kept, 0 on axes without period; empty where there is none."""
    sides = [] if period is None else [period] if isinstance(period, (int, float)) else list(period)
    if not all(side is None or (isinstance(side, (int, float)) and 0 <= side < float("inf")) for side in sides):
        raise ValueError(f"period={period}; side lengths must be positive, 0 or None for an axis without period")
    return tuple(float(side or 0) for side in sides)


def box_of(sides: tuple[float, ...], pos: Tensor) -> Tensor | None:
    """These sides ``[D]`` for positions ``[N, D]``; one side stands for all."""
    if not sides:
        return None
    every = sides * pos.shape[1] if len(sides) == 1 else sides
    if len(every) != pos.shape[1]:
        raise ValueError(f"period={sides} has {len(sides)} sides; the data are {pos.shape[1]}D")
    return pos.new_tensor(every)
