"""Modes of the Laplacian: the known ones of boxes, in any unit, from cells and from points."""

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch

from pyg_neuralops.data import MeshData, nodal_weights
from pyg_neuralops.data.laplacian import cell_stiffness, lowest_modes
from pyg_neuralops.testing import permuted, random_mesh
from pyg_neuralops.transforms import LaplacianModes


def box(cell: str, side: int, lengths: tuple[float, ...] = (1.0, 1.0, 1.0)) -> MeshData:
    """A box of quads, triangles, hexahedra or tetrahedra with ``side`` cells on each axis."""
    dim = 2 if cell in ("quad", "face") else 3
    axes = [torch.linspace(0, length, side + 1, dtype=torch.float64) for length in lengths[:dim]]
    pos = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, -2)
    number = torch.arange(len(pos)).view(*[side + 1] * dim)
    low, high = slice(None, -1), slice(1, None)
    if dim == 2:
        corners = [number[at].flatten() for at in ((low, low), (high, low), (high, high), (low, high))]
        quads = torch.stack(corners)
        cells = quads if cell == "quad" else torch.cat([quads[[0, 1, 2]], quads[[0, 2, 3]]], 1)
    else:
        ring = ((low, low), (high, low), (high, high), (low, high))
        cells = torch.stack([number[(*at, z)].flatten() for z in (low, high) for at in ring])
        if cell == "tet":  # along the diagonal from corner 0 to corner 6
            paths = ((0, 1, 2, 6), (0, 1, 5, 6), (0, 3, 2, 6), (0, 3, 7, 6), (0, 4, 5, 6), (0, 4, 7, 6))
            cells = torch.cat([cells[list(path)] for path in paths], 1)
    return MeshData(pos=pos, **{cell: cells})


@pytest.mark.parametrize(("cell", "sides"), [("face", (8, 16)), ("quad", (8, 16)), ("tet", (4, 8)), ("hex", (4, 8))])
def test_modes_of_a_box_converge_with_order_two(cell, sides):
    lengths = (1.0, 0.7, 0.9)
    dim = 2 if cell in ("face", "quad") else 3
    frequencies = np.stack(np.meshgrid(*[np.arange(4)] * dim, indexing="ij"), -1).reshape(-1, dim)
    volume = np.prod(lengths[:dim]) ** (2 / dim)
    exact = np.sort((np.pi**2 * (frequencies / lengths[:dim]) ** 2).sum(1))[:6] * volume
    errors = []
    for side in sides:
        data = LaplacianModes(6)(box(cell, side, lengths))
        assert abs(data.eigenvalues[0, 0]) < 1e-8
        errors.append(abs(data.eigenvalues[0, 1:].numpy() / exact[1:] - 1).max())
        product = data.mode_values.T @ (data.mode_weight[:, None] * data.mode_values)
        torch.testing.assert_close(product, torch.eye(6, dtype=torch.float64), atol=1e-8, rtol=0)
    assert 1.7 < np.log2(errors[0] / errors[1]) < 2.4
    assert errors[1] < 0.05


def test_stiffness_is_the_energy_of_linear_fields_on_any_cells_and_surfaces():
    for mesh, size in ((box("quad", 3), 1.0), (box("hex", 3), 1.0), (box("tet", 2), 1.0)):
        slope = torch.arange(1.0, mesh.pos.shape[1] + 1, dtype=torch.float64)
        field = (mesh.pos @ slope).numpy()
        energy = field @ (cell_stiffness(mesh) @ field)
        assert energy == pytest.approx(size * float(slope @ slope), rel=1e-12)
    flat = box("quad", 3)
    lifted = MeshData(pos=torch.cat([flat.pos, 2 * flat.pos[:, :1]], 1), quad=flat.quad)  # slope 2 along the first axis
    field = flat.pos[:, 0].numpy()
    assert field @ (cell_stiffness(lifted) @ field) == pytest.approx(1 / np.sqrt(5), rel=1e-12)


def test_unit_place_and_order_of_nodes_do_not_matter():
    data = random_mesh(80, dtype=torch.float64)
    here = LaplacianModes(10)(data)
    moved = random_mesh(80, dtype=torch.float64)
    angle = torch.tensor(0.3, dtype=torch.float64)
    turn = torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])
    moved.pos = 1e3 * moved.pos @ turn + 7
    there = LaplacianModes(10)(moved)
    torch.testing.assert_close(there.eigenvalues, here.eigenvalues, rtol=1e-8, atol=1e-7)
    torch.testing.assert_close(there.mode_values.abs(), here.mode_values.abs(), rtol=1e-6, atol=1e-6)
    order = torch.randperm(80)
    there = LaplacianModes(10)(permuted(data, order))
    torch.testing.assert_close(there.mode_values.abs(), here.mode_values[order].abs(), rtol=1e-6, atol=1e-6)


def test_sparse_and_dense_solvers_agree():
    mesh = random_mesh(200, dtype=torch.float64)
    mass = nodal_weights(mesh).numpy()
    few, _ = lowest_modes(cell_stiffness(mesh), mass, 8, 1.0)
    all_, vectors = lowest_modes(cell_stiffness(mesh), mass, 200, 1.0)
    np.testing.assert_allclose(few, all_[:8], rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(vectors.T @ (mass[:, None] * vectors), np.eye(200) * mass.sum(), atol=1e-8)


@pytest.mark.parametrize(("dim", "side"), [(1, 2000), (2, 60), (3, 16)])
def test_points_of_a_periodic_box_have_its_modes(dim, side):
    """Jittered points, denser on one side: 2 D equal eigenvalues (2 pi)^2, to what a density estimate allows."""
    rng = np.random.default_rng(0)
    numbers = np.stack(np.meshgrid(*[np.arange(side)] * dim, indexing="ij"), -1).reshape(-1, dim)
    points = (numbers + 0.8 * rng.random(numbers.shape)) / side
    points[:, 0] += 0.08 * np.sin(2 * np.pi * points[:, 0])
    data = LaplacianModes(2 * dim + 1, period=1.0)(MeshData(pos=torch.from_numpy(points)))
    found = data.eigenvalues[0] / (2 * np.pi) ** 2
    assert abs(found[0]) < 1e-6
    assert found[1] > 0.75
    assert found[-1] < 1.12


def test_nodes_without_cells_and_small_meshes_fill_up_with_zeros():
    mesh = random_mesh(30)
    alone = MeshData(pos=torch.cat([mesh.pos, torch.tensor([[5.0, 5.0]])]), face=mesh.face)
    here, there = LaplacianModes(40)(mesh), LaplacianModes(40)(alone)
    assert here.mode_values.shape == (30, 40)
    assert not here.mode_values[:, 30:].any()
    assert not there.mode_values[-1].any()
    assert there.mode_weight[-1] == 0
    torch.testing.assert_close(there.eigenvalues, here.eigenvalues, rtol=1e-4, atol=1e-3)
    assert LaplacianModes(3)(MeshData(pos=torch.zeros(1, 2))).mode_values.tolist() == [[1.0, 0.0, 0.0]]


def test_modes_are_those_of_the_positions_and_cells():
    transform = LaplacianModes(6)
    data = transform(random_mesh(40))
    assert transform(data).mode_values.data_ptr() == data.mode_values.data_ptr()
    moved = transform(random_mesh(40))
    moved.pos = moved.pos * torch.tensor([1.0, 2.0])
    want = LaplacianModes(6)(MeshData(pos=moved.pos, face=moved.face))
    torch.testing.assert_close(transform(moved).eigenvalues, want.eigenvalues)
    with pytest.raises(ValueError, match=r"laplacian\(modes=6\).*needs laplacian\(modes=7\)"):
        LaplacianModes(7)(data)
    samples = [random_mesh(40), random_mesh(25, seed=1)]
    batch = transform(Batch.from_data_list(samples))
    apart = Batch.from_data_list([transform(sample) for sample in samples])
    for name in ("mode_values", "mode_weight", "eigenvalues", "mode_key"):
        assert torch.equal(batch[name], apart[name]) if name != "mode_key" else batch[name] == apart[name]


def test_equal_eigenvalues_are_not_parted():
    """Of a square's pairs both or none, so that the order of nodes does not matter."""
    square = box("quad", 8)
    values = LaplacianModes(5)(square).mode_values  # 0, a pair, one, a pair
    assert values.abs().amax(0).gt(0).tolist() == [True, True, True, True, False]
    side = torch.arange(12.0, dtype=torch.float64) / 12
    torus = MeshData(pos=torch.cartesian_prod(side, side))
    order = torch.randperm(144, generator=torch.Generator().manual_seed(0))
    for count in (7, 20, 33):
        made = [LaplacianModes(count, period=1.0)(mesh) for mesh in (torus, permuted(torus, order))]
        projections = [data.mode_values @ data.mode_values.T for data in made]
        torch.testing.assert_close(projections[1], projections[0][order][:, order], rtol=0, atol=1e-6)
    apart = MeshData(pos=torch.cat([square.pos, square.pos + 5]), quad=torch.cat([square.quad, square.quad + 81], 1))
    with pytest.raises(ValueError, match="1 modes are too few"):
        LaplacianModes(1)(apart)


def test_a_batch_made_by_hand_is_that_of_its_samples():
    samples = [random_mesh(40), random_mesh(25, seed=1)]
    whole = Batch.from_data_list(samples)
    hand = MeshData(pos=whole.pos, face=whole.face, batch=whole.batch)
    want, found = LaplacianModes(6)(whole), LaplacianModes(6)(hand)
    for name in ("mode_values", "mode_weight", "eigenvalues"):
        assert torch.equal(found[name], want[name])


def test_what_has_no_modes_is_named():
    for wrong in (0, 2.5, True):
        with pytest.raises(ValueError, match="modes="):
            LaplacianModes(wrong)
    flat = MeshData(pos=torch.tensor([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]), face=torch.tensor([[0], [1], [2]]))
    with pytest.raises(ValueError, match="no volume"):
        LaplacianModes(2)(flat)
    with pytest.raises(ValueError, match="12 others at its place"):
        LaplacianModes(2)(MeshData(pos=torch.zeros(20, 2)))


def test_a_grid_of_squares_keeps_its_symmetry():
    values = LaplacianModes(6)(box("quad", 8)).eigenvalues[0]
    torch.testing.assert_close(values[1], values[2], rtol=1e-9, atol=0)
