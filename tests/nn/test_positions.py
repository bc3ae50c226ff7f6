"""What an encoder sees of positions."""

import pytest
import torch

from pyg_neuralops.models import build_model
from pyg_neuralops.nn import Positions
from pyg_neuralops.normalize import normalized
from pyg_neuralops.testing import random_grid


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_reference_grid_gives_the_papers_distances(dim):
    """Distances to 8^D points spread over the unit box, though the coordinates come standardised."""
    pos = torch.rand(40, dim, dtype=torch.double)
    axis = torch.linspace(0, 1, 8, dtype=torch.double)
    points = torch.cartesian_prod(*[axis] * dim).reshape(-1, dim)
    positions = Positions("reference-grid", pos_dim=dim)
    found = positions((pos - 0.5) * 12**0.5)
    assert positions.channels == found.shape[1] == 8**dim
    torch.testing.assert_close(found, torch.cdist(pos, points), rtol=0, atol=1e-6)
    assert not positions.state_dict()


def test_a_grid_through_normalisers_comes_close_to_it():
    grid = random_grid((85, 85), in_channels=1, out_channels=1)
    seen = normalized(build_model("la2former-global", in_channels=1, out_channels=1), [grid]).pos.encode(grid.pos)
    axis = torch.linspace(0, 1, 8)
    unit = grid.pos / grid.pos.max(0).values
    expected = torch.cdist(unit, torch.cartesian_prod(axis, axis))
    torch.testing.assert_close(Positions("reference-grid", pos_dim=2)(seen), expected, rtol=0, atol=0.01)


def test_coordinates_or_nothing():
    coords = torch.rand(5, 2)
    assert torch.equal(Positions(True, pos_dim=2)(coords), coords)
    assert torch.equal(Positions(1, pos_dim=2)(coords), coords)
    assert Positions(False, pos_dim=2)(coords).shape == (5, 0)
    with pytest.raises(ValueError, match=r"coords='grid'; choose from \[True, False, 'reference-grid', 'fourier'\]"):
        Positions("grid", pos_dim=2)


def test_waves_have_half_a_period_to_four_in_the_width_of_the_domain():
    width = 12**0.5
    positions = Positions("fourier", pos_dim=2)
    coords = torch.tensor([[0.3, -0.7], [0.3 + width, -0.7], [0.3, -0.7 + width / 2]], dtype=torch.double)
    seen = positions(coords)
    assert positions.channels == seen.shape[1] == 18
    assert torch.equal(seen[:, :2], coords)
    waves = seen[:, 2:].view(3, 2, 2, 4)  # sine and cosine, axis, octave
    torch.testing.assert_close(waves[1, :, 0] / waves[0, :, 0], torch.tensor([[-1.0, 1, 1, 1]]).double().expand(2, 4))
    torch.testing.assert_close(
        waves[2, :, 1, 1:] / waves[0, :, 1, 1:], torch.tensor([[-1.0, 1, 1]]).double().expand(2, 3)
    )
    torch.testing.assert_close(waves.square().sum(1), torch.ones(3, 2, 4).double())
