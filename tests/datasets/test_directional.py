import numpy as np
import pytest
import torch

from pyg_neuralops.datasets.advection_diffusion import AdvectionDiffusion
from pyg_neuralops.datasets.anisotropic_diffusion import AnisotropicDiffusion
from pyg_neuralops.solvers.advection_diffusion import sample_advection_diffusion
from pyg_neuralops.solvers.anisotropic_diffusion import sample_anisotropic_diffusion

TINY = {"num_samples": 12, "points": 120, "refine": 0, "workers": 0}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("directional")


def areas(data):
    a, b, c = data.pos[data.face]
    return ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2


def rim(data):
    """Ends of the edges that belong to one triangle only."""
    pairs = torch.cat([data.face[[0, 1]], data.face[[1, 2]], data.face[[2, 0]]], 1).sort(0).values
    edges, counts = pairs.unique(dim=1, return_counts=True)
    mark = torch.zeros(data.num_nodes)
    mark[edges[:, counts == 1].flatten()] = 1
    return mark


def test_advection_diffusion_fields(root):
    train = AdvectionDiffusion(root / "wind", **TINY)
    for index, data in enumerate(train[:5]):
        alone = sample_advection_diffusion((0, 0, index), points=120, refine=0)
        count = len(alone.points)
        assert data.x.shape == (count, 6)
        assert data.y.shape == (count, 1)
        assert data.wind.shape == data.pos.shape == (count, 2)
        assert {value.dtype for value in (data.x, data.y, data.pos, data.wind)} == {torch.float32}
        assert (areas(data) > 0).all()
        torch.testing.assert_close(data.weight.sum(), areas(data).sum())
        np.testing.assert_array_equal(data.pos, alone.points.astype(np.float32))
        np.testing.assert_array_equal(data.y[:, 0], alone.u.astype(np.float32))
        torch.testing.assert_close(data.x[:, :2], data.wind)
        np.testing.assert_array_equal(data.wind, alone.wind.astype(np.float32))
        np.testing.assert_allclose(data.x[:, 2], np.log10(alone.diffusivity), rtol=1e-6)
        value, inflow, other = data.x[:, 3:].T
        torch.testing.assert_close(inflow + other, rim(data))
        assert (value[inflow == 0] == 0).all()
        assert 0.2 < inflow.sum() / rim(data).sum() < 0.8
    names = train.info["names"]
    assert {name: len(names[name]) for name in ("pos", "x", "y")} == {"pos": 2, "x": 6, "y": 1}


def test_inflow_is_where_the_wind_enters(root):
    # Without swirl, the vertex furthest upwind is at the inflow and the one furthest downwind is not.
    for data in AdvectionDiffusion(root / "calm", swirl=0, **TINY)[:5]:
        along = data.pos @ data.wind[0]
        inflow = data.x[:, 4]
        assert inflow[along.argmin()] == 1
        assert inflow[along.argmax()] == 0
        assert (data.wind == data.wind[0]).all()


def test_anisotropic_diffusion_fields(root):
    train = AnisotropicDiffusion(root / "medium", **TINY)
    for index, data in enumerate(train[:5]):
        alone = sample_anisotropic_diffusion((0, 0, index), points=120, refine=0)
        count = len(alone.points)
        assert data.x.shape == (count, 5)
        assert data.y.shape == (count, 1)
        assert data.conductivity.shape == (count, 2, 2)
        assert {value.dtype for value in (data.x, data.y, data.pos, data.conductivity)} == {torch.float32}
        assert (areas(data) > 0).all()
        torch.testing.assert_close(data.weight.sum(), areas(data).sum())
        np.testing.assert_array_equal(data.y[:, 0], alone.u.astype(np.float32))
        mark = rim(data)
        torch.testing.assert_close(data.x[:, 1], mark)
        torch.testing.assert_close(data.x[mark == 1, 0], data.y[mark == 1, 0])
        assert (data.x[mark == 0, 0] == 0).all()
        # The tensor that the channels describe: mean + deviator along (cos 2a, sin 2a).
        cosine, sine, ratio = data.x[0, 2], data.x[0, 3], 10 ** data.x[0, 4]
        half, part = (1 + 1 / ratio) / 2, (1 - 1 / ratio) / 2
        expected = torch.stack([half + part * cosine, part * sine, part * sine, half - part * cosine]).view(2, 2)
        torch.testing.assert_close(data.conductivity, expected.expand(count, 2, 2), rtol=1e-5, atol=1e-6)
    assert len({float(data.x[0, 4]) for data in train}) == len(train)


def test_equal_parameters_share_a_file(root):
    first = AnisotropicDiffusion(root / "medium", **TINY)
    assert first.raw_paths == AnisotropicDiffusion(root / "medium", max_ratio=1000, **TINY).raw_paths


def test_wrong_arguments_are_refused(tmp_path):
    with pytest.raises(ValueError, match="swirl=-1"):
        AdvectionDiffusion(tmp_path, swirl=-1)
    with pytest.raises(ValueError, match="points=50"):
        AdvectionDiffusion(tmp_path, points=50)
    with pytest.raises(ValueError, match=r"max_ratio=0\.5"):
        AnisotropicDiffusion(tmp_path, max_ratio=0.5)
    with pytest.raises(ValueError, match="source='official'; choose from"):
        AnisotropicDiffusion(tmp_path, source="official")
