"""Kernel integrals and grid layers against the sums and products that define them."""

from dataclasses import replace

import pytest
import torch
from torch_geometric.data import Batch

from pyg_neuralops.data import Mesh
from pyg_neuralops.nn import (
    Block,
    GridConv,
    GridStencil,
    KernelIntegral,
    LowRankSpatialAttention,
    PhysicsAttention,
    RMSNorm,
    SpectralConv,
)
from pyg_neuralops.testing import MixerModel, assert_batch_invariant, assert_gradients, random_grid, random_mesh
from pyg_neuralops.transforms import KNNPatches

C = 8


@pytest.mark.parametrize("in_channels", [0, 3])
@pytest.mark.parametrize("coords", [True, False])
def test_kernel_integral_is_the_direct_sum(coords, in_channels):
    torch.manual_seed(0)
    layer = KernelIntegral(C, kernel_channels=8, coords=coords, in_channels=in_channels).double()
    data = KNNPatches(5)(random_mesh(12, in_channels=C, dtype=torch.float64))
    inputs = torch.randn(12, in_channels, dtype=torch.float64)
    mesh = replace(Mesh.from_data(data), inputs=inputs)
    rows = []
    for i in range(12):
        neighbours = data.patch_index[0, data.patch_index[1] == i]
        total = torch.zeros(C, dtype=torch.float64)
        for j in neighbours:
            where = (data.pos[j] - data.pos[i]) / (data.pos[neighbours] - data.pos[i]).norm(dim=1).max()
            ends = [data.pos[i], data.pos[j]] if coords else []
            ends += [inputs[i], inputs[j]]
            total = total + layer.kernel(torch.cat([where, *ends])) * layer.value(data.x[j])
        rows.append(layer.out(total / len(neighbours)))
    torch.testing.assert_close(layer(data.x, mesh), torch.stack(rows))


def test_kernels_name_inputs_that_are_not_there():
    data = KNNPatches(3)(random_mesh(5, in_channels=C))
    mesh, layer = Mesh.from_data(data), KernelIntegral(C, in_channels=2)
    for inputs, found in ((None, 0), (torch.zeros(5, 3), 3)):
        with pytest.raises(ValueError, match=f"the mesh has {found} inputs; the kernel was built with in_channels=2"):
            layer(data.x, replace(mesh, inputs=inputs))


@pytest.mark.parametrize("shape", [(10,), (8, 10), (7, 9), (4, 6, 5), (1, 8), (2, 3)])
def test_spectral_convolution_commutes_with_shifts_and_keeps_constants(shape):
    torch.manual_seed(0)
    layer = SpectralConv(C, modes=[3] * len(shape)).double()
    x = torch.randn(2, *shape, C, dtype=torch.float64)
    moves, axes = tuple(range(1, len(shape) + 1)), tuple(range(1, len(shape) + 1))
    torch.testing.assert_close(layer(x.roll(moves, axes)), layer(x).roll(moves, axes))
    constant = layer(torch.ones_like(x))
    torch.testing.assert_close(constant, constant.flatten(1, -2)[:, :1].view(2, *[1] * len(shape), C).expand_as(x))


def test_spectral_convolution_is_a_filter_whatever_the_grid():
    """Modes above the kept ones vanish; a field of low modes gives the same values on a finer grid."""
    torch.manual_seed(0)
    layer = SpectralConv(1, modes=(3, 3)).double()

    def grid(n):
        axis = torch.arange(n, dtype=torch.float64) * 2 * torch.pi / n
        return torch.meshgrid(axis, axis, indexing="ij")

    a, b = grid(16)
    high = torch.cos(5 * a + b)[None, ..., None]
    assert layer(high).abs().max() < 1e-12
    coarse, fine = (torch.cos(2 * a - b) + torch.sin(a + 2 * b) for a, b in (grid(16), grid(32)))
    torch.testing.assert_close(layer(fine[None, ..., None])[:, ::2, ::2], layer(coarse[None, ..., None]))


def test_grid_convolution_is_the_dense_one_in_row_major_order():
    layer = GridConv(2, C)
    batch = Batch.from_data_list([random_grid((4, 6), seed=seed) for seed in range(2)])
    image = batch.x.view(2, 4, 6, 2).permute(0, 3, 1, 2)
    expected = layer.conv(image).permute(0, 2, 3, 1).reshape(-1, C)
    torch.testing.assert_close(layer(batch.x, Mesh.from_data(batch)), expected)


STRUCTURED = {
    "slices": lambda: PhysicsAttention(C, heads=2, num_slices=5, structured=True),
    "feed-forward": lambda: Block(
        C, LowRankSpatialAttention(C, heads=2, num_latents=3), norm=RMSNorm, stencil=GridStencil(C)
    ),
}


@pytest.mark.parametrize("name", STRUCTURED)
def test_structured_mixers(name):
    torch.manual_seed(0)
    model = MixerModel(STRUCTURED[name](), C)
    assert_batch_invariant(model, [random_grid((4, 6), in_channels=C, seed=seed) for seed in range(3)])
    assert_gradients(model, random_grid((3, 4), in_channels=C))
    with pytest.raises(ValueError, match="no common grid_shape"):
        model(random_mesh(24, in_channels=C))
    mixed = Batch.from_data_list([random_grid(shape, in_channels=C) for shape in ((4, 6), (6, 4))])
    with pytest.raises(ValueError, match="no common grid_shape"):
        model.core(mixed.x, Mesh.from_data(mixed))
    with pytest.raises(ValueError, match=r"grid_shape=\(2, 3, 4\) has 3 axes; the layer was built for 2"):
        model.core(torch.zeros(24, C), Mesh.from_data(random_grid((2, 3, 4), in_channels=C)))
    cut = random_grid((4, 6), in_channels=C).subgraph(torch.arange(20))
    cut.grid_shape = (4, 6)  # which it is no more
    with pytest.raises(ValueError, match=r"grid_shape \(4, 6\) has 24 nodes; pos has 20"):
        model(cut)
    with pytest.raises(ValueError, match=r"grid_shape=\(4, 6\) does not fit samples of 20 nodes"):
        model.core(cut.x, Mesh.from_data(cut))


def test_a_mesh_survives_its_pytree():
    from torch.utils import _pytree as pytree

    mesh = Mesh.from_data(Batch.from_data_list([random_grid((2, 3)), random_grid((2, 3), seed=1)]))
    leaves, spec = pytree.tree_flatten(mesh)
    spec = pytree.treespec_loads(pytree.treespec_dumps(spec))
    again = pytree.tree_unflatten(leaves, spec)
    assert again.grid_shape == mesh.grid_shape == (2, 3)
    assert again.pos is mesh.pos
    assert again.edge_index is None
