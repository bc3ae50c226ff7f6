"""Rotations, reflections, shifts and scales: as augmentation, and averaged over."""

import pytest
import torch
from torch import nn
from torch_geometric.data import Batch

from pyg_neuralops.data import CELLS, MeshData, check_sample, mesh_loader, nodal_weights, with_weights
from pyg_neuralops.data.draws import draws_of
from pyg_neuralops.models import build_model
from pyg_neuralops.symmetry import SymmetryAverage
from pyg_neuralops.testing import random_grid, random_mesh
from pyg_neuralops.transforms import GraphEdges, KNNPatches, LaplacianModes, MeshEdges, Normals, RandomSymmetry
from pyg_neuralops.transforms.random_symmetry import MIRRORED
from pyg_neuralops.transforms.symmetry_groups import check_closed, draw, elements

SIZES = {"quarter-turns": (1, 4, 24), "square": (2, 8, 48), "mirrors": (2, 4, 8), "identity": (1, 1, 1)}


def geometric(dim, seed=0):
    """A cloud whose fields are those of the positions about the middle of its box: p, p p^T and |p|^2."""
    generator = torch.Generator().manual_seed(seed)
    pos = torch.randn(30, dim, generator=generator, dtype=torch.float64) + 3
    return with_fields(MeshData(pos=pos))


def with_fields(data):
    p = data.pos - (data.pos.amin(0) + data.pos.amax(0)) / 2
    return with_fields_of(data, p)


def with_fields_of(data, p):
    dim = p.shape[1]
    row, column = torch.triu_indices(dim, dim)
    outer = p[:, :, None] * p[:, None, :]
    data.x = torch.cat([p.square().sum(1, keepdim=True), p.flip(1)], 1)
    data.y = torch.cat([outer[:, row, column].flip(1), outer.flatten(1), p], 1)
    data.wind, data.conductivity, data.stress = p, outer, outer
    return data


def symmetry(dim, group, **settings):
    half, full = dim * (dim + 1) // 2, dim * dim
    return RandomSymmetry(
        group,
        vectors={"x": [range(dim, 0, -1)], "y": [range(half + full, half + full + dim)]},
        tensors={"y": [range(half - 1, -1, -1), range(half, half + full)], "stress": [range(full)]},
        **settings,
    )


@pytest.mark.parametrize("group", ["rotations", "isometries", *SIZES])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_fields_of_a_moved_sample_are_the_fields_moved(dim, group):
    torch.manual_seed(dim)
    data = geometric(dim)
    middle = (data.pos.amin(0) + data.pos.amax(0)) / 2
    for _ in range(4):
        moved = symmetry(dim, group, shift=2.0, center=middle.tolist())(data)
        p = data.pos - middle
        offset = moved.pos.mean(0) - middle
        turn = torch.linalg.lstsq(p - p.mean(0), moved.pos - moved.pos.mean(0)).solution.mT
        torch.testing.assert_close(turn @ turn.mT, torch.eye(dim, dtype=torch.float64))
        assert (offset - turn @ p.mean(0)).abs().max() <= 2
        expected = with_fields_of(MeshData(pos=moved.pos), p @ turn.mT)
        for name in ("x", "y", "wind", "conductivity", "stress"):
            torch.testing.assert_close(moved[name], expected[name])


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("group", SIZES)
def test_groups_have_their_size_and_are_closed(group, dim):
    found = elements(group, dim)
    assert len(found) == SIZES[group][dim - 1] == len(found.flatten(1).unique(dim=0))
    assert any(torch.equal(one, torch.eye(dim, dtype=torch.float64)) for one in found)
    check_closed(group, dim)


def test_draws_are_uniform_proper_and_follow_the_seed():
    torch.manual_seed(0)
    turns = torch.stack([draw("rotations", 3) for _ in range(4000)])
    assert (torch.linalg.det(turns) > 0).all()
    assert turns.mean(0).abs().max() < 0.05
    torch.testing.assert_close(turns.square().mean(0), torch.full((3, 3), 1 / 3).double(), atol=0.03, rtol=0)
    assert abs(float(torch.stack([torch.linalg.det(draw("isometries", 3)) for _ in range(2000)]).mean())) < 0.1
    data, transform = random_mesh(20), RandomSymmetry(shift=1.0, scale=(0.5, 2))
    with draws_of(1, 2):
        first = transform(data).pos
    with draws_of(1, 2):
        assert torch.equal(transform(data).pos, first)
    assert not torch.equal(transform(data).pos, first)


def test_loaders_repeat_their_draws_by_seed_and_epoch():
    class Moved(torch.utils.data.Dataset):
        transform, data = RandomSymmetry(), random_mesh(20)

        def __len__(self):
            return 3

        def __getitem__(self, index):
            return self.transform(self.data)

    one, two = ([batch.pos for batch in mesh_loader(Moved(), 1, seed=5)] for _ in range(2))
    assert all(map(torch.equal, one, two))
    assert not torch.equal(one[0], one[1])


def test_weights_scale_and_samples_keep_their_cells_and_their_middle():
    for dim in (2, 3):
        data = with_weights(random_mesh(40, pos_dim=dim, dtype=torch.float64))
        moved = RandomSymmetry("isometries", scale=(3, 3))(data)
        torch.testing.assert_close(moved.weight, 3**dim * data.weight)
        torch.testing.assert_close(moved.weight, nodal_weights(moved))
        (name,) = data.cells
        assert torch.equal(moved[name].sort(0).values, data[name].sort(0).values)
        check_sample(moved)
    still = RandomSymmetry("identity")(data)
    assert torch.equal(still.pos, data.pos)
    data = random_mesh(40)
    turned = RandomSymmetry("square").moved(data, elements("square", 2)[3])
    torch.testing.assert_close(turned.pos.amin(0) + turned.pos.amax(0), data.pos.amin(0) + data.pos.amax(0))


def signed(data):
    """Three times the signed volumes of 3D cells: flux of the position through their sides, oriented as in VTK."""
    outward = {
        "tet": ((0, 2, 1), (0, 1, 3), (1, 2, 3), (2, 0, 3)),
        "hex": ((0, 3, 2, 1), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7)),
        "wedge": ((0, 2, 1), (3, 4, 5), (0, 1, 4, 3), (1, 2, 5, 4), (2, 0, 3, 5)),
        "pyramid": ((0, 3, 2, 1), (0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4)),
    }
    ((name, cells),) = data.cells.items()
    total = 0
    for side in outward[name]:
        p = data.pos[cells[list(side)]]  # [corners, T, 3]
        area = sum(torch.linalg.cross(p[i] - p[0], p[i + 1] - p[0]) / 2 for i in range(1, len(p) - 1))
        total = total + (p.mean(0) * area).sum(1)
    return total


@pytest.mark.parametrize("name", ["tet", "hex", "wedge", "pyramid"])
def test_reflected_cells_keep_their_orientation_and_their_sides(name):
    unit = {
        "tet": [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)],
        "pyramid": [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0.5, 0.5, 1)],
        "wedge": [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 1)],
        "hex": [(x, y, z) for z in (0, 1) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))],
    }[name]
    data = MeshData(pos=torch.tensor(unit, dtype=torch.float64), **{name: torch.arange(len(unit))[:, None]})
    mirror = torch.diag(torch.tensor([-1.0, 1, 1], dtype=torch.float64))
    moved = RandomSymmetry("mirrors").moved(data, mirror)
    assert signed(data) > 0
    torch.testing.assert_close(signed(moved), signed(data))
    sides = [
        {frozenset(cells[name][list(side)].flatten().tolist()) for side in CELLS[name].sides} for cells in (data, moved)
    ]
    assert sides[0] == sides[1]
    assert sorted(MIRRORED[name]) == list(range(CELLS[name].corners))


@pytest.mark.parametrize("dim", [2, 3])
def test_normals_of_a_reflected_sample_are_the_reflected_normals(dim):
    torch.manual_seed(1)
    data = random_mesh(50, pos_dim=dim, dtype=torch.float64)
    if dim == 3:  # a surface, whose normals are those of its corners' order
        flat = random_mesh(50, dtype=torch.float64)
        data = MeshData(pos=torch.cat([flat.pos, flat.pos.prod(1, keepdim=True)], 1), face=flat.face, x=flat.x)
    later = RandomSymmetry("isometries", vectors={"x": [range(2, 2 + dim)]})
    for turn in elements("square", dim):
        first = Normals()(RandomSymmetry("square").moved(data, turn))
        torch.testing.assert_close(first.x, later.moved(Normals()(data), turn).x)


def test_odd_columns_change_their_sign_under_reflections_alone():
    data = random_mesh(20, out_channels=2)
    for turn in elements("square", 2):
        moved = RandomSymmetry("square", odd={"y": [1]}).moved(data, turn)
        assert torch.equal(moved.y, data.y * torch.tensor([1.0, float(torch.linalg.det(turn))]))


def without_target(data):
    del data["y"]
    return data


class Anything(nn.Module):
    """No symmetry at all: a number of layers of positions and inputs, y of a vector, a tensor and a scalar."""

    def __init__(self, dim, channels):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(dim + 2, 16), nn.Tanh(), nn.Linear(16, channels)).double()

    def forward(self, data):
        return self.net(torch.cat([data.pos, data.x], 1))


@pytest.mark.parametrize("group", ["square", "quarter-turns", "mirrors"])
@pytest.mark.parametrize("dim", [2, 3])
def test_the_mean_over_a_group_is_equivariant_whatever_the_model(dim, group):
    half = dim * (dim + 1) // 2
    known = RandomSymmetry(group, vectors={"y": [range(dim)]}, tensors={"y": [range(dim, dim + half)]})
    model = SymmetryAverage(Anything(dim, dim + half + 1), known)
    batch = Batch.from_data_list(
        [without_target(random_mesh(n, pos_dim=dim, dtype=torch.float64, seed=n)) for n in (12, 15)]
    )
    for turn in elements(group, dim)[1:5]:
        turned = model(known.moved(batch, turn))
        torch.testing.assert_close(turned, known.components.turned("y", model(batch), turn), rtol=0, atol=1e-12)
    assert (Anything(dim, 3)(known.moved(batch, turn)) - Anything(dim, 3)(batch)).abs().max() > 0.01
    one = batch[0]
    torch.testing.assert_close(model(batch)[:12], model(one))
    model(one).sum().backward()
    assert next(model.parameters()).grad.abs().sum() > 0


def test_a_group_of_ones_own_is_checked():
    angle = torch.arange(6) * torch.pi / 3
    hexagon = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(6, 2, 2)
    known = RandomSymmetry(hexagon, vectors={"y": [(0, 1)]}, center=(0.2, 0.1))
    data, model = without_target(random_mesh(20, dtype=torch.float64)), SymmetryAverage(Anything(2, 2), known)
    turned = model(known.moved(data, hexagon[1].double()))
    torch.testing.assert_close(turned, model(data) @ hexagon[1].double().mT, atol=1e-6, rtol=0)
    known(data)
    with pytest.raises(ValueError, match="no group: the product of 1 and 1"):
        SymmetryAverage(Anything(2, 2), RandomSymmetry(hexagon[:2]))
    with pytest.raises(ValueError, match="'rotations' has no end"):
        SymmetryAverage(Anything(2, 2), RandomSymmetry())(data)
    with pytest.raises(ValueError, match="matrix 0 of the group is not orthogonal"):
        RandomSymmetry(2 * hexagon)
    with pytest.raises(ValueError, match="matrices of 2 dimensions; the sample is in 3D"):
        known(random_mesh(20, pos_dim=3))


@pytest.mark.parametrize("shape", [(6, 6), (5, 7), (4, 5, 3)])
def test_grids_are_grids_again(shape):
    dim = len(shape)
    data = with_fields(random_grid(shape, dtype=torch.float64))
    data.pos = data.pos.clone()
    index = torch.arange(data.num_nodes).view(shape)
    data.line = torch.stack([index[:-1].flatten(), index[1:].flatten()])
    for turn in elements("square", dim):
        moved = symmetry(dim, "square").moved(data, turn)
        steps = [moved.pos.view(*moved.grid_shape, dim).diff(dim=a).flatten(0, -2) for a in range(dim)]
        for axis, step in enumerate(steps):
            assert (step[:, axis] > 0).all()
            assert (step.abs().sum(1) - step[:, axis]).abs().max() < 1e-12
        expected = with_fields(MeshData(pos=moved.pos.clone()))
        for name in ("x", "y", "wind", "stress"):
            torch.testing.assert_close(moved[name], expected[name])
        ends = moved.pos[moved.line]
        torch.testing.assert_close(
            (ends[0] - ends[1]).norm(dim=1), torch.full((moved.line.shape[1],), 1 / shape[0]).double()
        )
        check_sample(moved)
    for wrong, why in ((RandomSymmetry(), "not of 90 degrees"), (RandomSymmetry("square"), "does not run along")):
        bent = random_grid(shape)
        if wrong.group == "square":
            bent.pos = bent.pos + 0.3 * bent.pos.flip(1)
        with pytest.raises(ValueError, match=why):
            wrong(bent)


@pytest.mark.parametrize("name", ["fno", "la2former", "gatv2"])
def test_models_of_the_library_become_equivariant_on_grids_and_meshes(name):
    torch.manual_seed(0)
    sizes = {"in_channels": 2, "out_channels": 2, "pos_dim": 2, "hidden_channels": 16, "num_layers": 1}
    model = build_model(name, **sizes).double().eval()
    known = RandomSymmetry("square", vectors={"y": [(0, 1)]})
    average = SymmetryAverage(model, known)
    make = random_grid if name == "fno" else random_mesh
    shape = (6, 6) if name == "fno" else 30
    samples = [make(shape, out_channels=2, dtype=torch.float64, seed=seed) for seed in range(2)]
    batch = Batch.from_data_list(samples)
    with torch.no_grad():
        plain = average(batch)
        for turn in elements("square", 2)[1:6:2]:
            moved = known.moved(batch, turn)
            torch.testing.assert_close(known.back(average(moved), batch, turn), plain, rtol=0, atol=1e-10)
        assert (known.back(model(moved), batch, turn) - model(batch)).abs().max() > 1e-3


def test_prepared_samples_and_batches_are_refused():
    data = random_mesh(30)
    for prepared in (KNNPatches(5)(data), MeshEdges()(data), GraphEdges()(data), LaplacianModes(5)(data)):
        with pytest.raises(ValueError, match=r"move it before model\.prepare"):
            RandomSymmetry()(prepared)
        with pytest.raises(ValueError, match=r"move it before model\.prepare"):
            SymmetryAverage(Anything(2, 1), RandomSymmetry("square"))(Batch.from_data_list([prepared, prepared]))
    own = MeshData(pos=data.pos, edge_index=torch.tensor([[0, 1], [1, 2]]), edge_attr=torch.ones(2, 2))
    turn = elements("square", 2)[5]
    moved = RandomSymmetry("square", vectors={"edge_attr": [(0, 1)]}).moved(own, turn)
    torch.testing.assert_close(moved.edge_attr, torch.ones(2, 2) @ turn.float().mT)
    with pytest.raises(ValueError, match="before they are batched"):
        RandomSymmetry()(Batch.from_data_list([data, data]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"group": "cube"}, "group='cube'; choose from"),
        ({"group": torch.eye(2)}, r"group is \[2, 2\]"),
        ({"shift": -1}, "shift=-1"),
        ({"scale": (2, 1)}, r"scale=\(2, 1\)"),
        ({"vectors": {"y": (0, 1)}}, "give lists of columns by field"),
        ({"vectors": {"y": [(0, -1)]}}, "give lists of columns by field"),
        ({"odd": {"y": [0.5]}}, "odd="),
        ({"vectors": {"y": [(0, 0)]}}, "one is named twice"),
        ({"vectors": {"x": [(0, 1)]}, "tensors": {"x": [(1, 2, 3)]}}, "one is named twice"),
        ({"vectors": {"pos": [(0, 1)]}}, "pos moves by itself"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        RandomSymmetry(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vectors": {"velocity": [(0, 1)]}}, r"\['velocity'\] are named; the sample has"),
        ({"vectors": {"x": [(0, 1, 2)]}}, r"vectors of x: \[0, 1, 2\] are 3 columns; in 2D one has 2"),
        ({"tensors": {"x": [(0, 1)]}}, r"in 2D one has 3 or 4"),
        ({"vectors": {"x": [(1, 2)]}}, "column 2 of x is named; it has 2"),
        ({"odd": {"mark": [0]}}, "mark holds torch.int64"),
        ({"center": (0, 0, 0)}, "has 3 numbers"),
    ],
)
def test_columns_that_are_not_there_are_named(settings, message):
    data = random_mesh(20)
    data.mark = torch.arange(20)
    with pytest.raises(ValueError, match=message):
        RandomSymmetry(**settings)(data)


def test_a_target_may_be_missing():
    data = random_mesh(20)
    del data["y"]
    RandomSymmetry(vectors={"y": [(0, 1)]})(data)
