import numpy as np
import pytest
import torch

from pyg_neuralops.datasets.poisson import Poisson
from pyg_neuralops.solvers.poisson import sample_poisson

TINY = {"num_samples": 12, "per_side": 6, "workers": 0}


@pytest.mark.parametrize("mode", ["exact", "fem"])
def test_fields(tmp_path, mode):
    train = Poisson(tmp_path, mode=mode, **TINY)
    assert len(train) == 9
    for index, data in enumerate(train[:4]):
        alone = sample_poisson((0, 0, index), per_side=6, mode=mode)
        assert data.x.shape == data.pos.shape == (216, 3)
        assert data.y.shape == (216, 1)
        assert data.tet.shape == (4, 6 * 5**3)
        assert {value.dtype for value in (data.x, data.y, data.pos)} == {torch.float32}
        a, b, c, d = data.pos[data.tet]
        volume = (torch.linalg.cross(b - a, c - a) * (d - a)).sum(1) / 6
        assert (volume > 0).all()
        torch.testing.assert_close(volume.sum(), torch.tensor(1.0))
        torch.testing.assert_close(data.weight.sum(), torch.tensor(1.0))
        np.testing.assert_array_equal(data.y[:, 0], alone.u.astype(np.float32))
        np.testing.assert_array_equal(data.x[:, 0], alone.f.astype(np.float32))
        mark = data.x[:, 2] == 1
        assert mark.sum() == 6**3 - 4**3
        assert ((data.x[:, 2] == 0) | mark).all()
        assert (data.x[~mark, 1] == 0).all()
        torch.testing.assert_close(data.x[mark, 1], data.y[mark, 0])


def test_the_exact_solution_solves_the_equation(tmp_path):
    data = Poisson(tmp_path, **TINY)[0]
    wave = data.y[:, 0] - data.pos[:, 0] * data.pos[:, 1]
    squared = (data.x[:, 0] @ wave) / (wave @ wave)
    torch.testing.assert_close(data.x[:, 0], squared * wave, rtol=1e-4, atol=1e-4)
    assert 4 <= squared <= 36


def test_wrong_arguments_are_refused(tmp_path):
    with pytest.raises(ValueError, match="mode='exakt'; choose from"):
        Poisson(tmp_path, mode="exakt")
    with pytest.raises(ValueError, match="per_side=2"):
        Poisson(tmp_path, per_side=2)
    with pytest.raises(ValueError, match=r"jitter=0\.5"):
        Poisson(tmp_path, jitter=0.5)
