import sys

import numpy as np
import pytest
import torch

pytest.importorskip("numba")

from pyg_neuralops.datasets.airfoil import Airfoil
from pyg_neuralops.solvers.airfoil import sample_airfoil

TINY = {"num_samples": 12, "resolution": 45, "iterations": 60, "workers": 0}


def test_a_sample_is_a_c_grid_with_the_mach_number(tmp_path):
    data = Airfoil(tmp_path, **TINY)[3]
    alone = sample_airfoil((0, 0, 3), 45, iterations=60)
    assert data.get("x") is None
    assert data.in_channels == 0
    assert data.grid_shape == (45, 11)
    np.testing.assert_array_equal(data.y.view(45, 11), alone.mach.astype(np.float32))
    np.testing.assert_array_equal(data.pos.view(45, 11, 2), alone.points.astype(np.float32))
    x, y = data.pos.double()[data.quad.long()].unbind(-1)
    area = 0.5 * (x * y.roll(-1, 0) - y * x.roll(-1, 0)).sum(0)
    assert (area > 0).all()
    assert data.quad.unique().numel() == data.num_nodes
    assert float(area.sum()) == pytest.approx(0.5 * np.pi * 40**2 + 39 * 80, rel=0.02)
    assert float(data.weight.sum()) == pytest.approx(float(area.sum()), rel=1e-4)
    cut = data.pos.view(45, 11, 2)[:11, 0]
    assert torch.equal(cut, data.pos.view(45, 11, 2)[-11:, 0].flip(0))


def test_without_numba_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(ImportError, match=r"needs numba; pip install 'pyg-neuralops\[generate\]'"):
        Airfoil(tmp_path, **{**TINY, "workers": 2})


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"resolution": 100}, "resolution=100; it must be 22 k"),
        ({"resolution": 23}, "resolution=23"),
        ({"refine": 0}, "refine=0"),
        ({"iterations": 0}, "iterations=0"),
    ],
)
def test_wrong_arguments_are_refused(argument, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        Airfoil(tmp_path, **{**TINY, **argument})


@pytest.fixture(scope="module")
def published():
    """Fourteen samples in the layout of the published files; two flows in turn, each on its own grid."""
    samples = [sample_airfoil(seed, 221, iterations=150, limit=1.0) for seed in (0, 1)]
    points = np.stack([sample.points for sample in samples])
    flow = np.stack([np.concatenate([s.flow, s.mach[..., None]], -1).transpose(2, 0, 1) for s in samples])
    turns = np.arange(14) % 2
    return points[turns, ..., 0], points[turns, ..., 1], flow[turns]


def written(folder, arrays):
    place = folder / "raw" / "airfoil" / "naca"
    place.mkdir(parents=True)
    for name, array in zip("XYQ", arrays, strict=True):
        np.save(place / f"NACA_Cylinder_{name}.npy", array)
    return folder


def test_official_files_give_the_same_fields(published, tmp_path):
    written(tmp_path, published)
    train = Airfoil(tmp_path, protocol="paper", num_samples=12)
    test = Airfoil(tmp_path, "test", num_samples=12)
    assert train.source == "official"
    assert (len(train), len(test)) == (10, 2)
    x, y, q = published
    for data, row in ((train[0], 0), (train[9], 9), (test[0], 10), (test[1], 11)):
        assert data.grid_shape == (221, 51)
        np.testing.assert_array_equal(data.pos, np.stack([x[row], y[row]], -1).reshape(-1, 2).astype(np.float32))
        np.testing.assert_array_equal(data.y[:, 0], q[row, 4].ravel().astype(np.float32))
    generated = Airfoil(tmp_path, source="generated", **TINY)[0]
    assert set(generated.keys()) == set(train[0].keys())


def swapped(q, one, two):
    q = q.copy()
    q[:, [one, two]] = q[:, [two, one]]
    return q


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y, q: (x.swapaxes(1, 2), y.swapaxes(1, 2), q), r"NACA_Cylinder_X.npy has shape \[14, 51, 221\]"),
        (lambda x, y, q: (x, y, np.moveaxis(q, 1, -1)), r"Q.npy has shape \[14, 221, 51, 5\].*\[14, 5, 221, 51\]"),
        (lambda x, y, q: (x, y[:-1], q), r"NACA_Cylinder_Y.npy has shape \[13, 221, 51\].*expected \[14"),
        (lambda x, y, q: (y, x, q), "lower far end"),
        (lambda x, y, q: (x, -y, q), "upper far end"),
        (lambda x, y, q: (x[:, ::-1], y[:, ::-1], q), "upper far end"),
        (lambda x, y, q: (x[:, :, ::-1], y[:, :, ::-1], q), "wake cut at j = 0 should coincide"),
        (lambda x, y, q: (1000 * x, 1000 * y, q), "upper far end"),
        (lambda x, y, q: (x, y, swapped(q, 0, 3)), "channel 4 should be the Mach number"),
        (lambda x, y, q: (x, y, swapped(q, 3, 4)), "channel 4 should be the Mach number"),
        (lambda x, y, q: (x, y, swapped(q, 1, 2)), "far field should have the medians"),
        (lambda x, y, q: (x, y, q[:, :, :, ::-1]), "far field should have the medians"),
        (lambda x, y, q: (x, y, -q), "positive density"),
        (lambda x, y, q: (x, y, q.astype(int)), "of int64; expected"),
        (lambda x, y, q: (x, y, np.full(q.shape, np.nan)), "all finite"),
        (lambda x, y, q: (x, y, np.roll(q, 3, 2)), "sides of the wake cut should have one value"),
    ],
)
def test_files_that_are_not_the_published_ones_are_refused(change, message, published, tmp_path):
    written(tmp_path, change(*published))
    with pytest.raises(ValueError, match=message):
        Airfoil(tmp_path, num_samples=12)


def test_truncated_and_foreign_files_are_refused(published, tmp_path):
    written(tmp_path, published)
    path = tmp_path / "raw" / "airfoil" / "naca" / "NACA_Cylinder_Q.npy"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"NACA_Cylinder_Q.npy is not a whole numeric .npy file"):
        Airfoil(tmp_path, num_samples=12)
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"NACA_Cylinder_Q.npy is not a whole numeric .npy file"):
        Airfoil(tmp_path, num_samples=12)
    with pytest.raises(ValueError, match="hold 14 samples; 1200 are needed"):
        Airfoil(written(tmp_path / "whole", published))
