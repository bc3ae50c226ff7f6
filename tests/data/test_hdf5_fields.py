"""Everything a sample holds goes through a file, and a damaged file is never read as another one."""

import h5py
import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from pyg_neuralops.data import HDF5Meshes, HDF5Samples, MeshData, read_hdf5, write_hdf5
from pyg_neuralops.testing import random_mesh
from pyg_neuralops.transforms import MeshEdges


def rich(n, seed=0):
    """A sample with a field of every kind."""
    generator = torch.Generator().manual_seed(seed)
    data = random_mesh(n, seed=seed)
    data.velocity = torch.rand(n, 2, generator=generator)
    data.stress = torch.rand(n, 2, 2, generator=generator)
    data.node_type = torch.randint(4, (n,), generator=generator)
    data.boundary = torch.rand(n, generator=generator) < 0.5
    data.edge_index = torch.randint(n, (2, 2 * n), generator=generator)
    data.edge_attr = torch.rand(2 * n, 3, generator=generator)
    data.theta, data.time = torch.rand(1, 2, generator=generator), torch.rand(1, generator=generator)
    return data


def assert_same(one, two):
    assert set(one.keys()) == set(two.keys())
    for name, value in one.to_dict().items():
        if isinstance(value, torch.Tensor):
            assert value.dtype == two[name].dtype, name
            assert torch.equal(value, two[name]), name
        else:
            assert value == two[name]


def test_fields_of_every_kind_come_back(tmp_path):
    samples = [rich(n, n) for n in (9, 14)]
    names, units = {"theta": ["inlet", "angle"], "velocity": ["u", "v"]}, {"theta": ["m/s", "rad"]}
    path = write_hdf5(tmp_path / "a.h5", samples, names=names, units=units)
    back, info = read_hdf5(path)
    for one, two, three, four in zip(samples, back, HDF5Meshes(path), HDF5Samples(path), strict=True):
        for again in (two, three, four):
            assert_same(one, again)
    assert info["names"] == names
    assert info["units"] == units


def test_hexahedra_wedges_and_pyramids_come_back_and_kinds_may_differ_between_samples(tmp_path):
    samples = [
        MeshData(pos=torch.rand(9, 3), hex=torch.arange(8)[:, None]),
        MeshData(pos=torch.rand(6, 3), wedge=torch.arange(6)[:, None], pyramid=torch.tensor([[0, 1, 2, 3, 5]]).t()),
        MeshData(pos=torch.rand(4, 3)),
        MeshData(pos=torch.rand(8, 3), hex=torch.arange(8).flip(0)[:, None]),
    ]
    path = write_hdf5(tmp_path / "a.h5", samples)
    for one, two, three in zip(samples, read_hdf5(path)[0], HDF5Meshes(path), strict=True):
        for again in (two, three):
            assert again.cells.keys() == one.cells.keys()
            for name in one.cells:
                assert torch.equal(again[name], one[name])


def test_numbers_of_whole_samples_as_targets(tmp_path):
    samples = [random_mesh(n, seed=n) for n in (5, 8)]
    for number, sample in enumerate(samples):
        sample.y = torch.tensor([[1.0 * number, 2.0]])
    back, _ = read_hdf5(write_hdf5(tmp_path / "a.h5", samples, names={"y": ["drag", "lift"]}))
    assert [sample.y.tolist() for sample in back] == [[[0.0, 2.0]], [[1.0, 2.0]]]


def test_plain_data_and_arrays_are_written_as_floats(tmp_path):
    data = Data(pos=np.random.default_rng(0).random((5, 2)), x=torch.arange(5), y=np.ones((5, 1), bool))
    back = read_hdf5(write_hdf5(tmp_path / "a.h5", [data]))[0][0]
    assert back.x.tolist() == [[0.0], [1.0], [2.0], [3.0], [4.0]]
    assert back.y.tolist() == [[1.0]] * 5
    assert back.pos.dtype == back.x.dtype == torch.float64


def test_what_is_not_known_is_named_and_nothing_is_written(tmp_path):
    data = random_mesh(6)
    data.settings = {"a": 1}
    with pytest.raises(ValueError, match="sample 0: settings has type dict"):
        write_hdf5(tmp_path / "a.h5", [data])
    assert list(tmp_path.iterdir()) == []


def test_parts_of_a_file_are_taken_by_slices_and_lists(tmp_path):
    samples = HDF5Samples(write_hdf5(tmp_path / "a.h5", [random_mesh(n) for n in (4, 5, 6, 7)]))
    assert [s.num_nodes for s in samples[:2]] == [4, 5]
    for numbers in ([3, 0], np.array([3, 0]), torch.tensor([3, 0])):
        assert [s.num_nodes for s in samples[numbers]] == [7, 4]
    with pytest.raises(TypeError, match="by their numbers"):
        samples[[True, False, True, False]]
    assert samples[1:][1].num_nodes == 6
    assert samples[-1].num_nodes == 7
    with pytest.raises(IndexError):
        samples[4]


def rewritten(path, change):
    with h5py.File(path, "r+") as file:
        change(file)
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.create_dataset("hello", data=np.zeros(11)), "hello is not a field of the schema"),
        (lambda f: f.create_group("folder"), "folder is no dataset"),
        (lambda f: replace(f, "node_ptr", np.array([0.0, 5.0, 11.0])), "node_ptr holds float64"),
        (lambda f: replace(f, "node_ptr", np.int64(5)), "node_ptr holds int64 of shape"),
        (lambda f: replace(f, "x", np.array([b"a"] * 11)), r"x holds \|S1; numbers are expected"),
        (lambda f: replace(f, "x", np.zeros(11, [("a", "f4")])), "x holds .*; numbers are expected"),
        (lambda f: replace(f, "x", np.float32(1)), "x is a single value"),
        (lambda f: replace(f, "face", np.zeros((3, 3))), "face holds float64"),
        (lambda f: f.attrs.__setitem__("version", 9), "version=9"),
        (lambda f: f.attrs.__setitem__("solver", "another"), "not those that were written"),
        (lambda f: f["x"].attrs.__setitem__("names", ["p", "q"]), "not those that were written"),
    ],
)
def test_a_file_of_another_layout_says_where(tmp_path, change, message):
    path = write_hdf5(tmp_path / "a.h5", [random_mesh(5), random_mesh(6)], names={"x": ["a", "b"]})
    rewritten(path, change)
    with pytest.raises(ValueError, match=message) as caught:
        read_hdf5(path)
    assert str(path) in str(caught.value)


def replace(file, name, value):
    del file[name]
    file[name] = value


def test_big_endian_numbers_are_numbers(tmp_path):
    path = write_hdf5(tmp_path / "a.h5", [random_mesh(5)])
    want = read_hdf5(path)[0][0]

    def turn(file):
        for name in ("x", "face", "node_ptr"):
            value = file[name][:]
            replace(file, name, value.astype(value.dtype.newbyteorder(">")))
        del file.attrs["digest"]

    assert_same(want, read_hdf5(rewritten(path, turn))[0][0])


def test_no_flipped_bit_is_read_as_data(tmp_path):
    samples = [rich(n, n) for n in (9, 14)]
    for sample in samples:
        sample.split = "train"
    path = write_hdf5(tmp_path / "a.h5", samples, names={"x": ["a", "b"]}, attrs={"solver": "mine", "seed": 3})
    whole, info = path.read_bytes(), read_hdf5(path)[1]
    rng, refused = np.random.default_rng(0), 0
    for bit in rng.integers(8 * len(whole), size=150):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(damaged)
        try:
            found, about = read_hdf5(path)
        except ValueError as error:
            assert str(path) in str(error)  # noqa: PT017  (one file in many is read unharmed)
            refused += 1
            continue
        for one, two in zip(samples, found, strict=True):
            assert_same(one, two)
        assert about == info
    assert refused > 30


def test_edges_that_can_be_made_again_are_not_taken_for_the_users(tmp_path):
    made = MeshEdges()(random_mesh(8))
    own = random_mesh(8)
    own.edge_index = torch.tensor([[0, 1], [1, 2]])
    assert read_hdf5(write_hdf5(tmp_path / "a.h5", [made]))[0][0].get("edge_index") is None
    assert torch.equal(read_hdf5(write_hdf5(tmp_path / "b.h5", [own]))[0][0].edge_index, own.edge_index)


def test_texts_lie_where_a_checksum_covers_them(tmp_path):
    """HDF5 keeps texts of variable length in a heap without one, and can hang on a damaged heap."""
    sample = random_mesh(6)
    sample.split = "val"
    names, attrs = {"x": ["density", "größe"]}, {"solver": "mine", "versions": ["a 1", "b 22"], "empty": "", "seed": 3}
    path = write_hdf5(tmp_path / "a.h5", [sample], names=names, attrs=attrs)
    with h5py.File(path) as file:
        places = [file, *file.values()]
        kinds = [place.attrs.get_id(name).dtype for place in places for name in place.attrs] + [file["split"].dtype]
    texts = [h5py.check_string_dtype(kind) for kind in kinds if kind.kind in "SO"]
    assert len(texts) >= 6
    assert all(text is not None and text.length is not None for text in texts)
    (read,), info = read_hdf5(path)
    assert read.split == "val"
    assert info["names"] == names
    assert {name: info[name] for name in attrs} == attrs
