import pytest
import torch
from torch_geometric.data import Batch

from pyg_neuralops.data import Mesh, MeshData, check_sample, checked
from pyg_neuralops.testing import random_mesh
from pyg_neuralops.transforms import KNNPatches, MeshEdges


def sample(n, seed=0, **fields):
    data = random_mesh(n, seed=seed)
    for name, value in fields.items():
        data[name] = value
    return data


@pytest.mark.parametrize(("cells", "corners"), [("face", 3), ("quad", 4), ("tet", 4)])
def test_cells_of_ragged_batches_point_at_their_own_nodes(cells, corners):
    samples = []
    for n, count in ((6, 2), (9, 5)):
        index = torch.randint(n, (corners, count), generator=torch.Generator().manual_seed(n))
        samples.append(MeshData(pos=torch.rand(n, 2), **{cells: index}))
    batch = Batch.from_data_list(samples)
    assert batch[cells].shape == (corners, 7)
    assert torch.equal(batch[cells][:, 2:], samples[1][cells] + 6)
    for one, again in zip(samples, batch.to_data_list(), strict=True):
        assert torch.equal(one[cells], again[cells])


def test_other_fields_collate_as_documented():
    samples = [sample(n, theta=torch.ones(1, 3), time=torch.zeros(1), grid_shape=(n, 1)) for n in (4, 6)]
    batch = Batch.from_data_list(samples)
    assert batch.grid_shape == [(4, 1), (6, 1)]
    assert batch.theta.shape == (2, 3)
    assert batch.time.shape == (2,)


@pytest.mark.parametrize("sizes", [(5, 5, 5), (4, 9, 1), (7,)])
def test_dense_and_flat_are_inverse_and_padding_is_zero(sizes):
    mesh = Mesh.from_data(Batch.from_data_list([random_mesh(n) for n in sizes]))
    x = torch.rand(sum(sizes), 3)
    dense = mesh.dense(x)
    assert dense.shape == (len(sizes), max(sizes), 3)
    assert torch.equal(mesh.flat(dense), x)
    torch.testing.assert_close(dense.sum(), x.sum())
    for row, n in zip(dense, sizes, strict=True):
        assert (row[n:] == 0).all()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"x": torch.full((8, 2), float("nan"))}, "x holds nan at row 0, column 0"),
        ({"y": torch.tensor([[1.0]] * 7 + [[float("inf")]])}, "y holds inf at row 7"),
        ({"pos": torch.zeros(8, 2, dtype=torch.long)}, "pos has dtype torch.int64"),
        ({"pos": torch.zeros(8, 2, dtype=torch.float16)}, "pos has dtype torch.float16"),
        ({"x": torch.zeros(8, 2, dtype=torch.float64)}, "x has dtype torch.float64 but pos has torch.float32"),
        ({"x": torch.zeros(8)}, r"x has shape \[8\]"),
        ({"y": torch.zeros(7, 1)}, r"y has shape \[7, 1\]; expected \[8, channels\]"),
        ({"pos": torch.zeros(8, 4)}, r"D = 1, 2 or 3"),
        ({"pos": torch.zeros(0, 2), "x": None, "y": None, "face": None}, "N >= 1"),
        ({"face": torch.tensor([[0], [1], [8]])}, "face refers to nodes 0 to 8"),
        ({"face": torch.zeros(4, 2, dtype=torch.long)}, r"expected integers \[3, cells\]"),
        ({"theta": torch.zeros(3)}, "theta has shape"),
        ({"weight": torch.zeros(3)}, "weight has shape"),
        ({"grid_shape": (3, 3)}, "has 9 nodes; pos has 8"),
    ],
)
def test_the_wrong_field_is_named(fields, message):
    with pytest.raises(ValueError, match=message):
        check_sample(sample(8, **fields))


def test_the_first_wrong_sample_is_named():
    good = [random_mesh(n, seed=n) for n in (5, 8)]
    assert len(list(checked(good))) == 2
    for wrong, message in (
        (random_mesh(6, in_channels=3), "sample 2: x has 3 channels; the first sample has 2"),
        (sample(6, weight=torch.ones(6)), "sample 2: weight is present; in the first sample it is not"),
        (sample(6, velocity=torch.ones(6, 2)), "sample 2: velocity is present"),
        (random_mesh(6, dtype=torch.float64), "sample 2: pos has dtype torch.float64"),
    ):
        with pytest.raises(ValueError, match=message):
            list(checked([*good, wrong]))
    with pytest.raises(ValueError, match="pos is missing"):
        check_sample(MeshData(x=torch.zeros(3, 1)))


@pytest.mark.parametrize("as_flags", [True, False])
def test_a_part_of_a_mesh_has_the_cells_and_edges_between_its_nodes(as_flags):
    """Node numbers follow, and nothing prepared for the whole is taken for the part's."""
    whole = sample(30, seed=3, theta=torch.ones(1, 2), velocity=torch.rand(30, 2), grid_shape=(5, 6))
    whole.edge_index = torch.randint(30, (2, 80), generator=torch.Generator().manual_seed(0))
    whole.edge_attr = whole.pos[whole.edge_index[0]]
    kept = torch.arange(30)[whole.pos[:, 0] < 0.6]
    flags = torch.zeros(30, dtype=torch.bool)
    flags[kept] = True
    part = KNNPatches(3, tiles=True)(whole.clone()).subgraph(flags if as_flags else kept)
    assert torch.equal(part.velocity, whole.velocity[kept])
    assert torch.equal(part.theta, whole.theta)
    inside = flags[whole.face].all(0)
    assert 0 < inside.sum() < whole.face.shape[1]
    assert torch.equal(part.pos[part.face], whole.pos[whole.face[:, inside]])
    assert torch.equal(part.edge_attr, part.pos[part.edge_index[0]])
    assert part.edge_index.shape[1] == flags[whole.edge_index].all(0).sum()
    names = set(part.to_dict())
    assert not {name for name in names if name.startswith(("patch_", "tile_"))} | ({"grid_shape"} & names)
    check_sample(part)
    made = MeshEdges()(sample(30, seed=3)).subgraph(kept)
    assert made.get("edge_index") is None
    with pytest.raises(ValueError, match="this is a batch"):
        Batch.from_data_list([whole, whole]).subgraph(flags)
