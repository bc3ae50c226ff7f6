"""The door: what a user brings is converted or refused by name."""

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch, Data

from pyg_neuralops.data import (
    MeshData,
    as_mesh_data,
    checked,
    collate,
    mesh_loader,
    nodal_weights,
    read_hdf5,
    with_equal_cells,
    write_hdf5,
)
from pyg_neuralops.testing import random_mesh
from pyg_neuralops.transforms import GraphEdges, KNNPatches, MeshEdges, Standardize


def plain(**changes):
    fields = {
        "pos": torch.rand(6, 2),
        "x": torch.rand(6, 2),
        "y": torch.rand(6, 1),
        "face": torch.tensor([[0], [1], [2]]),
    }
    return Data(**{**fields, **changes})


@pytest.mark.parametrize(
    "kind", [torch.bool, torch.uint8, torch.int8, torch.int32, torch.int64, torch.float16, torch.float64]
)
def test_real_fields_of_any_type_become_floats(kind):
    values = torch.tensor([[0, 1], [1, 0], [1, 1], [0, 0], [1, 0], [0, 1]]).to(kind)
    data = as_mesh_data(plain(x=values, y=values, theta=values[:1], time=values[0, :1], weight=values[:, 0]))
    for name in ("x", "y", "theta", "time", "weight"):
        assert data[name].dtype == torch.float32, name
    assert torch.equal(data.x, values.float())
    assert as_mesh_data(plain(x=values), torch.float64).pos.dtype == torch.float64


def test_numpy_arrays_and_columns_are_taken():
    data = Data(
        pos=np.random.default_rng(0).random((6, 2)),
        x=np.arange(6),
        y=np.linspace(0, 1, 6).astype(">f4"),
        face=np.array([[0], [1], [2]], np.uint64),
        theta=[1.0, 2.0],
        time=3,
        grid_shape=np.array([2, 3]),
        node_type=np.array([0, 1, 2, 0, 1, 2], np.int32),
    )
    mesh = as_mesh_data(data, torch.float32)
    assert type(mesh) is MeshData
    assert mesh.x.tolist() == [[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]]
    torch.testing.assert_close(mesh.y[:, 0], torch.linspace(0, 1, 6))
    assert mesh.face.dtype == torch.int64
    assert mesh.theta.tolist() == [[1.0, 2.0]]
    assert mesh.time.tolist() == [3.0]
    assert mesh.grid_shape == (2, 3)
    assert mesh.node_type.tolist() == [0, 1, 2, 0, 1, 2]


def test_a_valid_sample_passes_as_it_is_and_a_wrong_one_is_left_as_it_was():
    good = random_mesh(8)
    assert as_mesh_data(good) is good
    other = plain(x=torch.arange(6))
    as_mesh_data(other)
    assert other.x.dtype == torch.int64
    assert other.x.dim() == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"face": torch.zeros(7, 3, dtype=torch.long)}, r"\[7, 3\]; expected integers \[3, cells\]; is it transposed"),
        ({"face": torch.zeros(3, 2)}, "face has dtype torch.float32"),
        ({"edge_index": torch.zeros(9, 2, dtype=torch.long)}, r"expected integers \[2, edges\]; is it transposed"),
        ({"edge_index": torch.full((2, 1), 6)}, "edge_index refers to nodes 6 to 6"),
        ({"edge_attr": torch.zeros(4, 1)}, "edge_attr is there without edge_index"),
        ({"edge_index": torch.zeros(2, 3).long(), "edge_attr": torch.zeros(4, 1)}, r"\[4, 1\]; expected \[3,"),
        ({"x": torch.zeros(6, 2, dtype=torch.complex64)}, "x has dtype torch.complex64"),
        ({"x": np.array(["a"] * 6)}, "x holds <U1"),
        ({"x": torch.zeros(6, 2, 2)}, r"x has shape \[6, 2, 2\]"),
        ({"x": torch.zeros(5, 2)}, r"x has shape \[5, 2\]; expected \[6, channels\]"),
        ({"velocity": torch.full((6, 2), torch.nan)}, "velocity holds nan at row 0, column 0"),
        ({"velocity": torch.zeros(5, 2)}, r"velocity has shape \[5, 2\]; a field of a name of your own"),
        ({"note": "mine"}, "note has type str"),
        ({"y": torch.tensor([[1.0]] * 5 + [[torch.nan]])}, "y holds nan at row 5, column 0"),
        ({"time": torch.zeros(2)}, "time has shape"),
        ({"weight": -torch.ones(6)}, "weight runs from -1"),
        ({"grid_shape": (-2, -3)}, "grid_shape is"),
        ({"pos": torch.zeros(6, 2, dtype=torch.float64) + 1e9 + torch.rand(6, 2)}, None),
    ],
)  # fmt: skip
def test_the_wrong_field_is_named(changes, message):
    if message is None:
        assert as_mesh_data(plain(**changes)).pos.dtype == torch.float64
        with pytest.raises(ValueError, match="do not survive float32"):
            as_mesh_data(plain(**changes), torch.float32)
        return
    with pytest.raises(ValueError, match=message):
        as_mesh_data(plain(**changes))


def test_doubles_that_floats_cannot_hold_are_refused_not_flushed():
    for value, said in ((1e-60, "1e-60"), (1e60, r"1e\+60")):
        with pytest.raises(ValueError, match=f"y has values of up to {said} in channel 0"):
            as_mesh_data(plain(y=torch.full((6, 1), value, dtype=torch.float64)), torch.float32)
    kept = as_mesh_data(plain(y=torch.full((6, 1), 1e-30, dtype=torch.float64)), torch.float32)
    torch.testing.assert_close(kept.y, torch.full((6, 1), 1e-30))


def test_a_batch_of_plain_data_whose_cells_are_wrong_is_refused():
    quads = [Data(pos=torch.rand(4, 2), quad=torch.arange(4)[:, None]) for _ in range(2)]
    with pytest.raises(ValueError, match=r"plain Data, whose \['quad'\]"):
        as_mesh_data(Batch.from_data_list(quads))
    (batch,) = mesh_loader(quads, 2)
    assert batch.quad.tolist() == [[0, 4], [1, 5], [2, 6], [3, 7]]
    assert as_mesh_data(batch) is batch


def test_samples_of_different_cells_make_one_batch():
    triangles = random_mesh(7)
    quads = MeshData(pos=torch.rand(4, 2), x=torch.rand(4, 2), y=torch.rand(4, 1), quad=torch.arange(4)[:, None])
    cloud = random_mesh(5, cells=False)
    samples = list(checked([triangles, quads, cloud]))
    (batch,) = mesh_loader(samples, 3)
    assert torch.equal(batch.face, triangles.face)
    assert batch.quad[:, 0].tolist() == [7, 8, 9, 10]
    assert set(quads.keys()) == {"pos", "x", "y", "quad"}  # the samples are left alone
    for one, again in zip(samples, batch.to_data_list(), strict=True):
        assert again.cells.keys() == one.cells.keys()
    edges = MeshEdges()(batch).edge_index
    parts = [MeshEdges()(s.clone()).edge_index.shape[1] for s in (triangles, quads)]
    assert edges.shape[1] == sum(parts)
    assert [len(s.cells) for s in with_equal_cells(samples)] == [1, 1, 0]


def test_a_field_in_some_samples_of_a_batch_only_is_named():
    one, two = random_mesh(5), random_mesh(6)
    two.velocity = torch.rand(6, 2)
    with pytest.raises(ValueError, match="sample 1: velocity is present; in the first sample it is not"):
        list(mesh_loader([one, two], 2))
    with pytest.raises(ValueError, match=r"\['velocity'\] are in some samples"):
        collate([one, two])


def test_names_of_ones_own_collate_as_node_fields():
    """PyG takes names with "index", "batch" or "face" in them for node numbers."""
    names = ("velocity", "index_of_refraction", "batch_number", "surface_index", "node_type")
    samples = [random_mesh(n, seed=n) for n in (5, 7)]
    for sample in samples:
        for name in names:
            sample[name] = torch.arange(sample.num_nodes)[:, None]
    batch = Batch.from_data_list(samples)
    for name in names:
        assert torch.equal(batch[name], torch.cat([sample[name] for sample in samples])), name
        assert torch.equal(batch.get_example(1)[name], samples[1][name]), name


def test_standardize_adds_weights_of_cells_and_keeps_what_is_there():
    data = plain(x=torch.arange(6), velocity=torch.rand(6, 2), theta=torch.tensor([1, 2]))
    out = Standardize()(data)
    torch.testing.assert_close(out.weight, nodal_weights(out))
    assert torch.equal(out.velocity, data.velocity)
    assert out.theta.tolist() == [[1.0, 2.0]]
    own = Standardize()(plain(weight=torch.ones(6)))
    assert torch.equal(own.weight, torch.ones(6))
    assert Standardize(weights=False)(plain()).get("weight") is None
    assert Standardize()(Data(pos=torch.rand(3, 2))).get("weight") is None


def test_names_like_those_that_prepare_writes_are_the_users_own(tmp_path):
    """``patch_id`` of a finite-volume mesh is no patch of ours."""
    names = ("patch_id", "tile_kind", "edge_length", "patch_velocity")
    data = random_mesh(9)
    for name in names:
        data[name] = torch.rand(9, 2)
    moved = KNNPatches(3, tiles=True)(data.clone())
    moved.pos = moved.pos * 2
    moved = KNNPatches(3, tiles=True)(moved)
    (read,), _ = read_hdf5(write_hdf5(tmp_path / "a.h5", [moved]))
    part = moved.subgraph(torch.arange(5))
    for name in names:
        assert torch.equal(moved[name], data[name])
        assert torch.equal(read[name], data[name])
        assert torch.equal(part[name], data[name][:5])
    assert read.get("patch_index") is None


@pytest.mark.parametrize("name", ["coords", "settled", "y_scale"])
def test_names_that_models_write_are_refused(name):
    with pytest.raises(ValueError, match=f"{name}.*another name"):
        as_mesh_data(plain(**{name: torch.rand(6, 2)}))


@pytest.mark.parametrize("name", ["velocity_ptr", "face_ptr", "node_ptr", "a/b", "."])
def test_names_that_a_file_cannot_hold_are_refused(tmp_path, name):
    data = random_mesh(6)
    data[name] = torch.rand(6, 1)
    with pytest.raises(ValueError, match="cannot be the name of a field in a file"):
        write_hdf5(tmp_path / "a.h5", [data])
    assert list(tmp_path.iterdir()) == []


def test_edges_of_ones_own_outlive_their_preparation(tmp_path):
    data = random_mesh(9, cells=False)
    data.edge_index = torch.tensor([[0, 1, 2, 5], [1, 2, 3, 0]])
    ready = GraphEdges()(data.clone())
    (read,), _ = read_hdf5(write_hdf5(tmp_path / "a.h5", [ready]))
    assert torch.equal(read.edge_index, data.edge_index)
    assert read.get("edge_attr") is None
    part = ready.subgraph(torch.tensor([0, 1, 2, 3]))
    assert part.edge_index.tolist() == [[0, 1, 2], [1, 2, 3]]
    assert part.get("edge_attr") is None


def test_weights_follow_the_positions_that_they_are_of():
    data = Standardize()(random_mesh(30))
    area = data.weight.sum()
    data.pos = 2 * data.pos
    torch.testing.assert_close(Standardize()(data).weight.sum(), 4 * area)
    (batch,) = mesh_loader([data], 1)
    torch.testing.assert_close(batch.weight.sum(), 4 * area)
    assert data.subgraph(torch.arange(10)).get("weight") is None
    own = random_mesh(30)
    own.weight = torch.ones(30)
    own.pos = 2 * own.pos
    assert torch.equal(Standardize()(own).weight, torch.ones(30))


def test_a_loader_names_the_sample_that_is_wrong():
    samples = [random_mesh(6, seed=n) for n in range(4)]
    samples[2].x[3, 1] = torch.nan
    with pytest.raises(ValueError, match="sample 2: x holds nan at row 3, column 1"):
        list(mesh_loader(samples, 2))
    samples[2] = random_mesh(6, in_channels=3)
    with pytest.raises(ValueError, match="sample 2: x has 3 channels; the first sample has 2"):
        list(mesh_loader(samples, 2))
    samples[2] = random_mesh(6)
    samples[2].face = samples[2].face.t()
    with pytest.raises(ValueError, match=r"sample 2: face .* transposed"):
        list(mesh_loader(samples, 2))


def test_what_varies_in_doubles_and_is_constant_in_floats_is_refused_over_the_set():
    rng = torch.Generator().manual_seed(0)
    samples = [plain(y=101325 + 1e-3 * torch.rand(6, 1, generator=rng, dtype=torch.float64)) for _ in range(3)]
    with pytest.raises(
        ValueError, match=r"channel 0 of y varies by 0\.00.* around 101325, which is constant in float32"
    ):
        list(checked(samples, dtype=torch.float32))
    assert len(list(checked([plain(y=s.y, pos=s.pos.double()) for s in samples], dtype=torch.float64))) == 3
    samples[1].y = samples[1].y + 50  # others vary enough: the set as a whole does
    assert len(list(checked(samples, dtype=torch.float32))) == 3
    computed = [plain(y=torch.full((6, 1), 0.1, dtype=torch.float64) * 3 / 3) for _ in range(2)]
    assert len(list(checked(computed, dtype=torch.float32))) == 2


def test_a_batch_whose_nodes_are_not_in_order_is_refused():
    data = random_mesh(6)
    data.batch = torch.tensor([0, 1, 0, 1, 0, 1])
    with pytest.raises(ValueError, match="must stand together"):
        as_mesh_data(data)


def test_one_node_is_a_field_or_a_number_as_the_others_say():
    drag = [MeshData(pos=torch.rand(n, 2), y=torch.ones(1, 1)) for n in (5, 1, 4)]
    field = [MeshData(pos=torch.rand(n, 2), y=torch.ones(n, 1)) for n in (5, 1, 4)]
    assert len(list(checked(drag))) == len(list(checked(field))) == 3
    with pytest.raises(ValueError, match="sample 1: y has 4 rows"):
        list(checked([drag[0], field[2]]))
