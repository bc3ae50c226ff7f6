"""K from the attention mass that the nearest hold, and from connected patches."""

import networkx
import pytest
import torch

from pyg_neuralops.data import MeshData
from pyg_neuralops.inside import PatchAttention, attention_mass, connecting_k, mass_of
from pyg_neuralops.models import build_model
from pyg_neuralops.nn import KNNAttention
from pyg_neuralops.ops import knn_graph
from pyg_neuralops.study import choose_k
from pyg_neuralops.study.k_rule import rule
from pyg_neuralops.study.settings import Recipe
from pyg_neuralops.testing import random_mesh
from pyg_neuralops.transforms import KNNPatches

SMALL = {"hidden_channels": 8, "num_layers": 2, "heads": 2}


def attention(weight, n=30):
    """Every node attends to its k nearest with these weights ``[k, H]``, whatever it reads."""
    pos = torch.rand(n, 2, generator=torch.Generator().manual_seed(0))
    edges = knn_graph(pos, len(weight))
    weight = (weight / weight.sum(0)).repeat(n, 1)
    return PatchAttention("layer", edges, weight, weight, torch.zeros(edges.shape[1]))


def test_the_mass_of_known_weights():
    ranks = torch.arange(12.0)
    halves = attention(0.5 ** ranks[:, None])
    torch.testing.assert_close(mass_of(halves), (1 - 0.5 ** (ranks + 1)) / (1 - 0.5**12))
    heads = attention(torch.stack([ranks == 0, ranks == 7], 1).float())  # one head looks at itself, one far away
    torch.testing.assert_close(mass_of(heads), torch.where(ranks < 7, 0.5, 1.0))


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        (0.5 ** torch.arange(20.0), 5),  # 1 - 1/32 is the first above 0.95
        (torch.ones(20), 19),
        (torch.arange(20) == 0, 1),
    ],
)
def test_the_rule_takes_the_smallest_k_that_keeps_the_mass_in_every_layer(weight, expected):
    line = KNNPatches(20)(MeshData(pos=torch.arange(30.0)[:, None] ** 2))  # connected from K = 2 on
    mass, narrow = mass_of(attention(weight.float()[:, None])), torch.ones(20)
    for masses in ({"a": mass}, {"a": narrow, "b": mass}):
        found = rule([masses, masses], [line], 0.95)
        assert (found.by_mass, found.connected, found.k) == (expected, 2, max(expected, 2))
    # A mean over samples, those of smaller patches included.
    mixed = rule([{"a": torch.tensor([0.92, 1.0])}, {"a": torch.tensor([0.99])}], [line], 0.95)
    assert mixed.by_mass == 1


def test_two_clusters_are_connected_once_a_patch_reaches_over():
    generator = torch.Generator().manual_seed(0)
    pos = torch.cat([torch.rand(9, 2, generator=generator), 50 + torch.rand(12, 2, generator=generator)])
    edges = knn_graph(pos, 21)
    assert connecting_k(edges, 21) == 10  # the nine of the smaller cluster, and one of the other
    assert connecting_k(knn_graph(pos, 9), 21) < 10  # as connected as these patches ever are
    assert connecting_k(torch.arange(3).expand(2, 3), 3) == 1


@pytest.mark.parametrize("seed", range(5))
def test_connected_is_what_networkx_says(seed):
    pos = torch.rand(60, 2, generator=torch.Generator().manual_seed(seed)) ** 2
    edges = knn_graph(pos, 20)
    found = connecting_k(edges, 60)
    rank = torch.arange(20).repeat(60)
    for k in (found - 1, found):
        graph = networkx.Graph(edges[:, rank < k].t().tolist())
        graph.add_nodes_from(range(60))
        assert networkx.is_connected(graph) == (k == found)


def test_a_strong_mask_leaves_the_connected_k():
    torch.manual_seed(0)
    model = build_model("la2former", in_channels=2, out_channels=1, **SMALL, patches=16)
    data = random_mesh(60)
    weak = attention_mass(model, data)
    assert len(weak) == 2
    assert all((mass.diff() >= 0).all() for mass in weak.values())
    for module in model.modules():
        if isinstance(module, KNNAttention):
            torch.nn.init.constant_(module.mask, 1e6)
    found = rule([attention_mass(model, data)], [model.prepare(data)], 0.95)
    assert found.by_mass == 1
    assert found.k == found.connected > 1


def test_a_short_run_chooses_and_chooses_again():
    train = [random_mesh(40, seed=seed) for seed in range(6)]
    options = {"largest": 12, "samples": 3, "recipe": Recipe(steps=4, batch_size=2)}
    state = torch.random.get_rng_state()
    found = choose_k("la2former", SMALL, train, **options)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert 2 <= found.k <= 12
    assert found.k == max(found.by_mass, found.connected)
    assert choose_k("la2former", {**SMALL, "patches": {"k": 5}}, train, **options) == found
    assert all(len(mass) == 12 and mass[-1] == pytest.approx(1) for mass in found.masses.values())
    assert "K = 12" in found.to_table()
    assert "K = 16" not in found.to_table()
    assert not any("patch_index" in sample for sample in train)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"largest": 1}, "largest=1"),
        ({"keep": 1.0}, "keep=1.0"),
        ({"train": []}, "0 training samples"),
        ({"name": "gno", "kwargs": {"hidden_channels": 8}}, "no patch attention"),
        ({"kwargs": {**SMALL, "patches": {"k": 9, "radius": 0.1}}}, "radius=0.1 have no k"),
    ],
)
def test_what_cannot_be_chosen_is_refused(change, message):
    given = {"name": "la2former", "kwargs": SMALL, "train": [random_mesh(20)], **change}
    with pytest.raises(ValueError, match=message):
        choose_k(given.pop("name"), given.pop("kwargs"), given.pop("train"), **given)
