"""Nodes that count by their weight: sums over nodes are integrals, whatever the mesh."""

import copy
import inspect

import pytest
import torch
from torch_geometric.data import Batch

from pyg_neuralops.data import Mesh, MeshData, nodal_weights
from pyg_neuralops.inside import patch_attention
from pyg_neuralops.models import MODELS, build_model
from pyg_neuralops.nn import GraphMixer, PhysicsAttention, limit_memory
from pyg_neuralops.ops import EdgeTiles
from pyg_neuralops.testing import assert_batch_invariant, assert_gradients, random_mesh

FLUXES = ["upwind-gnn"]  # weights are of a balance, not of a mean
WEIGHED = [name for name, cls in MODELS.items() if cls.weighs and name not in FLUXES]
OTHERS = ["mesh-graph-net", "gatv2", "graph-unet", "point-transformer", "fno"]
EVERYONE = 1000  # patches of all nodes


def model(name, measure=True, k=EVERYONE, **kwargs):
    """In double precision; local models see all nodes."""
    known = inspect.signature(MODELS[name].__init__).parameters
    options = {"heads": 8, "patches": k, "graph": "patches"}
    options = {key: value for key, value in options.items() if key in known} | kwargs
    torch.manual_seed(0)
    sizes = {"in_channels": 2, "out_channels": 3, "hidden_channels": 16, "num_layers": 2}
    return build_model(name, **{**sizes, "measure": measure, **options}).double()


def cloud(n=40, seed=0):
    data = random_mesh(n, seed=seed, cells=False, dtype=torch.float64)
    data.weight = 0.1 + torch.rand(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return data


def split(data, node):
    """The sample with one node more: a second one at the place of ``node``, each with half of its weight."""
    out = copy.copy(data)
    for name in ("x", "y", "pos", "weight"):
        out[name] = torch.cat([data[name], data[name][node : node + 1]])
    out.weight[[node, -1]] /= 2
    return out


def assert_same(found, expected, tolerance=1e-12):
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def test_all_models_know_the_argument():
    assert {*WEIGHED, *FLUXES, *OTHERS} == set(MODELS)
    assert all(inspect.signature(cls.__init__).parameters["measure"].default is False for cls in MODELS.values())


@pytest.mark.parametrize("name", WEIGHED)
def test_splitting_a_node_changes_nothing(name):
    """Alone, beside samples of like sizes (padded) and of others (one by one); without weights it does."""
    net, data = model(name), cloud()
    expected = net(data)
    for mates in ([], [cloud(38, seed=1)], [cloud(400, seed=2)]):
        found = net(Batch.from_data_list([split(data, 7), *mates]))[:41]
        assert_same(found[:40], expected)
        assert_same(found[40], expected[7])
    plain = model(name, False)
    assert (plain(split(data, 7))[:40] - plain(data)).abs().max() > 1e-5


def test_a_patch_with_room_for_both_halves_does_not_see_a_split():
    """A layer, as a second one sees patches of patches: at nodes whose K + 1 nearest are the K nearest, one of them
    twice."""
    few, more = (model("la2former-local", k=k, num_layers=1, coords=False) for k in (10, 11))
    data = cloud()
    found, expected = more(split(data, 7)), few(data)
    index = few.prepare(data).patch_index
    sees = index[1, index[0] == 7]
    distance = (data.pos[sees] - data.pos[7]).norm(dim=1)
    sees = sees[distance < few.prepare(data).patch_reach[sees]]
    assert len(sees) > 3
    assert_same(found[sees], expected[sees])


@pytest.mark.parametrize("name", WEIGHED)
def test_only_ratios_count_and_a_weight_of_zero_is_no_say(name):
    net, data = model(name), cloud()
    expected = net(data)
    scaled = copy.copy(data)
    scaled.weight = 1e-6 * data.weight
    assert_same(net(scaled), expected)
    silent, other = copy.copy(data), copy.copy(data)
    silent.weight = data.weight.clone()
    silent.weight[3] = 0
    other.weight, other.x = silent.weight, data.x.clone()
    other.x[3] += 1
    keep = torch.arange(40) != 3
    assert_same(net(other)[keep], net(silent)[keep], 1e-8)


@pytest.mark.parametrize("name", WEIGHED)
def test_a_sample_does_not_see_its_batch_mates(name):
    samples = [cloud(n, seed=n) for n in (30, 12, 25)]
    samples[1].weight *= 100
    assert_batch_invariant(model(name, k=8), samples, tolerance=1e-12)


@pytest.mark.parametrize("name", WEIGHED)
def test_gradients_equal_finite_differences(name):
    data = cloud(12)
    assert_gradients(model(name, k=5), data)


def test_tiles_edges_and_pieces_agree():
    net, data = model("la2former", k=8, direction=True), cloud(200)
    expected = net(data)
    x = net.inputs(data)
    ready = net.prepare(data)
    for name in EdgeTiles.flat(ready.patch_index, ready.pos):
        del ready[name]
    assert_same(net.core(x, Mesh.from_data(ready, True)), expected)
    weight = patch_attention(net, data)[0]
    assert_same(weight.mask.sum(), torch.tensor(200.0 * 8, dtype=torch.float64))
    assert_same(limit_memory(net, 0.01)(data), expected)


@pytest.mark.parametrize("name", MODELS)
def test_auto_takes_weights_where_they_are(name):
    known = inspect.signature(MODELS[name].__init__).parameters
    heads = {"heads": 8} if "heads" in known else {}

    def outputs(measure, data):
        torch.manual_seed(0)
        sizes = {"in_channels": 2, "out_channels": 3, "hidden_channels": 16, "num_layers": 2}
        return build_model(name, **sizes, **heads, measure=measure)(data)

    data = random_mesh(30, wind=True)
    if name == "fno":
        data.grid_shape = (5, 6)
    assert torch.equal(outputs("auto", data), outputs(False, data))
    data.weight = torch.linspace(0.1, 2, 30)
    if name in (*WEIGHED, *FLUXES):
        assert torch.equal(outputs("auto", data), outputs(True, data))
        assert not torch.allclose(outputs("auto", data), outputs(False, data), atol=1e-6)
    else:
        assert torch.equal(outputs("auto", data), outputs(False, data))


def test_a_slice_without_nodes_has_finite_gradients():
    torch.manual_seed(0)
    attention = PhysicsAttention(16, heads=2, num_slices=4)
    with torch.no_grad():
        attention.slices.bias[1] = -60.0
    x = torch.randn(30, 16, requires_grad=True)
    data = random_mesh(30)
    data.weight = torch.rand(30) + 0.5
    for measure in (False, True):
        (1e4 * attention(x, Mesh.from_data(data, measure)).square().mean()).backward()
        assert x.grad.isfinite().all()


def test_a_batch_mate_that_weighs_nothing_is_taken_for_equal_weights():
    samples = [random_mesh(12, seed=seed) for seed in range(2)]
    for sample, weight in zip(samples, (0.0, 2.0), strict=True):
        sample.weight = torch.full([12], weight)
    batch = Batch.from_data_list(samples)
    mesh = Mesh.from_data(batch, True)
    assert mesh.log_weight[:12].unique().numel() == 1
    torch.testing.assert_close(mesh.log_weight[12:], torch.zeros(12))


def test_wrong_use_is_named():
    with pytest.raises(ValueError, match=r"no weight; measure=True .*transforms.NodeWeights"):
        model("lrsa")(random_mesh(20, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"measure='yes'; choose from \[False, True, 'auto'\]"):
        model("lrsa", "yes")
    for name in OTHERS:
        with pytest.raises(ValueError, match=r"measure=True; .* does not count nodes by weight"):
            build_model(name, in_channels=1, out_channels=1, measure=True)
    assert model("flare", "auto").config["measure"] == "auto"
    with pytest.raises(ValueError, match="edge_attr=True and weight=True"):
        GraphMixer(torch.nn.Linear(4, 4), edge_attr=True, weight=True)


def refined(n, part):
    """The unit square in n x n quads, the left half of it ``part`` times as fine across; smooth fields."""
    left = torch.linspace(0, 0.5, part * n // 2 + 1, dtype=torch.float64)
    axes = (
        torch.cat([left, torch.linspace(0.5, 1, n // 2 + 1, dtype=torch.float64)[1:]]),
        torch.linspace(0, 1, n + 1, dtype=torch.float64),
    )
    pos = torch.cartesian_prod(*axes)
    node = torch.arange(len(pos)).view(len(axes[0]), len(axes[1]))
    quad = torch.stack([node[:-1, :-1], node[1:, :-1], node[1:, 1:], node[:-1, 1:]]).flatten(1)
    x, y = pos.unbind(1)
    data = MeshData(pos=pos, x=torch.stack([(3 * x).sin() * y, (2 * y - x).cos()], 1), quad=quad)
    data.weight = nodal_weights(data)
    shared = node[torch.cat([torch.arange(0, part * n // 2, part), torch.arange(part * n // 2, len(axes[0]))])]
    return data, shared.flatten()


@pytest.mark.parametrize("name", ["lrsa", "la2former-global", "transolver"])
def test_refining_a_region_changes_an_integral_to_second_order(name):
    """The rule of the weights is of second order; without them the left half would count four times."""

    def change(measure, n):
        net = model(name, measure)
        (coarse, at), (fine, again) = refined(n, 1), refined(n, 4)
        with torch.no_grad():
            one, two = net(coarse)[at], net(fine)[again]
        return ((one - two).norm() / one.norm()).item()

    changes = [change(True, n) for n in (8, 16, 32)]
    rates = [changes[i] / changes[i + 1] for i in range(2)]
    assert min(rates) > 3.5, (changes, rates)
    assert change(False, 32) > 20 * changes[-1]
