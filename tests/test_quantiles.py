"""Positions on the scale of their quantiles."""

import pytest
import torch

from pyg_neuralops.checkpoint import load_model, save_model
from pyg_neuralops.models import build_model
from pyg_neuralops.normalize import normalized
from pyg_neuralops.quantiles import Quantiles
from pyg_neuralops.testing import random_mesh


def crowded(count: int = 2000) -> torch.Tensor:
    """Points that crowd about (0, 1) in a domain a thousand times as wide."""
    radius = 10 ** (6 * torch.rand(count, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 3)
    sign = 1 - 2 * (torch.rand(count, 2, generator=torch.Generator().manual_seed(1)) < 0.5).double()
    return radius * sign + torch.tensor([0.0, 1.0], dtype=torch.float64)


def test_crowded_nodes_are_spread_and_unit_and_place_do_not_matter():
    pos = crowded()
    quantiles = Quantiles.of_positions([pos])
    seen = quantiles.encode(pos)
    standard = (pos - pos.mean(0)) / pos.std(0)
    near = (pos - torch.tensor([0.0, 1.0])).abs().amax(1) < 1
    assert standard[near].std(0).max() < 0.01 < 0.2 < seen[near].std(0).min()
    moved = Quantiles.of_positions([50 * pos - 3]).encode(50 * pos - 3)
    torch.testing.assert_close(moved, seen, rtol=0, atol=1e-9)


def test_evenly_spread_nodes_are_standardised():
    pos = torch.rand(20000, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([3.0, 0.1]) + 7
    seen = Quantiles.of_positions([pos[:9000], pos[9000:]]).encode(pos)
    torch.testing.assert_close(seen, (pos - pos.mean(0)) / pos.std(0), rtol=0, atol=0.06)


def test_the_map_rises_everywhere_and_is_inverted():
    grid = torch.cartesian_prod(torch.arange(5.0), torch.arange(3.0)).double()  # many nodes share each coordinate
    quantiles = Quantiles.of_positions([grid])
    line = torch.linspace(-4, 9, 500, dtype=torch.float64)[:, None].expand(-1, 2).requires_grad_()
    seen = quantiles.encode(line)
    assert (seen.diff(dim=0) > 0).all()
    torch.testing.assert_close(quantiles.decode(seen), line)
    (slope,) = torch.autograd.grad(seen.sum(), line)
    assert (slope > 0).all()


def test_an_axis_without_extent_is_shifted():
    pos = torch.cat([torch.rand(50, 1), torch.full((50, 1), 3.0)], 1)
    quantiles = Quantiles.of_positions([pos])
    seen = quantiles.encode(pos)
    assert not seen[:, 1].any()
    assert seen[:, 0].std() > 0.8
    torch.testing.assert_close(quantiles.decode(seen), pos)


def test_a_checkpoint_keeps_them_and_damaged_ones_are_named(tmp_path):
    samples = [random_mesh(40, seed=seed) for seed in range(3)]
    model = build_model("la2former", in_channels=2, out_channels=1, hidden_channels=8, num_layers=1, heads=2, patches=6)
    whole = normalized(model, samples, pos="quantile").eval()
    path = save_model(tmp_path / "model.safetensors", whole)
    again = load_model(path)
    assert isinstance(again.pos, Quantiles)
    with torch.no_grad():
        assert torch.equal(again(samples[0]), whole(samples[0]))
    whole.pos.knots[3] = whole.pos.knots[7]
    with pytest.raises(ValueError, match=r"model.safetensors does not fit .* knots of positions do not rise"):
        load_model(save_model(tmp_path / "model.safetensors", whole))
    for wrong in (torch.zeros(3), torch.zeros(1, 2), torch.zeros(3, 2, dtype=torch.long)):
        with pytest.raises(ValueError, match="knots have shape"):
            Quantiles(wrong)
    with pytest.raises(ValueError, match="no position"):
        Quantiles.of_positions([])
    with pytest.raises(ValueError, match="'quantile'"):
        normalized(model, samples, pos="quantiles")
