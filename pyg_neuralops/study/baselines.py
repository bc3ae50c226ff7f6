"""Trivial baselines: what anybody gets without learning an operator."""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor
from torch_geometric.data import Data

from ..data import MeshData, StoredSamples
from ..engine import Scores, SteadyField, Task, collect
from ..metrics import defined_mean

Predictor = Callable[[MeshData], Tensor]
NEAREST = 32
POOLED = 1_000_000
FITTED = 4_000_000
"""Nodes of a set on disk that baselines take into memory."""
RASTER = {1: 256, 2: 24, 3: 12}


@dataclass(frozen=True)
class Baseline:
    """A baseline on one dataset: its errors on test, or why there is none.

    Attributes:
        name: "mean", "1-nn" or "ridge".
        scores: metrics of the test samples, or None.
        predict: sample -> what its ``y`` may be, or None.
        seconds: to fit and to predict the test set.
        reason: why the baseline does not apply, or a remark.
    """

    name: str
    scores: Scores | None = None
    predict: Predictor | None = None
    seconds: float = 0.0
    reason: str = ""


def trivial_baselines(
    train: Sequence[MeshData],
    val: Sequence[MeshData] | None,
    test: Sequence[MeshData],
    task: Task | None = None,
    metrics: Sequence[str] = (),
) -> list[Baseline]:
    """The three baselines, fitted on ``train`` (ridge chooses its penalty on ``val``), scored on ``test``.

    Of samples on disk they are fitted on so many, evenly spaced, as :data:`FITTED` nodes make.

    Args:
        task: whose inputs and metrics to take, as models read and are scored, ``SteadyField()`` by default.
        metrics: further ones by import path.
    """
    task = SteadyField() if task is None else task
    shared = same_points(itertools.chain(train, val or (), test))
    total, train, val = len(train), _some(train), None if val is None else _some(val)
    part = "" if len(train) == total else f"fitted on {len(train)} of {total} training samples"
    builders: dict[str, Callable[[], Predictor]] = {
        "mean": lambda: mean_field(train, shared),
        "1-nn": lambda: nearest_sample(train, task),
        "ridge": lambda: ridge(train, val, task),
    }
    found = []
    for name, build in builders.items():
        if name == "ridge" and not shared:
            found.append(Baseline(name, reason="the samples do not share their points"))
            continue
        if name == "ridge" and _inputs(seen(train[0], task)).shape[1] == 0:
            found.append(Baseline(name, reason="there is no input field"))
            continue
        start = time.perf_counter()
        predict = build()
        scores = score_baseline(predict, test, task, metrics)
        by_position = name == "mean" and not (shared or whole(train))
        remarks = [f"of position: the {NEAREST} nearest training values"] if by_position else []
        remark = "; ".join([*remarks, *([part] if part else [])])
        found.append(Baseline(name, scores, predict, time.perf_counter() - start, remark))
    return found


def _some(samples: Sequence[MeshData]) -> Sequence[MeshData]:
    """Stored samples in memory: all, or so many, evenly spaced, as :data:`FITTED` nodes make; others as they are."""
    if not isinstance(samples, StoredSamples):
        return samples
    nodes = sum(samples.node_counts())
    count = len(samples) if nodes <= FITTED else max(1, len(samples) * FITTED // nodes)
    return [samples[index * len(samples) // count] for index in range(count)]


def score_baseline(predict: Predictor, samples: Sequence[MeshData], task: Task, metrics: Sequence[str] = ()) -> Scores:
    """The task's metrics of a baseline on samples."""
    return collect(task, ((predict(sample), sample) for sample in samples), metrics)


def whole(samples: Sequence[MeshData]) -> bool:
    """Whether targets are numbers of whole samples, ``y [1, O]``."""
    return all(len(sample.y) == 1 for sample in samples)


def same_points(samples: Iterable[MeshData]) -> bool:
    """Whether all samples have the same positions in the same order."""
    positions = (sample.pos for sample in samples)
    first = next(positions)
    return all(pos.shape == first.shape and torch.equal(pos, first) for pos in positions)


def mean_field(train: Sequence[MeshData], shared: bool) -> Predictor:
    """The mean training field: at each node where nodes are shared, else as a function of position.

    In the second case a value is the average of the nearest training values, whatever sample they come from;
    of very many values a random part is kept. Numbers of whole samples have their mean.
    """
    if shared or whole(train):
        mean = torch.stack([sample.y for sample in train]).double().mean(0).to(train[0].y.dtype)
        return lambda sample: mean
    pos = torch.cat([sample.pos for sample in train]).numpy()
    y = torch.cat([sample.y for sample in train])
    if len(pos) > POOLED:
        kept = np.random.default_rng(0).choice(len(pos), POOLED, replace=False)
        pos, y = pos[kept], y[torch.from_numpy(kept)]
    tree, count = cKDTree(pos), min(NEAREST, len(pos))

    def predict(sample: MeshData) -> Tensor:
        index = tree.query(sample.pos.numpy(), k=range(1, count + 1))[1]  # [N, count]
        return y[torch.from_numpy(index)].mean(1)

    return predict


def nearest_sample(train: Sequence[MeshData], task: Task | None = None) -> Predictor:
    """``y`` of the training sample that is nearest in inputs and geometry, a field carried over by nearest points.

    Samples are compared on a raster over the training domain: inputs at the nearest node, standardised per
    channel, and the distance to the nearest node where there is none close by (which shows holes and outlines).
    """
    task = SteadyField() if task is None else task
    shown = [seen(sample, task) for sample in train]
    pos = torch.cat([sample.pos for sample in shown])
    low, high = pos.amin(0), pos.amax(0)
    dim = pos.shape[1]
    ticks = [torch.linspace(float(a), float(b), RASTER[dim]) for a, b in zip(low, high, strict=True)]
    raster = torch.cartesian_prod(*ticks).view(-1, dim).numpy()  # [G, D]
    described = torch.stack([_describe(sample, raster) for sample in shown])  # [S, G, F + 1], float64
    mean, std = described.mean((0, 1)), described.std((0, 1), correction=0)
    # A gap far below the node spacing is chance, not geometry, and must not be blown up to unit size.
    std[-1] = std[-1].clamp_min(0.1 * float(np.mean([_spacing(sample.pos.numpy()) for sample in shown])))
    scale = torch.where(std > 1e-6 * mean.abs(), 1 / std, 0)  # a constant channel tells nothing
    known = ((described - mean) * scale).flatten(1)

    def predict(sample: MeshData) -> Tensor:
        here = ((_describe(seen(sample, task), raster) - mean) * scale).flatten()
        source = train[int((known - here).square().sum(1).argmin())]
        if len(source.y) == 1:
            return source.y
        index = cKDTree(source.pos.numpy()).query(sample.pos.numpy())[1]
        return source.y[torch.from_numpy(index)]

    return predict


def seen(sample: MeshData, task: Task) -> Data:
    """A sample as models see it at first: the task's first item of it, with what that puts before ``x``.

    A time that the task asks for is left out, as it tells nothing of the sample.
    """
    item = copy.copy(task.items([sample])[0])
    item.time = sample.get("time")
    return item


def _describe(sample: Data, raster: np.ndarray) -> Tensor:
    """Inputs and gaps of one sample on the raster, ``[G, F + 1]``."""
    points = sample.pos.numpy()
    distance, index = cKDTree(points).query(raster)
    # Two meshes of one domain must look alike. Of uniformly random points in D dimensions one place in 10^4 is
    # farther than 4^(1/D) times the 0.9-quantile of their spacing from all of them.
    gap = np.maximum(distance - 4 ** (1 / points.shape[1]) * _spacing(points), 0)
    column = torch.from_numpy(gap).double()[:, None]  # [G, 1]
    return torch.cat([_inputs(sample)[torch.from_numpy(index)].double(), column], 1)


def _inputs(sample: Data) -> Tensor:
    """Input fields, global parameters and time at the nodes, ``[N, F + P + 1]``, as they are."""
    found = [] if sample.get("x") is None else [sample.x]
    found += [sample[name].expand(sample.num_nodes, -1) for name in ("theta", "time") if sample.get(name) is not None]
    return torch.cat(found, 1) if found else sample.pos[:, :0]


def _spacing(points: np.ndarray) -> float:
    """0.9-quantile of the distance to the nearest other point."""
    return float(np.quantile(cKDTree(points).query(points, k=2)[0][:, 1], 0.9)) if len(points) > 1 else 0.0


def ridge(train: Sequence[MeshData], val: Sequence[MeshData] | None, task: Task | None = None) -> Predictor:
    """Linear regression from all inputs to all targets with a penalty, in kernel form; shared nodes only.

    The penalty is the best on ``val``, or on every fifth training sample where there is none, by the task's metric.
    """
    task = SteadyField() if task is None else task
    fit, check = (train, val) if val else ([s for i, s in enumerate(train) if i % 5], train[::5])
    if not fit:
        fit = check
    x = torch.stack([_inputs(seen(sample, task)) for sample in fit]).double()  # [S, N, F]
    centre, scale = x.mean((0, 1)), x.std((0, 1), correction=0)
    constant = scale <= 1e-7 * centre.abs()  # rounding leaves about this much of a constant channel
    scale = torch.where(constant, torch.inf, scale)
    rows = ((x - centre) / scale).flatten(1)
    offset = rows.mean(0)
    rows = rows - offset
    y = torch.stack([sample.y for sample in fit]).double()  # [S, N, O]
    mean = y.mean(0)
    values, vectors = torch.linalg.eigh(rows @ rows.T)
    projected = vectors.T @ (y - mean).flatten(1)
    unit = values.mean().clamp_min(1e-30)

    def predictor(penalty: float) -> Predictor:
        dual = vectors @ (projected / (values.clamp_min(0) + penalty * unit)[:, None])  # [S, N * O]

        def predict(sample: MeshData) -> Tensor:
            row = ((_inputs(seen(sample, task)).double() - centre) / scale).flatten() - offset
            return (mean + (rows @ row @ dual).view_as(mean)).to(fit[0].y.dtype)

        return predict

    def error(predict: Predictor) -> float:
        return float(defined_mean(score_baseline(predict, check, task).first))

    return min((predictor(10.0**power) for power in range(-7, 4)), key=error)
