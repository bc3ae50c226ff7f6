"""Nonsense as input: arbitrary arguments for the public functions, found and shrunk by Hypothesis.

The property is one for all of them: a result that is what it says, or one ValueError or OSError with a message.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data

from pyg_neuralops.checkpoint import load_model
from pyg_neuralops.data import MeshData, as_mesh_data, mesh_loader, read_hdf5, write_hdf5
from pyg_neuralops.metrics import relative_l2
from pyg_neuralops.models import MODELS, build_model
from pyg_neuralops.normalize import Normalizer
from pyg_neuralops.ops import knn_graph
from pyg_neuralops.resolve import resolve
from pyg_neuralops.study import Comparison
from pyg_neuralops.transforms import KNNPatches, Standardize

CLEAR = (ValueError, OSError)
NUMBERS = [0.0, 1.0, -1.0, 1e-30, 1e30, 1e-45, float("nan"), float("inf"), 3e38]
DTYPES = [
    torch.float32,
    torch.float64,
    torch.float16,
    torch.int64,
    torch.int32,
    torch.uint8,
    torch.bool,
    torch.complex64,
]
NAMES = [
    "x",
    "y",
    "pos",
    "face",
    "quad",
    "tet",
    "hex",
    "theta",
    "time",
    "weight",
    "edge_index",
    "edge_attr",
    "velocity",
]
SHAPES = st.lists(st.integers(0, 6), max_size=3)


@st.composite
def tensors(draw: Any, shape: Any = SHAPES) -> Any:
    """A tensor of any type and nearly any shape, now and then an array or a list."""
    size = draw(shape) if not isinstance(shape, list) else shape
    kind = draw(st.sampled_from(DTYPES))
    special = draw(st.sampled_from(NUMBERS))
    values = torch.from_numpy(np.random.default_rng(draw(st.integers(0, 99))).normal(size=size))
    if draw(st.booleans()) and values.numel():
        values.view(-1)[-1] = special
    values = values.nan_to_num(0, 9, -9).mul(4) if not kind.is_floating_point else values
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = values.to(kind)
    return draw(st.sampled_from([values, values, values.numpy(), values.tolist()]))


@st.composite
def datas(draw: Any) -> Data:
    """A ``Data`` that is right in a few fields, and anything in some others."""
    nodes, dim = draw(st.integers(0, 12)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    data = draw(st.sampled_from([Data, MeshData]))(pos=torch.from_numpy(rng.random((nodes, dim))).float())
    data.x, data.y = torch.rand(nodes, 2), torch.rand(nodes, 1)
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=3)):
        right = [nodes, draw(st.integers(0, 4))]
        data[name] = draw(tensors(draw(st.sampled_from([SHAPES, right, right[:1], right[::-1], [3, 2], [4, 2]]))))
    return data


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10**9),
    st.floats(),
    st.text(max_size=8),
    st.lists(st.integers(), max_size=3),
)


def door(data: Data) -> None:
    found = as_mesh_data(data)
    assert all(torch.isfinite(found[name]).all() for name in ("pos", "x", "y") if found.get(name) is not None)
    assert torch.equal(as_mesh_data(found).pos, found.pos)


def file(data: Data) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = write_hdf5(Path(place, "a.h5"), [data, data])
        want, (got, again) = as_mesh_data(data), read_hdf5(path)[0]
        for name, value in want.to_dict().items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(got[name], value), name
                assert torch.equal(again[name], value), name


def prepared(data: Data) -> None:
    found = KNNPatches(3, tiles=True)(Standardize()(data))
    counts = torch.bincount(found.patch_index[1], minlength=found.num_nodes)
    assert (counts == min(3, found.num_nodes)).all()
    assert torch.isfinite(found.patch_reach).all()


def forward(name: str, data: Data) -> None:
    data = Standardize()(data)
    sizes = {"in_channels": data.in_channels, "out_channels": 1, "pos_dim": data.pos.shape[1]}
    model = build_model(name, **sizes, hidden_channels=8, num_layers=1).eval()
    with torch.no_grad():
        (batch,) = mesh_loader([model.prepare(data), model.prepare(data)], 2)
        assert torch.isfinite(model(batch)).all() or float(data.x.abs().max()) > 1e6


def error_of(pred: Any, target: Any, alike: bool) -> None:
    pred, target = torch.as_tensor(pred), torch.as_tensor(target)
    if alike and pred.numel() >= target.numel():
        pred = pred.reshape(-1)[: target.numel()].reshape(target.shape)
    found = relative_l2(pred, target)
    assert found.shape == (1,)
    assert not found.isnan().any() or not target.any()


def normaliser(block: Any) -> None:
    block = torch.as_tensor(block)
    found = Normalizer.fit([block, block])
    back = found.decode(found.encode(block.to(found.mean.dtype)))
    if block.numel():
        atol = 1e-6 * float(block.double().abs().max())
        torch.testing.assert_close(back, block.to(back.dtype), rtol=1e-3, atol=atol)


def neighbours(pos: Any, k: Any) -> None:
    found = knn_graph(torch.as_tensor(pos), k)
    assert found.shape[1] == len(pos) * min(k, len(pos))


def comparison(given: dict[str, Any]) -> None:
    found = Comparison(**{"dataset": "darcy", "epochs": 1, **given})
    own = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(found).items()}
    assert all(own[name] == value for name, value in given.items())


def model_of(name: str, given: dict[str, Any]) -> None:
    # What a user asks for is built, however large; so sizes stay small here.
    given = {key: min(value, 64) if type(value) is int else value for key, value in given.items()}
    build_model(name, **{"in_channels": 1, "out_channels": 1, "hidden_channels": 8, "num_layers": 1, **given})


def checkpoint(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "model.safetensors")
        path.write_bytes(content)
        load_model(path)
        raise AssertionError("bytes at random were taken for a model")


ARGUMENTS = [
    "heads",
    "k",
    "patches",
    "coords",
    "ratio",
    "num_latents",
    "soft_mask",
    "global_",
    "fusion",
    "in_channels",
    "oops",
]
CASES: dict[str, tuple[Callable[..., None], tuple[Any, ...], int]] = {
    "as_mesh_data": (door, (datas(),), 10),
    "write_hdf5, read_hdf5": (file, (datas(),), 5),
    "KNNPatches": (prepared, (datas(),), 5),
    "models": (forward, (st.sampled_from([name for name in MODELS if name != "fno"]), datas()), 5),
    "relative_l2": (error_of, (tensors(), tensors(), st.booleans()), 5),
    "Normalizer": (normaliser, (tensors(),), 5),
    "knn_graph": (neighbours, (tensors(), st.one_of(st.integers(-1, 9), VALUES)), 5),
    "Comparison": (
        comparison,
        (st.dictionaries(st.sampled_from([*Comparison.__dataclass_fields__]), VALUES, max_size=3),),
        5,
    ),
    "build_model": (
        model_of,
        (st.sampled_from([*MODELS]), st.dictionaries(st.sampled_from(ARGUMENTS), VALUES, max_size=2)),
        3,
    ),
    "resolve": (lambda text: resolve(text, MODELS, "model"), (st.text(max_size=12),), 1),
    "load_model": (checkpoint, (st.binary(max_size=200),), 1),
}
"""By name: the property, what it is tried on, and its share of the examples."""


def fuzz(examples: int) -> dict[str, Any]:
    """Try every case; returns the counts of results, clear errors and others by case, and the first of the others."""
    shares = sum(share for *_, share in CASES.values())
    report: dict[str, Any] = {}
    for name, (case, strategies, share) in CASES.items():
        counts, start = Counter[str](), time.perf_counter()

        @settings(
            max_examples=-(-examples * share // shares),
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.generate),
        )
        @given(st.tuples(*strategies))
        def run(given: Any) -> None:
            try:
                case(*given)  # noqa: B023  (called in this very pass of the loop)
                counts["result"] += 1  # noqa: B023
            except CLEAR as error:
                counts["clear error" if str(error) else "EMPTY"] += 1  # noqa: B023
            except Exception as error:  # noqa: BLE001  (whatever is raised is what is counted)
                text = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:160]
                if counts["UNCLEAR"] < 5:  # noqa: B023
                    print(f"    {text}\n      {given!r}"[:900], flush=True)
                counts["UNCLEAR"] += 1  # noqa: B023

        run()
        report[name] = dict(counts)
        print(f"  {name:24} {dict(counts)} {time.perf_counter() - start:.0f} s", flush=True)
    return report


if __name__ == "__main__":
    torch.set_num_threads(1)
    fuzz(600)
