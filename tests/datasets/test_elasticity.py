import numpy as np
import pytest
import torch

from pyg_neuralops.datasets.elasticity import OFFICIAL_POINTS, STRESS_FILE, XY_FILE, Elasticity
from pyg_neuralops.solvers.elasticity import sample_elasticity

SAMPLES = 14
TINY = {"num_samples": 12, "points": 400, "refine": 0, "refine_void": 0, "workers": 0}


@pytest.fixture(scope="module")
def arrays():
    """Files of the official layout: four cells, their mirror images, and both in another order of the points."""
    cells = [sample_elasticity(seed, refine=0, refine_void=0) for seed in range(4)]
    xy, stress = [], []
    for index in range(SAMPLES):
        cell, mirrored, reverse = cells[index % 4], index // 4 % 2, index // 8
        points = np.abs(cell.points - [mirrored, 0])
        order = slice(None, None, -1 if reverse else 1)
        xy.append(points[order])
        stress.append(cell.von_mises[order])
    return {"XY": np.stack(xy, axis=-1), "sigma": np.stack(stress, axis=-1)}


def official(root, arrays, **options):
    folder = root / "raw" / "elasticity" / "Meshes"
    folder.mkdir(parents=True)
    for key, values in arrays.items():
        np.save(folder / f"Random_UnitCell_{key}_10.npy", values)
    return Elasticity(root, source="official", num_samples=12, **options)


def test_fields_of_a_generated_sample(tmp_path):
    data = Elasticity(tmp_path, **TINY)
    alone = sample_elasticity((0, 0, 3), points=400, refine=0, refine_void=0)
    sample = data[3]
    assert sample.get("x") is None
    assert sample.source == "generated"
    assert sample.y.shape == (400, 1)
    np.testing.assert_array_equal(sample.y[:, 0], alone.von_mises.astype(np.float32))
    np.testing.assert_array_equal(sample.pos, alone.points.astype(np.float32))
    x, y = sample.pos[sample.face].unbind(-1)  # [3, cells]
    area = 0.5 * (x * y.roll(-1, 0) - y * x.roll(-1, 0)).sum(0)
    assert (area > 0).all()
    assert 1 - np.pi * 0.4**2 < float(area.sum()) < 1 - np.pi * 0.2**2
    assert sample.face.unique().numel() == 400
    torch.testing.assert_close(sample.weight.sum(), area.sum())
    assert data.info["residual_max"] <= 1e-10
    assert data.info["redraws_max"] >= 0
    assert (data.info["points"], data.info["traction"]) == (400, 100.0)


def test_official_files_are_read_as_they_are(tmp_path, arrays):
    train = official(tmp_path, arrays, protocol="paper")
    test = Elasticity(tmp_path, "test", num_samples=12)  # finds the files by itself
    assert (train.source, test.source, len(train), len(test)) == ("official", "official", 10, 2)
    for data, first in ((train, 0), (test, SAMPLES - 2)):
        for row, sample in enumerate(data, first):
            assert sample.get("x") is None
            assert sample.get("face") is None
            np.testing.assert_array_equal(sample.pos, arrays["XY"][..., row].astype(np.float32))
            np.testing.assert_array_equal(sample.y[:, 0], arrays["sigma"][:, row].astype(np.float32))


def filled(points):
    """Points of the official layout, those around the void moved into it."""
    radius = np.linalg.norm(points - 0.5, axis=1, keepdims=True)
    return 0.5 + (points - 0.5) * np.minimum(1, radius / 0.45)


WRONG = {
    "samples first": (lambda a: {k: np.moveaxis(v, -1, 0) for k, v in a.items()}, r"shape \[14, 972, 2\]; expected"),
    "coordinates first": (lambda a: {**a, "XY": np.swapaxes(a["XY"], 0, 1)}, r"shape \[2, 972, 14\]"),
    "stress transposed": (lambda a: {**a, "sigma": a["sigma"].T}, r"sigma_10.npy holds .*shape \[14, 972\]"),
    "files exchanged": (lambda a: {"XY": a["sigma"], "sigma": a["XY"]}, r"XY_10.npy holds .*shape \[972, 14\]"),
    "x and y exchanged": (lambda a: {**a, "XY": a["XY"][:, ::-1]}, "Are the coordinates x and y"),
    "another order of samples": (lambda a: {**a, "sigma": a["sigma"][:, ::-1]}, "neighbouring points"),
    "another order of points": (lambda a: {**a, "sigma": a["sigma"][::-1]}, "neighbouring points"),
    "centre at the origin": (lambda a: {**a, "XY": a["XY"] - 0.5}, "expected 0 to 1"),
    "in millimetres": (lambda a: {**a, "XY": a["XY"] * 1000}, "y from 0 to 1e"),
    "stress in kPa": (lambda a: {**a, "sigma": a["sigma"] / 1000}, "Is it in Pa"),
    "a signed stress": (lambda a: {**a, "sigma": a["sigma"] - 100}, "expected that of von Mises"),
    "a filled void": (lambda a: {**a, "XY": filled(a["XY"])}, "expected the edge of a void"),
    "no corner": (lambda a: {**a, "XY": np.where(a["XY"].sum(1, keepdims=True) == 0, 0.1, a["XY"])}, "corner"),
    "not a number": (lambda a: {**a, "sigma": np.where(a["sigma"] > 900, np.nan, a["sigma"])}, "not finite"),
    "integers": (lambda a: {**a, "sigma": a["sigma"].astype(int)}, "holds int64"),
    "fewer points": (lambda a: {k: v[:-1] for k, v in a.items()}, r"shape \[971, 2, 14\]"),
    "fewer stresses": (lambda a: {**a, "sigma": a["sigma"][:, :-1]}, r"shape \[972, 13\]"),
    "too few samples": (lambda a: {k: v[..., :11] for k, v in a.items()}, "11 samples; 12 are needed"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files_are_refused(name, tmp_path, arrays):
    change, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        official(tmp_path, change(arrays))
    assert not list(tmp_path.rglob("*.h5"))


@pytest.mark.parametrize("content", ["truncated", "foreign", "empty", "pickled"])
def test_unreadable_files_are_refused(content, tmp_path, arrays):
    folder = tmp_path / "raw"
    folder.mkdir()
    for key, values in arrays.items():
        np.save(folder / f"Random_UnitCell_{key}_10.npy", values)
    path = folder / STRESS_FILE
    if content == "pickled":
        np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    else:
        path.write_bytes({"truncated": path.read_bytes()[:-1000], "foreign": b"<html>", "empty": b""}[content])
    with pytest.raises(ValueError, match=f"{STRESS_FILE} is not a readable file"):
        Elasticity(tmp_path, num_samples=12)


def test_official_names_and_sizes(arrays):
    assert set(Elasticity.official_files) == {XY_FILE, STRESS_FILE}
    assert arrays["XY"].shape == (OFFICIAL_POINTS, 2, SAMPLES)


def test_sizes_are_checked(tmp_path):
    with pytest.raises(ValueError, match="points=199"):
        Elasticity(tmp_path, points=199)
    with pytest.raises(ValueError, match="refine_void=-1"):
        Elasticity(tmp_path, refine_void=-1)
