import pytest
import torch
from torch_geometric.data import Batch

from pyg_neuralops.data import Mesh, MeshData, check_sample, checked
from pyg_neuralops.testing import random_mesh


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
