"""Weights of nodes: what each stands for in an integral, and what some of them stand for all."""

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch

from pyg_neuralops.data import MeshData, nodal_weights, subsample, with_weights
from pyg_neuralops.testing import random_grid, random_mesh
from pyg_neuralops.transforms import NodeWeights


def test_cells_give_their_quadrature_and_own_weights_stay():
    data = random_mesh(40)
    assert torch.equal(NodeWeights()(data).weight, nodal_weights(data))
    assert data.get("weight") is None
    data.weight = torch.ones(40)
    assert torch.equal(NodeWeights()(data).weight, torch.ones(40))
    assert torch.equal(NodeWeights(replace=True)(data).weight, nodal_weights(data))


@pytest.mark.parametrize("shape", [(16,), (8, 12), (4, 5, 6)])
def test_a_periodic_grid_has_equal_weights(shape):
    grid = random_grid(shape)
    weight = NodeWeights(2, period=1.0)(grid).weight
    torch.testing.assert_close(weight, torch.full_like(weight, 1 / len(weight)))
    if len(shape) > 1:
        assert NodeWeights(2 * len(shape))(grid).weight.std() > 1e-4  # corners have fewer neighbours


@pytest.mark.parametrize(("dim", "space"), [(1, 1), (2, 2), (3, 3), (2, 3)])
def test_densities_make_means_integrals(dim, space):
    """Points crowd where the first coordinate is small; the mean of it over the unit box is 1/2 by weight."""
    points = np.random.default_rng(0).random((4000, dim)) ** np.array([2.0, *[1.0] * (dim - 1)])
    points = np.concatenate([points, np.zeros((4000, space - dim))], 1)
    data = MeshData(pos=torch.from_numpy(points))
    weight = NodeWeights(8, dim=dim)(data).weight
    torch.testing.assert_close(weight.sum(), torch.ones((), dtype=torch.float64))
    assert abs(data.pos[:, 0].mean() - 1 / 3) < 0.02
    assert abs((weight * data.pos[:, 0]).sum() - 1 / 2) < 0.03


def test_wrong_use_of_weights_is_named():
    for wrong in ({"k": 0}, {"dim": 0}):
        with pytest.raises(ValueError, match="must be at least 1"):
            NodeWeights(**wrong)
    with pytest.raises(ValueError, match="this is a batch"):
        NodeWeights()(Batch.from_data_list([random_mesh(9), random_mesh(8)]))
    with pytest.raises(ValueError, match="one point"):
        NodeWeights()(random_mesh(1))
    silent = random_mesh(6)
    silent.weight = torch.tensor([1.0, 0, 0, 0, 0, 0])
    with pytest.raises(ValueError, match="weight zero"):
        subsample(silent, torch.tensor([1, 2]))


@pytest.mark.parametrize("made", [True, False])
def test_some_nodes_stand_for_all(made):
    data = random_mesh(50)
    if made:
        data = with_weights(data)
    else:
        data.weight = torch.rand(50) + 0.1
    kept = torch.tensor([7, 3, 40, 11])
    for subset in (kept, torch.isin(torch.arange(50), kept)):
        part, order = subsample(data, subset), torch.arange(50)[subset]
        assert part.cells == {}
        assert part.get("weight_key") is None
        assert torch.equal(part.pos, data.pos[order])
        torch.testing.assert_close(part.weight.sum(), data.weight.sum())
        torch.testing.assert_close(part.weight / part.weight[0], data.weight[order] / data.weight[order[0]])
    assert subsample(random_mesh(9), kept[:2] % 9).get("weight") is None
