"""Geometry as channels: distances, spacing, marks and normals."""

import math
import time
from functools import partial

import pytest
import torch
from torch_geometric.data import Batch

from pyg_neuralops.data import CELLS, MeshData, boundary_sides
from pyg_neuralops.datasets.grid import unit_grid
from pyg_neuralops.testing import random_mesh
from pyg_neuralops.transforms import BoundaryDistance, BoundaryMarks, LocalSpacing, Normals
from pyg_neuralops.transforms.closest import closest_offsets

ALL = (BoundaryDistance, BoundaryMarks, LocalSpacing, Normals)


def cube(kind, side=3):
    """The unit cube in cells of one kind, float64."""
    axis = torch.linspace(0, 1, side + 1, dtype=torch.float64)
    pos = torch.cartesian_prod(axis, axis, axis)
    index = torch.arange(len(pos)).view(side + 1, side + 1, side + 1)
    steps = ((0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1))
    cells = torch.stack([index[i : i + side, j : j + side, k : k + side].flatten() for i, j, k in steps])
    if kind == "hex":
        return MeshData(pos=pos, hex=cells)
    if kind == "wedge":
        return MeshData(pos=pos, wedge=torch.cat([cells[[0, 1, 2, 4, 5, 6]], cells[[0, 2, 3, 4, 6, 7]]], 1))
    paths = ([0, 1, 2, 6], [0, 1, 5, 6], [0, 3, 2, 6], [0, 3, 7, 6], [0, 4, 5, 6], [0, 4, 7, 6])
    if kind == "tet":
        return MeshData(pos=pos, tet=torch.cat([cells[path] for path in paths], 1))
    middle = torch.arange(len(pos), len(pos) + cells.shape[1])[None]
    pyramids = torch.cat([torch.cat([cells[list(one)], middle]) for one in CELLS["hex"].sides], 1)
    pos = torch.cat([pos, pos[cells].mean(0)])
    if kind == "pyramid":
        return MeshData(pos=pos, pyramid=pyramids)
    # Mixed: the first hexahedron as it is, all others as pyramids.
    first = middle[0] == middle[0, 0]
    return MeshData(pos=pos, hex=cells[:, first], pyramid=pyramids[:, pyramids[4] != middle[0, 0]])


def square(kind, jitter=0.0):
    pos, quad = unit_grid(7, 7)
    pos = pos.double()
    inside = ((pos > 0) & (pos < 1)).all(1, keepdim=True)
    pos = pos + jitter * inside * (torch.rand(pos.shape, generator=torch.Generator().manual_seed(0)) - 0.5)
    face = torch.cat([quad[[0, 1, 2]], quad[[0, 2, 3]]], 1)
    if kind == "mixed":
        return MeshData(pos=pos, quad=quad[:, :18], face=torch.cat([quad[[0, 1, 2], 18:], quad[[0, 3, 2], 18:]], 1))
    return MeshData(pos=pos, quad=quad) if kind == "quad" else MeshData(pos=pos, face=face)


def line():
    pos = torch.tensor([[0.3], [0.0], [1.0], [0.7]], dtype=torch.float64)
    return MeshData(pos=pos, line=torch.tensor([[1, 0, 2], [0, 3, 3]]))


BOXES = {
    "line": line,
    **{f"square of {kind}": partial(square, kind, 0.05) for kind in ("face", "quad", "mixed")},
    **{f"cube of {kind}": partial(cube, kind) for kind in ("tet", "hex", "wedge", "pyramid", "mixed")},
}


@pytest.mark.parametrize("box", BOXES)
def test_distances_marks_and_normals_of_a_box_are_those_of_a_box_in_any_cells(box):
    data = BOXES[box]()
    to_walls = torch.minimum(data.pos, 1 - data.pos)  # [N, D]
    on_wall = (to_walls == 0).any(1)
    assert torch.equal(BoundaryMarks()(data).x[:, 0], on_wall.double())
    distance, *vector = BoundaryDistance(vector=True)(data).x.t()
    torch.testing.assert_close(distance, to_walls.amin(1), rtol=0, atol=1e-15)
    torch.testing.assert_close(torch.stack(vector, 1).norm(dim=1), distance)
    assert (distance[on_wall] == 0).all()
    normals = Normals()(data).x
    assert torch.equal(normals.norm(dim=1) > 0.5, on_wall)
    assert (normals[~on_wall] == 0).all()
    flat = (to_walls == 0).sum(1) == 1
    expected = (data.pos == 1).double() - (data.pos == 0).double()
    torch.testing.assert_close(normals[flat], expected[flat], rtol=0, atol=1e-12)
    assert (normals * expected)[on_wall].sum(1).min() > 0.5
    if data.pos.shape[1] == 2:
        corners = (to_walls == 0).all(1)
        torch.testing.assert_close(normals[corners], expected[corners] / math.sqrt(2))


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_distances_are_those_of_brute_force_on_random_meshes(dim, seed):
    data = random_mesh(60, pos_dim=dim, seed=seed, dtype=torch.float64)
    data.pos = data.pos * torch.logspace(-2, 0, dim, dtype=torch.float64)
    facets = data.pos[boundary_sides(data, dim)[0]]
    made = BoundaryDistance()(data).x[:, -1]
    # Brute force without the code under test: minimise over a fine net of points of every facet.
    net = torch.cartesian_prod(*[torch.linspace(0, 1, 81, dtype=torch.float64)] * (dim - 1)).view(-1, dim - 1)
    net = net[net.sum(1) <= 1 + 1e-12]
    shares = torch.cat([1 - net.sum(1, keepdim=True), net], 1)
    points = torch.einsum("sc,mcd->msd", shares, facets).flatten(0, 1)
    brute = torch.cdist(data.pos, points, compute_mode="donot_use_mm_for_euclid_dist").amin(1)
    assert (made <= brute + 1e-12).all()
    assert (brute - made).max() < 0.02


@pytest.mark.parametrize("corners", [1, 2, 3])
def test_the_search_finds_the_closest_of_facets_of_very_different_sizes(corners):
    torch.manual_seed(corners)
    size = torch.logspace(-4, 0, 200, dtype=torch.float64)[:, None, None]
    facets = torch.rand(200, 1, 3, dtype=torch.float64) + size * torch.randn(200, corners, 3, dtype=torch.float64)
    points = torch.rand(150, 3, dtype=torch.float64)
    every = torch.stack([closest_offsets(points, facet[None]).norm(dim=1) for facet in facets])
    torch.testing.assert_close(closest_offsets(points, facets).norm(dim=1), every.amin(0), rtol=1e-13, atol=0)


def test_collapsed_cells_share_their_sides_with_others():
    """A wedge written as a hexahedron beside a tetrahedron, and beside another such wedge."""
    pos = torch.rand(7, 3)
    wedge = torch.tensor([[0, 1, 2, 2, 3, 4, 5, 5]]).t()
    found = boundary_sides(MeshData(pos=pos, hex=wedge, tet=torch.tensor([[0, 2, 1, 6]]).t()))
    sides = sorted(sorted(set(side)) for part in found for side in part.tolist())
    assert sides == [[0, 1, 3, 4], [0, 1, 6], [0, 2, 3, 5], [0, 2, 6], [1, 2, 4, 5], [1, 2, 6], [3, 4, 5]]
    other = torch.tensor([[1, 2, 0, 0, 6, 7, 8, 8]]).t()
    (quads,) = boundary_sides(MeshData(pos=torch.rand(9, 3), hex=torch.cat([wedge, other], 1)))
    assert [0, 1, 2] not in [sorted(set(side)) for side in quads.tolist()]


def test_distances_know_holes_and_marks():
    pos, quad = unit_grid(9, 9)
    hole = ((pos[quad].mean(0) - 0.5).abs() < 0.2).all(1)
    hole_side = (pos[quad[:, hole]].amin((0, 1)), pos[quad[:, hole]].amax((0, 1)))
    wall = ((pos >= hole_side[0]) & (pos <= hole_side[1])).all(1)
    data = MeshData(pos=pos, quad=quad[:, ~hole], wall=wall)
    outside = (torch.maximum(hole_side[0] - pos, pos - hole_side[1])).clamp_min(0).norm(dim=1)
    inside = ((pos > hole_side[0]) & (pos < hole_side[1])).all(1)
    to_hole = BoundaryDistance(mark="wall")(data).x[:, 0]
    torch.testing.assert_close(to_hole[~inside], outside[~inside])
    expected = torch.minimum(outside, torch.minimum(pos, 1 - pos).amin(1))
    torch.testing.assert_close(BoundaryDistance()(data).x[~inside, 0], expected[~inside])
    assert torch.equal(BoundaryMarks(["wall"])(data).x[:, 0], wall.float())
    assert BoundaryDistance(mark="wall", vector=True).names(2) == ("wall_distance", "to_wall_x", "to_wall_y")
    with pytest.raises(ValueError, match="'inlet', which is missing"):
        BoundaryMarks(["inlet"])(data)
    data.nowhere = torch.zeros(len(pos))
    with pytest.raises(ValueError, match="no side of the boundary has the mark 'nowhere'"):
        BoundaryDistance(mark="nowhere")(data)


def test_surfaces_in_3d_have_normals_and_a_rim():
    torch.manual_seed(0)
    pos, quad = unit_grid(5, 5)
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]
    turn = turn * turn.det()
    sheet = torch.cat([pos.double(), torch.zeros(25, 1, dtype=torch.float64)], 1) @ turn.t()
    data = MeshData(pos=sheet, quad=quad)
    torch.testing.assert_close(Normals()(data).x, turn[:, 2].expand(25, 3))
    turned = MeshData(pos=sheet, quad=quad.flip(0))
    torch.testing.assert_close(Normals()(turned).x, -turn[:, 2].expand(25, 3))
    rim = torch.minimum(pos, 1 - pos).amin(1)
    torch.testing.assert_close(BoundaryDistance()(data).x[:, 0], rim.double())
    box = cube("hex")
    (sides,) = boundary_sides(box)
    closed = MeshData(pos=box.pos, quad=sides.t())
    with pytest.raises(ValueError, match="no boundary"):
        BoundaryDistance()(closed)
    assert not BoundaryMarks()(closed).x.any()
    curve = MeshData(pos=sheet, line=torch.tensor([[0, 1], [1, 2]]))
    with pytest.raises(ValueError, match="1 dimension"):
        Normals()(curve)


def test_spacing_is_that_of_edges_or_of_neighbours():
    data = square("quad")
    torch.testing.assert_close(LocalSpacing()(data).x, torch.full((49, 1), math.log(1 / 6), dtype=torch.float64))
    cloud = LocalSpacing()(MeshData(pos=1e-6 * data.pos)).x[:, 0]
    inside = ((data.pos > 0) & (data.pos < 1)).all(1)
    torch.testing.assert_close(cloud[inside], torch.full((25,), math.log(1e-6 / 6), dtype=torch.float64))
    assert (cloud[~inside] > cloud[inside].max() + 0.05).all()
    with pytest.raises(ValueError, match="node 4 is in no cell"):
        LocalSpacing()(MeshData(pos=torch.cat([line().pos, torch.zeros(1, 1).double()]), line=line().line))
    with pytest.raises(ValueError, match="node 0 has no neighbour at a distance"):
        LocalSpacing()(MeshData(pos=torch.zeros(3, 2)))


def test_channels_are_appended_in_the_order_of_their_names_and_the_sample_stays_as_it_is():
    data = random_mesh(40)
    before = data.x.clone()
    for transform in (BoundaryDistance(vector=True), BoundaryMarks(), LocalSpacing(), Normals()):
        made = transform(data)
        assert torch.equal(data.x, before)
        assert torch.equal(made.x[:, :2], before)
        assert made.x.shape[1] == 2 + len(transform.names(2))
        assert made.x.dtype == torch.float32
        assert transform(MeshData(pos=data.pos, face=data.face)).x.shape[1] == len(transform.names(2))


@pytest.mark.parametrize("kind", ALL)
def test_batches_are_refused_and_point_clouds_where_cells_are_needed(kind):
    with pytest.raises(ValueError, match="before they are batched"):
        kind()(Batch.from_data_list([random_mesh(20), random_mesh(30)]))
    cloud = random_mesh(20, cells=False)
    if kind is LocalSpacing:
        assert kind()(cloud).x.shape == (20, 3)
    else:
        with pytest.raises(ValueError, match=f"{kind.__name__} needs cells.*point cloud"):
            kind()(cloud)


def test_large_meshes_take_seconds():
    data = cube("tet", side=30)  # 29,791 nodes, 162,000 tetrahedra
    start = time.process_time()
    made = BoundaryDistance()(data).x[:, 0]
    assert time.process_time() - start < 30  # 3 s on one core; machines differ
    torch.testing.assert_close(made, torch.minimum(data.pos, 1 - data.pos).amin(1), rtol=0, atol=1e-15)
