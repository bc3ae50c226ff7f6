"""Exact K nearest neighbours, one function over several backends."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

# A backend maps (points [n, D], count <= n) -> indices [n, count] of each point's nearest, by rising distance.
Backend = Callable[[Tensor, int], Tensor]


def check_positions(pos: Tensor, k: int) -> None:
    """Raise unless ``pos`` is ``[N, D]``, float32 or float64 and finite, and ``k`` a positive integer.

    Raises:
        ValueError: naming what was found and what is allowed.
    """
    if pos.dim() != 2 or pos.shape[1] == 0 or pos.dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"pos has shape {list(pos.shape)} and dtype {pos.dtype}; expected [N, D] in float32 or float64"
        )
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise ValueError(f"k={k!r}; it must be an integer of at least 1")
    if not torch.isfinite(pos).all():
        raise ValueError("pos holds NaN or Inf; every position must be finite")


def sample_sizes(pos: Tensor, batch: Tensor | None) -> list[int]:
    """Points of each sample of a batch.

    Raises:
        ValueError: if ``batch`` is not ``[N]`` and sorted.
    """
    if batch is None:
        return [len(pos)]
    if batch.shape != (len(pos),) or (batch.diff() < 0).any():
        raise ValueError(f"batch has shape {list(batch.shape)}; expected [{len(pos)}], sorted")
    return torch.bincount(batch).tolist()


def wrapped(points: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Points moved into the periodic box ``[0, side)``; axes of side 0 are left alone."""
    side = np.where(box > 0, box, 1.0)
    # The remainder of a tiny negative number rounds up to the side itself.
    inside = np.minimum(np.mod(points, side), np.nextafter(side, 0))
    return np.where(box > 0, inside, points)


def _scipy(pos: Tensor, count: int) -> Tensor:
    points = pos.detach().cpu().double().numpy()
    index = cKDTree(points).query(points, k=np.arange(1, count + 1), workers=torch.get_num_threads())[1]
    return torch.from_numpy(np.ascontiguousarray(index)).to(pos.device)


def _cdist(pos: Tensor, count: int) -> Tensor:
    # Centred, and without the matrix-product form: that one cancels for points far from the origin.
    centred = pos - pos.mean(0)
    rows = max(1, (1 << 24) // len(pos))
    return torch.cat(
        [
            torch.cdist(block, centred, compute_mode="donot_use_mm_for_euclid_dist")
            .topk(count, dim=1, largest=False)
            .indices
            for block in centred.split(rows)
        ]
    )


def _torch_cluster(pos: Tensor, count: int) -> Tensor:
    import torch_cluster

    centred = (pos - pos.mean(0)).contiguous()
    return torch_cluster.knn(centred, centred, count)[1].view(len(pos), count)


def _pyg_lib(pos: Tensor, count: int) -> Tensor:
    import pyg_lib

    centred = (pos - pos.mean(0)).contiguous()
    return pyg_lib.ops.knn(centred, centred, count)[1].view(len(pos), count)


BACKENDS: dict[str, Backend] = {
    "scipy": _scipy,
    "torch-cluster": _torch_cluster,
    "pyg-lib": _pyg_lib,
    "cdist": _cdist,
}
_MODULES = {"torch-cluster": "torch_cluster", "pyg-lib": "pyg_lib"}


def available_backends() -> list[str]:
    """Names of the backends that this installation can run."""
    return [n for n in BACKENDS if n not in _MODULES or importlib.util.find_spec(_MODULES[n]) is not None]


def _choose(backend: str, pos: Tensor) -> Backend:
    usable = available_backends()
    if backend == "auto":
        if pos.is_cuda:
            return BACKENDS[next(n for n in ("pyg-lib", "torch-cluster", "cdist") if n in usable)]
        return BACKENDS["scipy"]
    if backend not in BACKENDS:
        raise ValueError(f"unknown backend {backend!r}; choose from {['auto', *BACKENDS]}")
    if backend not in usable:
        raise ValueError(f"backend {backend!r} needs the package {_MODULES[backend]!r}; usable here: {usable}")
    return BACKENDS[backend]


def with_self(index: Tensor, loop: bool, count: int) -> Tensor:
    """Move each point to the front of its own list; with ``loop=False`` drop it. -> [n, count]

    Among coincident points a backend may leave the point itself out; then all it found lie at distance 0 and
    the last one gives way.
    """
    own = torch.arange(len(index), device=index.device)[:, None]
    is_self = index == own
    is_self[:, -1] |= ~is_self.any(1)
    others = index[~is_self].view(len(index), -1)
    return torch.cat([own, others], 1)[:, :count] if loop else others[:, :count]


def knn_graph(pos: Tensor, k: int, batch: Tensor | None = None, loop: bool = True, backend: str = "auto") -> Tensor:
    """Edges from each point's K nearest neighbours (Euclidean, within its sample) to the point.

    Every point has exactly ``min(k, n)`` incoming edges (``min(k, n - 1)`` without ``loop``), n the number of
    points of its sample, whatever the backend and however many points coincide. Among points at equal
    distance the choice is the backend's: on regular grids take k at a full shell (5, 9, 13, 21, 25, 29, 37).

    Args:
        pos: positions ``[N, D]``, float32 or float64.
        k: neighbours per point, the point itself included when ``loop``.
        batch: sample of each point ``[N]``, sorted; None for one sample.
        loop: whether a point is its own neighbour (its first one).
        backend: "auto" (SciPy's k-d tree on the CPU; pyg-lib, torch-cluster or chunked distances on a GPU),
            "scipy", "torch-cluster", "pyg-lib" or "cdist".

    Returns:
        ``edge_index [2, E]``: row 0 neighbours, row 1 points, sorted by point and then by distance.

    Raises:
        ValueError: for another dtype or shape, NaN, k < 1, an unsorted batch, or a backend that is unknown
            or not installed.
    """
    check_positions(pos, k)
    nearest, sizes = _choose(backend, pos), sample_sizes(pos, batch)
    source, target, start = [], [], 0
    for points in pos.split(sizes):
        n = len(points)
        count = min(k, n) if loop else min(k, n - 1)
        if count > 0:
            found = min(count if loop else count + 1, n)
            index = with_self(nearest(points, found), loop, count)
            source.append(index.flatten() + start)
            own = torch.arange(start, start + n, device=pos.device)
            target.append(own.repeat_interleave(count))
        start += n
    if not source:
        return torch.empty(2, 0, dtype=torch.long, device=pos.device)
    return torch.stack([torch.cat(source), torch.cat(target)])
