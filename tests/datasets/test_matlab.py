"""MATLAB files: what SciPy and MATLAB write is read to the last bit, what is damaged or reaches outside is refused."""

import random
import struct
import zlib

import h5py
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from pyg_neuralops.data.hdf5_safety import refuse_external
from pyg_neuralops.datasets.matlab import matlab_shapes, read_matlab

KINDS = ("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")
CHANCE = np.random.default_rng(0)
ARRAYS = {f"a_{kind}": (100 * CHANCE.random((3, 4, 5))).astype(kind) for kind in KINDS}
ARRAYS |= {"flat": np.arange(7.0), "empty": np.zeros((0, 3)), "one": np.float64(2.5), "b": np.array([[True, False]])}
ARRAYS |= {"a_rather_long_name_of_a_variable": np.arange(5, dtype="i4")}


@pytest.mark.parametrize("packed", [False, True])
def test_numbers_of_every_kind(tmp_path, packed):
    path = tmp_path / "a.mat"
    savemat(
        path,
        {**ARRAYS, "text": "hello", "cell": np.array([1, "a"], object), "z": np.ones(2) * 1j},
        do_compression=packed,
    )
    expected = loadmat(path)
    for name in ARRAYS:
        found = read_matlab(path, name)
        np.testing.assert_array_equal(found, expected[name])
        assert (found.dtype, found.shape) == (expected[name].dtype, expected[name].shape), name
    np.testing.assert_array_equal(read_matlab(path, "a_f8", (slice(1, 3),)), ARRAYS["a_f8"][1:3])
    assert matlab_shapes(path)["a_f8"] == (3, 4, 5)
    for name, kind in (("text", "text"), ("cell", "cells"), ("z", "complex")):
        with pytest.raises(ValueError, match=rf"a\.mat: {name} .* holds {kind}.*; real numbers are expected"):
            read_matlab(path, name)
    with pytest.raises(ValueError, match=r"a\.mat has no variable 'none'; it has \['a_f4'"):
        read_matlab(path, "none")


def element(kind, content):
    return struct.pack(">II", kind, len(content)) + content + bytes(-len(content) % 8)


def test_a_file_of_a_big_endian_machine_that_stores_doubles_as_bytes(tmp_path):
    array = (
        element(6, struct.pack(">II", 6, 0)) + element(5, struct.pack(">ii", 2, 3)) + struct.pack(">HH4s", 1, 1, b"q")
    )
    array += element(2, bytes([1, 2, 3, 4, 5, 200]))
    path = tmp_path / "a.mat"
    path.write_bytes(b"MATLAB 5".ljust(124) + b"\x01\x00MI" + element(14, array))
    assert read_matlab(path, "q").tolist() == [[1, 3, 5], [2, 4, 200]]
    np.testing.assert_array_equal(loadmat(path)["q"], read_matlab(path, "q"))


@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_file_of_format_5_is_named_or_read_alike(tmp_path, packed):
    path = tmp_path / "a.mat"
    savemat(path, {"a": np.arange(60.0).reshape(3, 20), "b": np.ones(3)}, do_compression=packed)
    good, chance = path.read_bytes(), random.Random(0)
    refused = 0
    spoilt = [good[: chance.randrange(len(good))] for _ in range(60)]
    for _ in range(1000):
        bad = bytearray(good)
        for _ in range(chance.choice([1, 1, 8])):
            bad[chance.randrange(120, min(len(good), 250))] = chance.randrange(256)
        spoilt.append(bytes(bad))
    for content in spoilt:
        path.write_bytes(content)
        try:
            found = read_matlab(path, "a")
        except ValueError as error:
            assert "a.mat" in str(error)  # noqa: PT017
            refused += 1
        else:
            assert found.dtype.kind in "fiu"
            assert not packed or (found == np.arange(60.0).reshape(3, 20)).all()  # only these have a checksum
    assert refused > 500


def test_a_small_file_does_not_unpack_to_a_large_one(tmp_path):
    path = tmp_path / "a.mat"
    savemat(path, {"a": np.zeros((1000, 1000))}, do_compression=True)
    content = path.read_bytes()
    inner = bytearray(zlib.decompress(content[136:]))
    inner[32:40] = struct.pack("<ii", 10, 10)
    packed = zlib.compress(bytes(inner))
    path.write_bytes(content[:128] + struct.pack("<II", 15, len(packed)) + packed)
    assert matlab_shapes(path) == {"a": (10, 10)}
    with pytest.raises(ValueError, match=r"a\.mat: a .* longer than 4896 bytes"):
        read_matlab(path, "a")
    inner[32:40] = struct.pack("<ii", 2**30, 2**28)
    packed = zlib.compress(bytes(inner))
    path.write_bytes(content[:128] + struct.pack("<II", 15, len(packed)) + packed)
    with pytest.raises(ValueError, match=r"a\.mat: a .* declares 2,305,843,009,213,693,952 bytes"):
        read_matlab(path, "a")


def hdf5(path, spoil):
    with h5py.File(path, "w") as file:
        file["a"] = np.arange(12.0).reshape(3, 4)
        spoil(file)
    return path


def virtual(file):
    layout = h5py.VirtualLayout((4,), "u1")
    layout[:] = h5py.VirtualSource(file.filename.replace("m.mat", "secret"), "s", (4,))
    file.create_virtual_dataset("v", layout)


def deep(file):
    file["group/inner/link"] = h5py.ExternalLink("secret", "/s")
    file["group/inner/again"] = file["group"]


def bomb(file):
    file.create_dataset("b", (2**40,), "f8", chunks=(2**20,), compression="gzip")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: f.__setitem__("v", h5py.ExternalLink("secret", "/s")), "/v is a link to secret:/s"),
        (lambda f: f.__setitem__("v", h5py.SoftLink("/nowhere")), "/v is a link to /nowhere"),
        (lambda f: f.create_dataset("v", (4,), "u1", external=[("secret", 0, 4)]), "/v keeps its values in another"),
        (virtual, "/v keeps its values in another"),
        (deep, "/group/inner/link is a link to secret:/s"),
        (bomb, "/b declares 8,796,093,022,208 bytes, of which 0 are stored"),
    ],
)
def test_files_that_reach_outside_or_unpack_without_end_are_refused(tmp_path, spoil, message):
    (tmp_path / "secret").write_bytes(b"1234")
    path = hdf5(tmp_path / "m.mat", spoil)
    for read in (matlab_shapes, lambda path: read_matlab(path, "a"), lambda path: read_matlab(path, "v")):
        with pytest.raises(ValueError, match=r"m\.mat") as caught:
            read(path)
        assert message in str(caught.value)


def test_a_harmless_file_passes(tmp_path):
    path = hdf5(tmp_path / "m.mat", lambda f: f.create_dataset("zeros", data=np.zeros(10**6), compression="gzip"))
    with h5py.File(path) as file:
        refuse_external(file)
    assert matlab_shapes(path) == {"a": (4, 3), "zeros": (10**6,)}
    np.testing.assert_array_equal(read_matlab(path, "a", (slice(1, 3),)), np.arange(12.0).reshape(3, 4).T[1:3])
