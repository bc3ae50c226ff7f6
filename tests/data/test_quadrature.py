import pytest
import torch

from pyg_neuralops.data import MeshData, nodal_weights, read_hdf5, write_hdf5
from pyg_neuralops.datasets.grid import unit_grid
from pyg_neuralops.testing import random_mesh


def linear(pos):
    return 1 + pos @ torch.arange(2.0, 2 + pos.shape[1], dtype=pos.dtype)


def test_weights_on_a_stretched_grid_integrate_linear_functions_exactly():
    pos, quad = unit_grid(9, 6)
    pos = pos.double() ** torch.tensor([1.5, 2.0])  # rectangles of different sizes
    weight = nodal_weights(MeshData(pos=pos, quad=quad))
    torch.testing.assert_close(weight @ linear(pos), torch.tensor(1 + 2 / 2 + 3 / 2, dtype=torch.float64))
    assert weight.min() > 0


def test_triangles_share_their_area_among_their_corners():
    mesh = random_mesh(60)
    weight = nodal_weights(mesh)
    a, b, c = mesh.pos[mesh.face]
    areas = ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]).abs() / 2
    torch.testing.assert_close(weight @ linear(mesh.pos), (areas * linear((a + b + c) / 3)).sum())


def test_a_tetrahedron_a_surface_and_a_convex_quadrilateral():
    corner = torch.eye(4)[:, 1:]
    tet = MeshData(pos=corner, tet=torch.arange(4)[:, None])
    torch.testing.assert_close(nodal_weights(tet), torch.full((4,), 1 / 24))
    surface = MeshData(pos=corner, face=torch.tensor([[1], [2], [3]]))
    torch.testing.assert_close(nodal_weights(surface), torch.tensor([0, 1, 1, 1]) * 3**0.5 / 6)
    kite = MeshData(pos=torch.tensor([[0.0, 0], [2, 0], [3, 3], [0, 1]]), quad=torch.arange(4)[:, None])
    torch.testing.assert_close(nodal_weights(kite).sum(), torch.tensor(4.5))


def test_point_clouds_have_no_weights():
    with pytest.raises(ValueError, match="point cloud has no quadrature weights"):
        nodal_weights(MeshData(pos=torch.rand(3, 2)))


def test_weights_wind_and_conductivity_come_back_from_a_file(tmp_path):
    fields = {"pos": torch.rand(5, 2), "weight": torch.rand(5), "wind": torch.rand(5, 2)}
    sample = MeshData(**fields, conductivity=torch.eye(2).repeat(5, 1, 1))
    (read,), _ = read_hdf5(write_hdf5(tmp_path / "a.h5", [sample]))
    for name in ("weight", "wind", "conductivity"):
        torch.testing.assert_close(read[name], sample[name])
    sample.conductivity = torch.rand(5, 2)
    with pytest.raises(ValueError, match=r"conductivity has shape \[5, 2\]; expected \[5, 2, 2\]"):
        write_hdf5(tmp_path / "b.h5", [sample])
