"""Mixers in the space of frequencies: what they must not see, and what they become in the limit."""

import itertools

import pytest
import torch
from torch_geometric.data import Batch

from pyg_neuralops.data import MeshData
from pyg_neuralops.data.mesh import Mesh
from pyg_neuralops.models import FNO, LA2Former
from pyg_neuralops.nn import FourierMixer, SpectralMixer
from pyg_neuralops.testing import (
    assert_batch_invariant,
    assert_permutation_equivariant,
    random_grid,
    random_mesh,
)
from pyg_neuralops.transforms import LaplacianModes


def _grid(side: int) -> MeshData:
    axis = torch.linspace(0, 1, side, dtype=torch.float64)
    pos = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).flatten(0, 1)
    number = torch.arange(side**2).view(side, side)
    quad = torch.stack([number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]]).flatten(1)
    return MeshData(pos=pos, quad=quad, x=torch.sin(3 * pos) + pos[:, :1] * pos[:, 1:])


def test_neither_signs_nor_the_basis_of_equal_eigenvalues_matter():
    torch.manual_seed(0)
    mixer = SpectralMixer(2).double()
    data = LaplacianModes(6)(_grid(9))  # the square has pairs of equal eigenvalues
    want = mixer(data.x, Mesh.from_data(data))
    data.mode_values = data.mode_values * torch.tensor([1, -1, 1, -1, -1, 1.0], dtype=torch.float64)
    angle = torch.tensor(0.7)
    turn = torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])]).double()
    data.mode_values[:, 1:3] = data.mode_values[:, 1:3] @ turn
    torch.testing.assert_close(mixer(data.x, Mesh.from_data(data)), want, rtol=1e-8, atol=1e-9)
    data.mode_values[:, 2:4] = data.mode_values[:, 2:4] @ turn  # of different ones it does
    assert not torch.allclose(mixer(data.x, Mesh.from_data(data)), want, rtol=1e-3)


def test_autocast_does_not_touch_the_projection():
    torch.manual_seed(0)
    mixer = SpectralMixer(2)
    data = LaplacianModes(6)(_grid(9))
    x, values, weight = data.x.float(), data.mode_values.float(), data.mode_weight.float()
    fine = MeshData(pos=data.pos.float(), mode_values=values, mode_weight=weight, eigenvalues=data.eigenvalues.float())
    want = mixer(x, Mesh.from_data(fine))
    with torch.autocast("cpu", torch.bfloat16):
        found = mixer(x, Mesh.from_data(fine))
    assert (found - want).abs().max() < 0.02 * want.abs().max()
    # Shares as on a mesh with a million times as many nodes are zeros in float16; the values are as much larger.
    mixer, fine.mode_weight, x = SpectralMixer(2, project=False), weight * 1e-6, 1e4 * x
    want = mixer(x, Mesh.from_data(fine))
    with torch.autocast("cpu", torch.float16):
        found = mixer(x, Mesh.from_data(fine))
    assert (found - want).abs().max() < 0.02 * want.abs().max()


def test_a_filter_of_one_on_all_modes_is_a_linear_layer():
    mixer = SpectralMixer(3).double()
    torch.nn.init.zeros_(mixer.filter[-1].weight)
    torch.nn.init.ones_(mixer.filter[-1].bias)
    data = LaplacianModes(50)(random_mesh(50, in_channels=3, dtype=torch.float64))
    torch.testing.assert_close(mixer(data.x, Mesh.from_data(data)), mixer.out(mixer.value(data.x)))


def test_finer_meshes_change_a_random_model_to_second_order():
    torch.manual_seed(0)
    model = LA2Former(
        2, 1, local=False, global_="laplacian", hidden_channels=16, num_layers=2, heads=2, modes=8
    ).double()
    found = []
    with torch.no_grad():
        for side in (9, 17, 33, 65):
            answer = model(_grid(side)).view(side, side)
            found.append(answer[:: (side - 1) // 8, :: (side - 1) // 8])
    steps = [(a - b).norm() for a, b in itertools.pairwise(found)]
    assert 1.6 < torch.log2(steps[0] / steps[1]) < 2.4
    assert 1.6 < torch.log2(steps[1] / steps[2]) < 2.4


@pytest.mark.parametrize("names", ["laplacian", ("efficient", "laplacian")])
def test_as_a_global_path(names):
    torch.manual_seed(0)
    model = LA2Former(2, 1, global_=names, hidden_channels=16, num_layers=2, heads=2, patches=8, modes=6).double()
    samples = [random_mesh(n, seed=n, dtype=torch.float64) for n in (40, 25, 4)]
    assert_batch_invariant(model, samples, tolerance=1e-9)
    assert_permutation_equivariant(model, samples[0], tolerance=1e-6)
    assert type(model)(**model.config).config == model.config
    batch = model.prepare(Batch.from_data_list(samples))
    model(batch).sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())


def test_fourier_is_the_convolution_of_fno():
    torch.manual_seed(0)
    model = LA2Former(2, 1, local=False, global_="fourier", hidden_channels=8, num_layers=1, heads=2, modes=16)
    mixer = model.blocks[0].mixer.mixers[0]
    assert isinstance(mixer, FourierMixer)
    assert mixer.conv.modes == (4, 4)
    grid = random_grid((8, 6), in_channels=8)
    want = FNO(8, 1, hidden_channels=8, num_layers=1, modes=4).spectral[0]
    want.load_state_dict(mixer.conv.state_dict())
    torch.testing.assert_close(mixer(grid.x, Mesh.from_data(grid)), want(grid.x.view(1, 8, 6, 8)).view(48, 8))
    with pytest.raises(ValueError, match="grids of one shape"):
        model(random_mesh(30))


def test_missing_modes_and_wrong_counts_are_named():
    with pytest.raises(ValueError, match="the mesh has no modes; apply LaplacianModes"):
        SpectralMixer(2)(random_mesh(9).x, Mesh.from_data(random_mesh(9)))
    with pytest.raises(ValueError, match="modes=0; it must be at least 1"):
        LA2Former(2, 1, modes=0)
