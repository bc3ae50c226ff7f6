"""Cells of all types: volumes, edges, sides."""

import itertools

import pytest
import torch

from pyg_neuralops.data import CELLS, MeshData, boundary_sides, nodal_weights
from pyg_neuralops.plotting import surface
from pyg_neuralops.transforms import MeshEdges

SIDE = 3  # cells along a side of the cube


def lattice(jitter=0.0):
    """Nodes of a cube of SIDE cells a side, those inside moved, and its hexahedra."""
    axis = torch.linspace(0, 1, SIDE + 1, dtype=torch.float64) ** 1.3
    pos = torch.cartesian_prod(axis, axis, axis)
    inside = ((pos > 0) & (pos < 1)).all(1)
    noise = torch.rand(pos.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 0.5
    pos = pos + jitter * noise * inside[:, None]
    index = torch.arange(len(pos)).view(SIDE + 1, SIDE + 1, SIDE + 1)
    steps = ((0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1))
    corners = [index[i : i + SIDE, j : j + SIDE, k : k + SIDE].flatten() for i, j, k in steps]
    return pos, torch.stack(corners)


def mesh_of(kind, jitter=0.0):
    """The cube in cells of one kind."""
    pos, cells = lattice(jitter)
    if kind == "hex":
        return MeshData(pos=pos, hex=cells)
    if kind == "wedge":
        return MeshData(pos=pos, wedge=torch.cat([cells[[0, 1, 2, 4, 5, 6]], cells[[0, 2, 3, 4, 6, 7]]], 1))
    if kind == "tet":
        paths = ([0, 1, 2, 6], [0, 1, 5, 6], [0, 3, 2, 6], [0, 3, 7, 6], [0, 4, 5, 6], [0, 4, 7, 6])
        return MeshData(pos=pos, tet=torch.cat([cells[path] for path in paths], 1))
    centre = torch.arange(len(pos), len(pos) + cells.shape[1])[None]
    sides = [torch.cat([cells[list(side)], centre]) for side in CELLS["hex"].sides]
    return MeshData(pos=torch.cat([pos, pos[cells].mean(0)]), pyramid=torch.cat(sides, 1))


def sides_of(data):
    """Every side of the 3D cells once, as sorted tuples."""
    return {
        tuple(sorted(cell[list(side)].tolist()))
        for name, cells in data.cells.items()
        if CELLS[name].dim == 3
        for side in CELLS[name].sides
        for cell in cells.t()
    }


def linear(pos):
    return 1 + pos @ torch.arange(2.0, 2 + pos.shape[1], dtype=pos.dtype)


@pytest.mark.parametrize("jitter", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["tet", "hex", "wedge", "pyramid"])
def test_a_cube_in_any_cells_has_its_volume_its_integrals_and_the_euler_characteristic_of_a_ball(kind, jitter):
    data = mesh_of(kind, jitter)
    weight = nodal_weights(data)
    torch.testing.assert_close(weight.sum(), torch.tensor(1.0, dtype=torch.float64))
    torch.testing.assert_close(weight @ linear(data.pos), torch.tensor(1 + 4.5, dtype=torch.float64))
    edges = MeshEdges()(data.clone()).edge_index.shape[1] // 2
    assert data.num_nodes - edges + len(sides_of(data)) - data[kind].shape[1] == 1
    whole = 6 * SIDE**2
    expected = {"tet": {3: 2 * whole}, "hex": {4: whole}, "pyramid": {3: 0, 4: whole}}
    expected["wedge"] = {3: 4 * SIDE**2, 4: 4 * SIDE**2}
    assert {side.shape[1]: len(side) for side in boundary_sides(data)} == expected[kind]
    shown = surface(data)
    assert len(shown) == 2 * whole  # two triangles a square
    at = data.pos[shown]
    area = torch.linalg.cross(at[:, 1] - at[:, 0], at[:, 2] - at[:, 0]).norm(dim=1).sum() / 2
    torch.testing.assert_close(area, torch.tensor(6.0, dtype=torch.float64))


def test_the_numbers_of_edges_of_a_lattice():
    n, lines = SIDE + 1, 3 * SIDE * (SIDE + 1) ** 2
    diagonals = SIDE**2 * n  # of the wedges, in each layer of nodes
    assert MeshEdges()(mesh_of("hex")).edge_index.shape[1] == 2 * lines
    assert MeshEdges()(mesh_of("wedge")).edge_index.shape[1] == 2 * (lines + diagonals)
    assert MeshEdges()(mesh_of("pyramid")).edge_index.shape[1] == 2 * (lines + 8 * SIDE**3)


def test_mixed_cells_in_one_sample():
    """A cube with a prism, a pyramid and a tetrahedron on it."""
    cube = torch.tensor([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]])
    more = torch.tensor([[2, 0, 0.0], [2, 1, 0], [0.5, 0.5, 2], [3, 0, 1]])
    data = MeshData(
        pos=torch.cat([cube.float(), more]),
        hex=torch.arange(8)[:, None],
        wedge=torch.tensor([[1, 8, 5, 2, 9, 6]]).t(),  # on the side x = 1
        pyramid=torch.tensor([[4, 5, 6, 7, 10]]).t(),  # on the side z = 1
        tet=torch.tensor([[1, 8, 5, 11]]).t(),  # on a triangle of the prism
    )
    volumes = {"hex": 1.0, "wedge": 0.5, "pyramid": 1 / 3, "tet": None}
    a, b, c, d = data.pos[[1, 8, 5, 11]]
    volumes["tet"] = float(torch.linalg.det(torch.stack([b - a, c - a, d - a])).abs() / 6)
    torch.testing.assert_close(nodal_weights(data).sum(), torch.tensor(sum(volumes.values())))
    edges = MeshEdges()(data.clone()).edge_index.shape[1] // 2
    assert edges == 12 + 5 + 4 + 3
    assert data.num_nodes - edges + len(sides_of(data)) - 4 == 1


def test_lines_have_lengths_and_boundaries_beside_cells_have_no_weight():
    curve = MeshData(pos=torch.tensor([[0.0, 0], [3, 4], [3, 5]]), line=torch.tensor([[0, 1], [1, 2]]))
    torch.testing.assert_close(nodal_weights(curve), torch.tensor([2.5, 3.0, 0.5]))
    assert MeshEdges()(curve).edge_index.t().tolist() == [[0, 1], [1, 0], [1, 2], [2, 1]]
    triangle = {"pos": torch.tensor([[0.0, 0], [1, 0], [0, 1]]), "face": torch.arange(3)[:, None]}
    alone, with_border = MeshData(**triangle), MeshData(**triangle, line=torch.tensor([[0, 1, 2], [1, 2, 0]]))
    assert torch.equal(nodal_weights(alone), nodal_weights(with_border))


def test_degenerate_cells_add_neither_self_loops_nor_weight():
    data = MeshData(pos=torch.rand(4, 2), face=torch.tensor([[0, 3], [1, 3], [2, 1]]))
    edges = MeshEdges()(data.clone()).edge_index
    assert (edges[0] != edges[1]).all()
    assert {tuple(pair) for pair in edges.t().tolist()} == {
        (0, 1),
        (1, 0),
        (1, 2),
        (2, 1),
        (0, 2),
        (2, 0),
        (1, 3),
        (3, 1),
    }
    assert nodal_weights(data)[3] == 0


@pytest.mark.parametrize("name", CELLS)
def test_the_table_is_consistent(name):
    cell = CELLS[name]
    numbers = set(range(cell.corners))
    for part in (cell.edges, cell.sides, cell.simplices):
        assert {corner for corners in part for corner in corners} == numbers
    assert all(len(simplex) == cell.dim + 1 for simplex in cell.simplices)
    if cell.dim == 3:
        around = {frozenset(pair) for side in cell.sides for pair in zip(side, (*side[1:], side[0]), strict=True)}
        assert around == set(map(frozenset, cell.edges))
        assert cell.corners - len(cell.edges) + len(cell.sides) == 2
    assert len({c.vtk for c in CELLS.values()}) == len(CELLS)
    assert all(len(set(pair)) == 2 for pair in itertools.chain(cell.edges))
