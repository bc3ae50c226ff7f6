"""Learned fluxes: what leaves a node enters its neighbour, and comes from where the flow comes from."""

import copy

import pytest
import torch
from torch_geometric.data import Batch

from pyg_neuralops.data import Mesh, MeshData, nodal_weights
from pyg_neuralops.models import build_model
from pyg_neuralops.nn import UpwindConv
from pyg_neuralops.normalize import normalized
from pyg_neuralops.testing import random_mesh
from pyg_neuralops.transforms import GraphEdges, MeshEdges, RandomSymmetry

SIZE = {"in_channels": 2, "out_channels": 1, "hidden_channels": 8, "num_layers": 3}


def sample(n=50, seed=0, dtype=torch.float64, **kwargs):
    data = random_mesh(n, seed=seed, dtype=dtype, **kwargs)
    data.wind = torch.randn(data.pos.shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
    return data


def edges(data):
    return GraphEdges(fields=("wind",), flow=True)(copy.copy(data))


def conv(seed=0):
    torch.manual_seed(seed)
    layer = UpwindConv(8).double()
    torch.nn.init.normal_(layer.spread_edge.bias)
    return layer


@pytest.mark.parametrize("pos_dim", [1, 2, 3])
@pytest.mark.parametrize("weighted", [True, False])
def test_fluxes_change_no_total(weighted, pos_dim):
    data = edges(sample(pos_dim=pos_dim))
    data.weight = 0.1 + torch.rand(50, generator=torch.Generator().manual_seed(1)).double()
    x = torch.randn(50, 8, generator=torch.Generator().manual_seed(2)).double()
    y = conv()(x, Mesh.from_data(data, weighted))
    weight = data.weight if weighted else torch.ones(50).double()
    assert y.abs().min(0).values.max() > 1e-4
    assert (weight[:, None] * y).sum(0).abs().max() < 1e-12 * (weight[:, None] * y).abs().sum(0).max()
    other = torch.ones(50).double() if weighted else data.weight
    assert (other[:, None] * y).sum(0).abs().max() > 1e-3


def test_no_total_changes_on_one_way_edges_and_under_any_normaliser():
    """Whatever the edges and the numbers on them, each flux is taken from one node and given to another."""
    x = torch.randn(6, 8).double()
    mesh = Mesh.from_data(MeshData(pos=torch.rand(6, 2).double()))
    for count in (1, 9):
        index = torch.randint(6, (2, count), generator=torch.Generator().manual_seed(count))
        mesh = Mesh(**{**vars(mesh), "edge_index": index, "edge_attr": torch.randn(count, 5).double() + 1})
        assert conv()(x, mesh).sum(0).abs().max() < 1e-12


def test_fluxes_are_antisymmetric_and_come_from_upstream():
    data, layer = edges(sample()), conv()
    index, attr = data.edge_index, data.edge_attr
    x = torch.randn(50, 8, generator=torch.Generator().manual_seed(3)).double()
    place = {tuple(edge): number for number, edge in enumerate(index.t().tolist())}
    back = torch.tensor([place[i, j] for j, i in index.t().tolist()])
    for part in (layer.carried, layer.spread):
        flux = part(x, index, attr)
        torch.testing.assert_close(flux[back], -flux, rtol=0, atol=0)
    # An edge sees its upstream end alone: x_j where the wind blows from j, p_j - p_i against it.
    mean = (data.wind[index[0]] + data.wind[index[1]]) / 2
    from_source = (mean * (data.pos[index[0]] - data.pos[index[1]])).sum(1) < 0
    carried = layer.carried(x, index, attr)
    for end, unseen in ((index[1], from_source), (index[0], ~from_source)):
        for node in (5, 17):
            changed = x.clone()
            changed[node] += 1
            difference = (layer.carried(changed, index, attr) - carried).abs().amax(1)
            here = end == node
            assert (difference[here & unseen] == 0).all()
            assert (difference[here & ~unseen] > 1e-6).all()
    assert (from_source == from_source[back]).sum() == 0


def test_without_learned_parts_it_is_the_upwind_scheme():
    """phi(x) = x: steps in a constant wind move a bump downstream and keep its total, as finite volumes do."""
    n = 200
    pos = torch.linspace(0, 1, n).double()[:, None]
    line = torch.stack([torch.arange(n - 1), torch.arange(1, n)])
    data = MeshData(pos=pos, line=line, wind=torch.ones(n, 1).double())
    data.weight = nodal_weights(data)
    mesh, layer = Mesh.from_data(edges(data), True), UpwindConv(1).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.value.weight.fill_(1.0)
        layer.spread_edge.bias.fill_(-1e3)
        x = torch.exp(-((pos - 0.3) ** 2) / 0.005)
        total, step, count = (mesh.weight[:, None] * x).sum(), 0.5, 200
        for _ in range(count):
            x = x + step * layer(x, mesh)
    weight = mesh.weight[:, None]
    assert abs((weight * x).sum() - total) < 1e-12 * total
    centre = (weight * x * pos).sum() / total
    assert abs(centre - (0.3 + step * count / (n - 1))) < 0.01  # a flow of 1 passes one node a unit of time
    assert x.min() >= 0


def test_information_goes_downstream_only_without_spreading():
    data = edges(sample())
    data.wind = torch.tensor([1.0, 0.3]).double().expand(50, 2)
    torch.manual_seed(0)
    model = build_model("upwind-gnn", **SIZE, coords=False).double()
    for block in model.blocks:
        torch.nn.init.constant_(block.mixer.spread_edge.bias, -1e4)
    x = data.x.clone().requires_grad_()
    sample_ = copy.copy(data)
    sample_.x = x
    out, along = model(sample_), data.pos @ data.wind[0]
    node = int(along.argsort()[25])
    (gradient,) = torch.autograd.grad(out[node].sum(), x)
    seen = gradient.abs().sum(1) > 1e-12
    assert seen.sum() > 5
    assert (along[seen] <= along[node] + 1e-12).all()


def test_turning_mesh_and_wind_together_changes_nothing():
    torch.manual_seed(0)
    data = sample()
    model = build_model("upwind-gnn", **SIZE, coords=False).double()
    expected = model(data)
    for seed in range(3):
        torch.manual_seed(seed)
        torch.testing.assert_close(model(RandomSymmetry("isometries", shift=1.0)(data)), expected)
    still = RandomSymmetry("isometries")(data)
    still.wind = data.wind
    assert (model(still) - expected).abs().max() > 1e-4


def test_normalised_models_read_the_sign_of_the_wind_as_it_is():
    samples = [sample(seed=seed) for seed in range(3)]
    for data in samples:
        data.wind = 100 * (data.wind + 2)
    model = normalized(build_model("upwind-gnn", **SIZE).double(), samples)
    normalizer = model.edge_attr
    assert abs(normalizer.mean[-2] / normalizer.std[-2]) < 1e-12
    along = edges(samples[0]).edge_attr[:, -2]
    encoded = normalizer.encode(edges(samples[0]).edge_attr)[:, -2]
    assert torch.equal(encoded.sign(), along.sign())
    assert model(Batch.from_data_list(samples)).isfinite().all()


def test_wrong_use_is_named():
    model, data = build_model("upwind-gnn", **SIZE, wind="flow").double(), sample()
    with pytest.raises(
        ValueError, match=r"the edges read \['flow'\] of the sample, which has no flow; it has \['face'"
    ):
        model(data)
    data.flow = torch.eye(2).double().expand(50, 2, 2)
    with pytest.raises(ValueError, match=r"flow has shape \[50, 2, 2\] torch.float64, a vector \[50, 2\] is needed"):
        model(data)
    data.flow = data.wind
    both = MeshEdges()(copy.copy(data)).edge_index
    for edge_index in (both[:, :-1], torch.cat([both, both[:, :1]], 1)):
        own = MeshData(x=data.x, pos=data.pos, flow=data.flow, edge_index=edge_index)
        for given in (own, GraphEdges(fields=("flow",))(copy.copy(own))):  # as another model prepares it
            with pytest.raises(ValueError, match=r"not as many edges \d+ -> \d+ as \d+ -> \d+; this model needs both"):
                model(given)
    with pytest.raises(ValueError, match="edges have 3 attributes, where those with one flow have 5"):
        UpwindConv(2).double()(data.x, Mesh.from_data(GraphEdges()(copy.copy(data))))
    with pytest.raises(ValueError, match="wind=3; text is needed"):
        build_model("upwind-gnn", **SIZE, wind=3)
    assert model.config["wind"] == "flow"
