"""Patches along where the flow came from: curves, the distance along them, and what bounds it."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch

from pyg_neuralops.data import MeshData
from pyg_neuralops.ops.streamlines import distance_along, trace_upstream
from pyg_neuralops.testing import permuted, random_mesh
from pyg_neuralops.transforms import Characteristic, KNNPatches, RandomSymmetry, Upwind, parse_metric
from pyg_neuralops.transforms.flows import MeshFlow


def offsets(data):
    return data.pos[None] - data.pos[:, None]  # [i, j, D]


def curved(n=150, pos_dim=2, seed=0, cells=True):
    """Points of a box around the origin in a wind that turns, is calm at some nodes, and never straight."""
    data = random_mesh(n, pos_dim=pos_dim, seed=seed, dtype=torch.float64, cells=cells)
    x = 4 * data.pos
    data.wind = torch.stack([(x[:, 1] + 1).sin(), (x[:, 0] + 2 * x[:, -1]).cos(), x.sum(1).sin()], 1)[:, :pos_dim]
    data.wind[3] = 0
    return data


def cuts(kind, n=5, seed=None):
    """The unit box in cells of one kind, or a mixture, with inner nodes moved at random where a seed says so."""
    dim = 2 if kind in ("face", "quad", "mixed") else 3
    axis = torch.linspace(0, 1, n + 1).double()
    pos = torch.cartesian_prod(*[axis] * dim)
    node = torch.arange(len(pos)).view(*[n + 1] * dim)
    low, high = slice(None, -1), slice(1, None)
    if dim == 2:
        quad = torch.stack([node[low, low], node[high, low], node[high, high], node[low, high]]).flatten(1)
        face = torch.cat([quad[[0, 1, 2]], quad[[0, 2, 3]]], 1)
        half = quad.shape[1] // 2
        cells = {"face": {"face": face}, "quad": {"quad": quad}}.get(
            kind, {"quad": quad[:, :half], "face": torch.cat([quad[[0, 1, 3], half:], quad[[1, 2, 3], half:]], 1)}
        )
    else:
        bottom = [node[low, low, low], node[high, low, low], node[high, high, low], node[low, high, low]]
        top = [node[low, low, high], node[high, low, high], node[high, high, high], node[low, high, high]]
        box = torch.stack(bottom + top).flatten(1)
        parts = {
            "hex": [range(8)],
            "wedge": [(0, 1, 2, 4, 5, 6), (0, 2, 3, 4, 6, 7)],
            "tet": [(0, 1, 2, 6), (0, 2, 3, 6), (0, 3, 7, 6), (0, 7, 4, 6), (0, 4, 5, 6), (0, 5, 1, 6)],
            "pyramid": [
                (*side, 8)
                for side in ((0, 1, 2, 3), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7))
            ],
        }[kind]
        if kind == "pyramid":  # from the middle of each box
            box = torch.cat([box, len(pos) + torch.arange(box.shape[1])[None]])
            pos = torch.cat([pos, pos[box[:8]].mean(0)])
        cells = {kind: torch.cat([box[list(part)] for part in parts], 1)}
    if seed is not None:
        inner = ((pos > 0) & (pos < 1)).all(1)
        move = torch.rand(pos.shape, generator=torch.Generator().manual_seed(seed)).double() - 0.5
        pos = pos + 0.3 / n * inner[:, None] * move
    return MeshData(pos=pos, **cells)


KINDS = ["face", "quad", "mixed", "tet", "hex", "wedge", "pyramid"]


@pytest.mark.parametrize("cells", [True, False])
@pytest.mark.parametrize("pos_dim", [1, 2, 3])
@pytest.mark.parametrize("stretch", [1.0, 2.0, 6.0])
def test_a_constant_wind_gives_upwind_patches_as_far_as_it_was_traced(stretch, pos_dim, cells):
    data = random_mesh(120, pos_dim=pos_dim, dtype=torch.float64, cells=cells)
    data.wind = torch.tensor([0.8, 0.6, -0.3]).double()[:pos_dim].expand(120, -1) * (1 + data.pos[:, :1])
    metric, index, p = Characteristic("wind", stretch), torch.arange(120), offsets(data)
    length = metric.curves(data)[1][:, -1:]
    upstream = -(p * torch.nn.functional.normalize(data.wind, dim=1)[:, None]).sum(2)
    near = upstream * (1 - stretch**-2) <= length  # where the least is in reach
    found, expected = metric.distance(data, index, p), Upwind("wind", stretch).distance(data, index, p)
    assert (near & (upstream > 0)).sum() > 400
    torch.testing.assert_close(found[near], expected[near], rtol=1e-9, atol=1e-12)
    assert (found >= expected - 1e-12).all()


class Rotation:
    """Around the origin, at the speed of a rigid body."""

    def __init__(self, points, step):
        self.points, self.step = points, step

    def value(self, points):
        return torch.stack([-points[:, 1], points[:, 0], torch.full_like(points[:, 0], self.step)], 1)

    def start(self):
        return self.points, self.value(self.points), torch.zeros(len(self.points)).long()

    def move(self, points, place, to):
        return self.value(to), place, torch.ones(len(to)).double()


def test_curves_in_a_rotating_wind_are_circles_to_second_order():
    points = torch.tensor([[1.0, 0.0], [0.3, -0.4], [-2.0, 0.1]]).double()
    radius, errors = points.norm(dim=1), []
    for count in (8, 16, 32):
        curve, length = trace_upstream(Rotation(points, 1.0 / count), count)
        angle = torch.atan2(points[:, 1], points[:, 0])[:, None] - length / radius[:, None]
        circle = radius[:, None, None] * torch.stack([angle.cos(), angle.sin()], 2)
        torch.testing.assert_close(length[:, -1], torch.ones(3).double())
        errors.append((curve - circle).norm(dim=2).amax().item())
    rates = [math.log2(a / b) for a, b in pairwise(errors)]
    assert min(rates) > 1.8, (errors, rates)


@pytest.mark.parametrize("kind", KINDS)
def test_a_flow_on_cells_is_linear_between_nodes_and_ends_at_the_boundary(kind):
    data = cuts(kind, seed=1)
    dim, generator = data.pos.shape[1], torch.Generator().manual_seed(0)
    slope, shift = torch.randn(dim + 1, dim, generator=generator).double(), torch.randn(dim + 1, generator=generator)
    flow = MeshFlow(data.pos, data.pos @ slope.mT + shift, data.cells)
    points, _, place = flow.start()
    assert (place >= 0).all()
    for size in (0.1, 0.5, 2.0):
        to = points + size * torch.randn(points.shape, generator=generator).double()
        value, _, part = flow.move(points, place, to)
        inside = ((to >= 0) & (to <= 1)).all(1)
        assert inside.any() or size == 2.0
        torch.testing.assert_close(value[inside], (to @ slope.mT + shift)[inside], rtol=1e-9, atol=1e-9)
        # The part of the line in the box, where it enters it at all.
        step = to - points
        exits = torch.where(step > 0, (1 - points) / step, -points / step).amin(1)
        torch.testing.assert_close(part, exits.clamp(0, 1), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_curves_follow_a_linear_wind_to_the_boundary(kind):
    data = cuts(kind, n=6, seed=2)
    data.wind = torch.tensor([1.0, 0.4, 0.2]).double()[: data.pos.shape[1]].expand_as(data.pos)
    curve, length = Characteristic("wind", reach=80).curves(data)
    straight = data.pos - length[:, -1:] * torch.nn.functional.normalize(data.wind, dim=1)
    torch.testing.assert_close(curve[:, -1], straight)
    assert curve[:, -1].amin(1).abs().amax() < 1e-9  # where the wind enters
    at_inflow = (data.pos == 0).any(1)
    assert length[at_inflow].amax() < 1e-9
    turning = data.pos - 0.5
    data.wind = torch.cat([-turning[:, 1:2], turning[:, :1], 0 * turning[:, 2:]], 1)
    curve, length = Characteristic("wind", reach=8).curves(data)
    radius = (curve[..., :2] - 0.5).norm(dim=2)
    kept = (radius[:, 0] < 0.48) & (radius[:, 0] > 0.3)
    assert kept.sum() > 5
    assert (radius[kept] - radius[kept, :1]).abs().amax() < 0.06
    assert length[kept, -1].amin() > 0.5


def test_curves_do_not_cross_a_gap():
    data = cuts("quad", n=6)
    column = (data.pos[data.quad, 0].mean(0) * 6).floor()
    data.quad = data.quad[:, column != 2]  # a slit between x = 1/3 and x = 1/2
    data.wind = torch.tensor([1.0, 0.0]).double().expand_as(data.pos)
    end = Characteristic("wind", reach=40).curves(data)[0][:, -1, 0]
    expected = torch.where(data.pos[:, 0] >= 0.5, 0.5, 0.0).double()
    torch.testing.assert_close(end, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", ["face", "quad"])
@pytest.mark.parametrize("way", [(1.0, 1.0), (1.0, -1.0), (2.0, 1.0)])
def test_curves_pass_through_corners_that_stand_into_the_domain(way, kind):
    data = cuts(kind, n=8)
    middle = data.pos[data.cells[kind]].mean(0)
    data[kind] = data.cells[kind][:, (middle > 0.5).any(1)]  # an L, whose corner is at (1/2, 1/2)
    data.wind = torch.tensor(way).double().expand_as(data.pos)
    curve, _ = Characteristic("wind", reach=40).curves(data)
    for node in data.cells[kind].unique().tolist():
        line = data.pos[node] - torch.linspace(0, 1.5, 2401).double()[:, None] * data.wind[node]
        inside = ((line > -1e-9) & (line < 1 + 1e-9)).all(1) & (line > 0.5 - 1e-9).any(1)
        last = line[int((~inside).nonzero()[0]) - 1]
        assert (curve[node, -1] - last).norm() < 2e-3, (data.pos[node], curve[node, -1], last)


@pytest.mark.parametrize("pos_dim", [2, 3])
@pytest.mark.parametrize("cells", [True, False])
def test_distances_are_least_along_the_curve_and_within_their_bounds(cells, pos_dim):
    data = curved(80, pos_dim, cells=cells)
    p, index, s = offsets(data), torch.arange(80), 5.0
    metric = Characteristic("wind", s, reach=6)
    curve, length = metric.curves(data)
    found, size = metric.distance(data, index, p), p.norm(dim=2)
    fine = torch.linspace(0, 1, 41).double()
    least = size.clone()
    for a, b, t, u in zip(*(v for c in (curve, length) for v in (c.unbind(1)[:-1], c.unbind(1)[1:])), strict=True):
        for f in fine:
            on = a + f * (b - a) - data.pos
            along = t + f * (u - t)
            least = torch.minimum(least, ((p - on[:, None]).square().sum(2) + along[:, None] ** 2 / (s**2 - 1)).sqrt())
    assert (found <= least + 1e-12).all()
    assert (found - least).abs().amax() < 2e-3
    assert (found <= size + 1e-12).all()
    assert (size <= metric.stretch(data)[:, None] * found).all()
    assert (size > 2 * found).sum() > 20
    torch.testing.assert_close(found[3], size[3])  # calm


@pytest.mark.parametrize("cells", [True, False])
def test_patches_are_the_nearest_and_move_with_the_sample(cells):
    data = curved(200, cells=cells)
    metric = Characteristic("wind", 6, reach=10)
    patches = KNNPatches(9, metric=metric, tiles=True)

    def sets(sample):
        return patches(sample).patch_index[0].view(-1, 9).sort(1).values

    want = metric.distance(data, torch.arange(200), offsets(data)).topk(9, largest=False).indices.sort(1).values
    assert torch.equal(sets(data), want)
    assert not torch.equal(
        want, KNNPatches(9, metric=Upwind("wind", 6))(data).patch_index[0].view(-1, 9).sort(1).values
    )
    order = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    assert torch.equal(order[sets(permuted(data, order))].sort(1).values, want[order])
    for seed in range(3):
        torch.manual_seed(seed)
        moved = RandomSymmetry("isometries", shift=2.0, scale=(0.1, 10.0))(data)
        assert torch.equal(sets(moved), want)
        moved.wind = data.wind
        assert not torch.equal(sets(moved), want)
    other = curved(60, seed=1, cells=cells)
    together = patches(Batch.from_data_list([data, other])).patch_index
    assert torch.equal(together[0, : 9 * 200].view(-1, 9).sort(1).values, want)
    assert torch.equal(together[0, 9 * 200 :].view(-1, 9).sort(1).values - 200, sets(other))


@pytest.mark.parametrize("kind", ["quad", "hex"])
def test_mirrors_choose_no_diagonal(kind):
    data = cuts(kind, seed=3)
    x = 3 * data.pos
    data.wind = torch.stack([x.sum(1).cos(), (x[:, 0] - 1).sin(), x[:, -1].cos()], 1)[:, : data.pos.shape[1]]
    curve, length = Characteristic().curves(data)
    moved = RandomSymmetry("mirrors", center=[0.0] * data.pos.shape[1])
    turn = torch.diag(torch.tensor([-1.0, 1.0, 1.0]).double()[: data.pos.shape[1]])
    there, along = Characteristic().curves(moved.moved(data, turn))
    torch.testing.assert_close(there, curve @ turn)
    torch.testing.assert_close(along, length)


def test_cells_and_wind_count_as_geometry():
    data = curved(100)
    patches = KNNPatches(8, metric=Characteristic("wind"))
    before = patches(data)
    holed = patches(data.clone().update({"face": data.face[:, 40:]}))
    assert holed.patch_key != before.patch_key
    late = before.clone()
    late.face = data.face[:, 40:]
    assert torch.equal(patches(late).patch_index, holed.patch_index)
    late.wind = -data.wind
    again = patches(late).patch_index
    assert not torch.equal(again, holed.patch_index)
    assert torch.equal(again, KNNPatches(8, metric="Characteristic(wind)", cache_mib=0)(late).patch_index)


def test_meshes_of_few_points_and_of_points_at_one_place():
    for n in (1, 2, 3, 4, 5):
        data = curved(5, cells=False)
        data = MeshData(pos=data.pos[:n], wind=data.wind[:n])
        assert KNNPatches(9, metric=Characteristic())(data).patch_index.shape == (2, n * n)
    data = curved(30)
    data.pos[4], data.pos[5] = data.pos[6], data.pos[6]
    curve, _ = Characteristic().curves(data)
    assert curve.isfinite().all()
    data.face = data.face[:, :1]  # most nodes are in no cell
    curve, length = Characteristic().curves(data)
    free = torch.ones(30, dtype=torch.bool)
    free[data.face.flatten()] = False
    assert (length[free] == 0).all()
    assert (curve[free] == data.pos[free, None]).all()


def test_as_text_and_wrong_use():
    metric = parse_metric("Characteristic('wind', stretch=6)")
    assert metric.to_config() == {"name": "Characteristic", "field": "wind", "stretch": 6.0, "reach": 16}
    assert (
        repr(parse_metric(metric.to_config())) == repr(metric) == "Characteristic(field='wind', stretch=6.0, reach=16)"
    )
    assert KNNPatches.from_config(KNNPatches(8, metric=metric).to_config()).key == KNNPatches(8, metric=metric).key
    for text, message in (
        ("Characteristic(wind, 0.5)", "stretch=0.5; it must be at least 1"),
        ("Characteristic(wind, reach=0)", "reach=0; it must be at least 1"),
        ("Characteristic(wind, reach=2.5)", "reach=2.5; an integer is needed"),
        ("Characteristic(3)", "field=3; text is needed"),
    ):
        with pytest.raises(ValueError, match=message):
            parse_metric(text)
    data = curved(20)
    with pytest.raises(ValueError, match=r"data\.flow, which is missing"):
        KNNPatches(5, metric=Characteristic("flow"))(data)
    data.wind[7, 1] = math.nan
    with pytest.raises(ValueError, match=r"data\.wind is not finite at node 7"):
        KNNPatches(5, metric=Characteristic("wind"))(data)


def test_a_distance_along_a_straight_curve_by_hand():
    curve, length = torch.tensor([[[0.0, 0.0], [-1.0, 0.0]]]).double(), torch.tensor([[0.0, 1.0]]).double()
    p = torch.tensor([[[-1.0, 0.0], [-2.0, 0.0], [1.0, 0.0], [0.0, 3.0]]]).double()
    found = distance_along(curve, length, p, stretch=2.0)
    expected = [0.5, math.sqrt(1 + 1 / 3), 1.0, 3.0]
    np.testing.assert_allclose(found[0].numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("cells", [{"face": torch.empty(3, 0, dtype=torch.long)}, {"line": torch.tensor([[0], [1]])}])
def test_cells_that_fill_no_space_leave_a_cloud_as_it_is(cells):
    """None of a type, as in a batch beside meshes that have some; or a piece of the boundary."""
    data = random_mesh(40, cells=False, wind=True, dtype=torch.float64)
    want = Characteristic().curves(data)
    found = Characteristic().curves(MeshData(pos=data.pos, wind=data.wind, **cells))
    assert want[1][:, -1].mean() > 0.1
    assert all(torch.equal(a, b) for a, b in zip(found, want, strict=True))
