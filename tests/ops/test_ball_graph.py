"""Neighbours within a length of the domain: brute force, a fair sample beyond the cap, the same on every numbering."""

import numpy as np
import pytest
import torch

from pyg_neuralops.ops import ball_graph, domain_length, domain_reach, edge_offsets, spread_order


def cloud(n, dim=2, seed=0, power=1.0):
    """Points in a box; a power above 1 draws them together at its lower corner."""
    return torch.from_numpy(np.random.default_rng(seed).random((n, dim)) ** power)


def pairs(edges):
    return set(map(tuple, edges.t().tolist()))


def within(pos, radius, period=None):
    offset = pos[None] - pos[:, None]
    if period is not None:
        side = torch.where(period > 0, period, torch.inf)
        offset = offset - torch.where(period > 0, period, 0) * (offset / side).round()
    return offset.norm(dim=-1) <= radius * domain_length(pos, None, period)


@pytest.mark.parametrize("period", [None, (1.0, 1.0), (0.0, 1.5)])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_a_ball_is_all_points_within_the_radius(dim, period):
    pos = 3 * cloud(120, dim) - 1
    period = None if period is None else 3 * torch.tensor((*period, 1.0)[:dim]).double()
    edges = ball_graph(pos, 0.2, 120, 1, period=period)
    assert pairs(edges) == {(j, i) for i, j in within(pos, 0.2, period).nonzero().tolist()}
    length = edge_offsets(pos, edges, period).norm(dim=1)
    same = edges[1, 1:] == edges[1, :-1]
    assert (edges[1].diff() >= 0).all()
    assert (length.diff()[same] >= 0).all()
    first = torch.cat([torch.tensor([True]), ~same])
    assert torch.equal(edges[0, first], torch.arange(120))


def test_a_batch_is_its_samples_and_lengths_are_relative():
    samples = [cloud(80, seed=1), 7 * cloud(50, seed=2) + 3, cloud(1), cloud(5).float().double()]
    batch = torch.arange(4).repeat_interleave(torch.tensor([80, 50, 1, 5]))
    found = ball_graph(torch.cat(samples), 0.3, 12, 4, batch)
    starts = [0, 80, 130, 131]
    alone = [ball_graph(pos, 0.3, 12, 4) for pos in samples]
    assert torch.equal(found, torch.cat([edges + start for edges, start in zip(alone, starts, strict=True)], 1))
    assert torch.equal(ball_graph(7 * samples[0] + 3, 0.3, 80), ball_graph(samples[0], 0.3, 80))
    reach = domain_reach(torch.cat(samples), 0.3, batch)
    torch.testing.assert_close(reach[80:130], 0.3 * (samples[1].amax(0) - samples[1].amin(0)).max().expand(50))
    assert 0 < reach[130] < 1e-30
    assert ball_graph(pos := torch.empty(0, 2), 0.3, 4).shape == (2, 0)
    assert len(domain_reach(pos, 0.3)) == 0


def test_points_at_the_radius_are_inside_whatever_the_rounding():
    line = torch.arange(11, dtype=torch.float32) / 10
    pos = torch.cartesian_prod(line, line)
    degree = torch.bincount(ball_graph(pos, 0.1, 50)[1]).view(11, 11)
    assert (degree[1:-1, 1:-1] == 5).all()


def test_fewer_than_least_are_filled_up_and_more_than_k_are_thinned():
    pos = cloud(400, power=3.0)
    full, capped = ball_graph(pos, 0.08, 400, 5), ball_graph(pos, 0.08, 24, 5)
    inside = within(pos, 0.08).sum(1)
    assert inside.min() < 5
    assert inside.max() > 24
    assert torch.equal(torch.bincount(full[1]), inside.clamp_min(5))
    assert torch.equal(torch.bincount(capped[1]), inside.clamp(5, 24))
    assert pairs(capped) <= pairs(full)
    nearest = torch.cdist(pos, pos).topk(5, largest=False).indices
    assert {(j, i) for i, row in enumerate(nearest.tolist()) for j in row} <= pairs(capped)
    # A patch that no cap touches is the whole ball.
    small = (inside <= 24)[full[1]]
    assert pairs(full[:, small]) <= pairs(capped)


def test_thinning_does_not_depend_on_the_numbering():
    pos = cloud(300)
    new = torch.randperm(300, generator=torch.Generator().manual_seed(0))
    one, other = ball_graph(pos, 0.4, 20, 4), ball_graph(pos[new], 0.4, 20, 4)
    assert pairs(new[other]) == pairs(one)


def test_a_beginning_of_the_order_has_its_share_of_every_run_of_points():
    """In 1D the row is the sorted one: of every 8 successive points an eighth of the order has one."""
    points = np.random.default_rng(0).random((1024, 1)) ** 2
    order = spread_order(points)
    assert np.array_equal(np.sort(order), np.arange(1024))
    for part in (2, 8, 64):
        chosen = (order < 1024 // part)[np.argsort(points[:, 0])]
        assert (chosen.reshape(-1, part).sum(1) == 1).all()
    places = order[np.argsort(points[:, 0])].reshape(-1, 8).argmin(1)
    assert np.bincount(places, minlength=8).min() > 4  # which one is a matter of chance, not always the first


def test_a_thinned_patch_has_the_mean_of_its_ball():
    """Without bias where the density of points varies, and with less error than points drawn at random."""
    pos = cloud(1500, power=2.0)
    k, least = 40, 4
    full, thin = ball_graph(pos, 0.25, 1500, 1), ball_graph(pos, 0.25, k, least)
    size = torch.bincount(full[1])
    many = size > 4 * k
    assert many.sum() > 300
    for field in (pos[:, 0], (9 * pos[:, 1]).sin()):

        def mean(edges, field=field):
            return torch.zeros(1500).double().index_add(0, edges[1], field[edges[0]]) / torch.bincount(edges[1])

        error = (mean(thin) - mean(full))[many]
        spread = (mean(full, field.square()) - mean(full).square())[many].sqrt()
        random = (spread / k**0.5).square().mean().sqrt()  # of k points drawn independently
        assert error.mean().abs() < 0.3 * random
        assert error.square().mean().sqrt() < 0.75 * random


def test_neighbouring_points_share_what_they_keep():
    pos = cloud(2000)
    thin = ball_graph(pos, 0.2, 32, 4)
    near = torch.cdist(pos[:1], pos)[0].topk(16, largest=False).indices
    seen = [set(thin[0, thin[1] == i].tolist()) for i in near]
    assert len(set.union(*seen)) < 32 + 16 * 4  # 16 patches drawn one by one would hold some 200 points


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0.0, 8), "radius=0.0"), ((0.1, 8, 9), "least=9"), ((float("nan"), 8), "radius=nan"), ((0.1, 0), "k=0")],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ball_graph(cloud(9), *arguments)
