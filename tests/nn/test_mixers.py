import pytest
import torch
from torch import nn
from torch_geometric.nn import SAGEConv

from pyg_neuralops.data import Mesh
from pyg_neuralops.nn import (
    Block,
    EfficientAttention,
    Fusion,
    GalerkinAttention,
    GraphMixer,
    KNNAttention,
    PatchMixer,
    limit_memory,
)
from pyg_neuralops.ops import EdgeTiles, knn_graph
from pyg_neuralops.testing import (
    MixerModel,
    assert_batch_invariant,
    assert_gradients,
    assert_permutation_equivariant,
    assert_sees_only,
    assert_translation_invariant,
    random_mesh,
)
from pyg_neuralops.transforms import KNNPatches

C, H = 16, 4
METRIC = {"soft_mask": "metric"}


def knn(**kwargs):
    attention = KNNAttention(C, heads=H, **kwargs)
    nn.init.normal_(attention.mask, 0.5, 0.5)
    if attention.direction is not None:
        nn.init.normal_(attention.direction)
    if attention.metric is not None:
        nn.init.normal_(attention.metric.weight, std=0.3)
        nn.init.normal_(attention.metric.bias)
    return attention


MIXERS = {
    "knn": lambda: PatchMixer(knn()),
    "knn, one mask a layer": lambda: PatchMixer(knn(soft_mask="layer")),
    "knn, no mask": lambda: PatchMixer(knn(soft_mask="none")),
    "knn, directional": lambda: PatchMixer(knn(direction=True)),
    "knn, metric": lambda: PatchMixer(knn(soft_mask="metric")),
    "knn, metric and directional": lambda: PatchMixer(knn(soft_mask="metric", direction=True)),
    "efficient": lambda: EfficientAttention(C, heads=H),
    "galerkin": lambda: GalerkinAttention(C, heads=H),
    "fusion": lambda: Fusion(C, [PatchMixer(knn()), EfficientAttention(C, heads=H)]),
    "gated fusion": lambda: Fusion(C, [PatchMixer(knn()), EfficientAttention(C, heads=H)], mode="gate"),
    "weighted fusion": lambda: Fusion(C, [PatchMixer(knn()), EfficientAttention(C, heads=H)], mode="scalar"),
    "graph": lambda: GraphMixer(SAGEConv(C, C)),
    "graph on patches": lambda: GraphMixer(SAGEConv(C, C), graph="patches"),
    "block": lambda: Block(C, EfficientAttention(C, heads=H)),
}
LOCAL = [name for name in MIXERS if name.startswith("knn")]


def model(name, k=8):
    torch.manual_seed(0)
    return MixerModel(MIXERS[name](), C, k=k)


@pytest.mark.parametrize("name", MIXERS)
def test_renumbering_nodes_renumbers_the_output(name):
    assert_permutation_equivariant(model(name), random_mesh(50, in_channels=C))


@pytest.mark.parametrize("name", MIXERS)
def test_a_sample_does_not_see_its_batch_mates(name):
    assert_batch_invariant(model(name), [random_mesh(n, in_channels=C, seed=n) for n in (40, 12, 25, 1)])
    assert_batch_invariant(model(name), [random_mesh(20, in_channels=C, seed=n) for n in range(3)])


@pytest.mark.parametrize("name", MIXERS)
def test_gradients_equal_finite_differences(name):
    assert_gradients(model(name, k=5), random_mesh(14, in_channels=C))


@pytest.mark.parametrize("name", LOCAL)
def test_patches_see_only_their_points_and_no_origin(name):
    data = random_mesh(40, in_channels=C)
    assert_sees_only(model(name, k=6), data, knn_graph(data.pos, 6))
    assert_translation_invariant(model(name, k=6), data)


def test_invariance_assertions_can_fail():
    class Mean(nn.Module):
        def forward(self, x, mesh):
            return x - x.mean(0) + mesh.pos.sum()

    broken = MixerModel(Mean(), C)
    with pytest.raises(AssertionError, match="batch mates"):
        assert_batch_invariant(broken, [random_mesh(n, in_channels=C) for n in (10, 12)])
    with pytest.raises(AssertionError, match="translation"):
        assert_translation_invariant(broken, random_mesh(12, in_channels=C))
    with pytest.raises(AssertionError, match="edges away"):
        assert_sees_only(broken, random_mesh(12, in_channels=C), torch.zeros(2, 0, dtype=torch.long))

    class Numbered(nn.Module):
        def forward(self, x, mesh):
            return x + torch.arange(len(x))[:, None]

    with pytest.raises(AssertionError, match="permutation"):
        assert_permutation_equivariant(MixerModel(Numbered(), C), random_mesh(12, in_channels=C))


def test_knn_attention_on_the_complete_graph_is_full_attention():
    torch.manual_seed(0)
    n = 20
    attention = KNNAttention(C, heads=H, soft_mask="none").double()
    x, pos = torch.randn(n, C).double(), torch.rand(n, 2).double()
    q, k, v = attention.qkv(x).view(n, 3, H, C // H).permute(1, 2, 0, 3)
    full = nn.functional.scaled_dot_product_attention(q, k, v).transpose(0, 1).flatten(1)
    torch.testing.assert_close(attention(x, pos, knn_graph(pos, n)), attention.out(full))


def test_soft_mask_and_direction_are_the_stated_bias():
    torch.manual_seed(0)
    n = 15
    attention = knn(direction=True).double()
    x, pos = torch.randn(n, C).double(), torch.rand(n, 2).double()
    edges = knn_graph(pos, n)
    offset = (pos[None] - pos[:, None]) / torch.cdist(pos, pos).amax(1)[:, None, None]  # [i, j, D], l_i
    q, k, v = attention.qkv(x).view(n, 3, H, C // H).permute(1, 2, 0, 3)
    bias = -attention.strength[:, None, None] * offset.square().sum(-1)
    bias = bias + torch.einsum("hid,hdp,ijp->hij", q, attention.direction, offset)
    full = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias).transpose(0, 1).flatten(1)
    torch.testing.assert_close(attention(x, pos, edges), attention.out(full))


@pytest.mark.parametrize("direction", [False, True])
@pytest.mark.parametrize("pos_dim", [1, 2, 3])
def test_a_learned_metric_starts_as_the_mask_of_heads_and_is_the_stated_bias(pos_dim, direction):
    n, options = 15, {"pos_dim": pos_dim, "direction": direction, "key_width": 4}
    layers = []
    for soft_mask in ("head", "metric"):
        torch.manual_seed(0)
        layers.append(KNNAttention(C, heads=H, soft_mask=soft_mask, **options).double())
    x, pos = torch.randn(n, C).double(), torch.rand(n, pos_dim).double()
    edges = knn_graph(pos, 8)
    for adj in (edges, EdgeTiles.from_edge_index(edges, pos)):
        plain, learned = (layer(x, pos, adj) for layer in layers)
        torch.testing.assert_close(learned, plain, rtol=0, atol=1e-7)  # softplus and a root in single precision
    attention = layers[1]
    nn.init.normal_(attention.metric.weight)
    matrix = attention.metric.tensors(x)  # [N, H, D, D]
    factor = nn.functional.linear(x, attention.metric.weight, attention.metric.bias).unflatten(1, (H, -1))
    lower = torch.zeros_like(matrix)
    rows, columns = torch.tril_indices(pos_dim, pos_dim)
    lower[..., rows, columns] = factor
    torch.testing.assert_close(matrix, lower @ lower.mT)
    edges = knn_graph(pos, n)
    offset = (pos[None] - pos[:, None]) / torch.cdist(pos, pos).amax(1)[:, None, None]  # [i, j, D], l_i
    q, k, v = attention.qkv(x).view(n, 3, H, 4).permute(1, 2, 0, 3)
    bias = -torch.einsum("ijp,ihpq,ijq->hij", offset, matrix, offset)
    full = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias).transpose(0, 1).flatten(1)
    torch.testing.assert_close(attention(x, pos, edges), attention.out(full))


def test_autocast_does_not_round_a_learned_metric():
    layer, x = knn(soft_mask="metric").metric, torch.randn(30, C)
    expected = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(x), expected)
    assert layer.to(torch.bfloat16)(x).dtype == torch.bfloat16


def test_a_strong_mask_leaves_the_node_itself():
    torch.manual_seed(0)
    attention = KNNAttention(C, heads=H)
    nn.init.constant_(attention.mask, 1e6)
    x, pos = torch.randn(30, C), torch.rand(30, 2)
    own = attention.out(attention.qkv(x)[:, 2 * C :])
    torch.testing.assert_close(attention(x, pos, knn_graph(pos, 8)), own)


def test_a_node_without_neighbours_gets_the_bias():
    attention = KNNAttention(C, heads=H)
    x, pos = torch.randn(3, C), torch.rand(3, 2)
    out = attention(x, pos, torch.tensor([[0, 1], [0, 0]]))
    torch.testing.assert_close(out[1:], attention.out.bias.expand(2, C))
    assert out.isfinite().all()


def test_efficient_attention_of_constant_keys_is_the_mean():
    layer = EfficientAttention(C, heads=H, project=False)
    with torch.no_grad():
        layer.qkv.weight[C : 2 * C].zero_()
    data = random_mesh(10, in_channels=C)
    out = layer(data.x, Mesh.from_data(data))
    v = layer.qkv(data.x)[:, 2 * C :]
    torch.testing.assert_close(out, v.mean(0).expand_as(out))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: KNNAttention(90, heads=8), "channels=90 is not a multiple of heads=8"),
        (lambda: KNNAttention(16, heads=4, soft_mask="hard"), "choose from"),
        (lambda: EfficientAttention(90, heads=8), "heads=8"),
        (lambda: GalerkinAttention(90), "heads=8"),
        (lambda: Fusion(16, [], mode="concat"), "0 mixers"),
        (lambda: Fusion(16, [EfficientAttention(16, heads=4)], mode="gate"), "'gate' takes 2"),
        (lambda: Fusion(16, [EfficientAttention(16, heads=4)], mode="sum"), "choose from"),
        (lambda: GraphMixer(SAGEConv(4, 4), graph="knn"), "choose from"),
    ],
)
def test_wrong_settings_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_heads_without_room_give_columns_to_the_geometry():
    assert KNNAttention(128, heads=8).key_width == 13
    assert KNNAttention(128, heads=8, pos_dim=3).key_width == 12
    assert KNNAttention(128, heads=8, soft_mask="none").key_width == 16
    assert KNNAttention(96, heads=8).key_width == 12
    assert KNNAttention(64, heads=8).key_width == 8
    for channels, dim, width in ((96, 2, 11), (128, 2, 11), (64, 2, 8), (96, 3, 7), (64, 3, 7), (64, 1, 8), (32, 3, 4)):
        assert KNNAttention(channels, heads=8, pos_dim=dim, soft_mask="metric").key_width == width
    assert KNNAttention(64, heads=8, key_width=5).qkv.out_features == 8 * (5 + 5 + 8)
    with pytest.raises(ValueError, match="key_width=0"):
        KNNAttention(64, heads=8, key_width=0)


@pytest.mark.parametrize(
    "kwargs", [{}, {"direction": True}, {"soft_mask": "none"}, {"key_width": 3}, METRIC, METRIC | {"direction": True}]
)
@pytest.mark.parametrize("pos_dim", [1, 2, 3])
def test_tiles_give_what_edges_give(kwargs, pos_dim):
    torch.manual_seed(0)
    attention = knn(pos_dim=pos_dim, **kwargs).double()
    x, pos = torch.randn(70, C).double(), torch.rand(70, pos_dim).double()
    edges = knn_graph(pos, 9)
    tiles = EdgeTiles.from_edge_index(edges, pos)
    outs = [attention(x, pos, adj) for adj in (edges, tiles)]
    torch.testing.assert_close(outs[1], outs[0])
    grads = [torch.autograd.grad(out.square().sum(), [p for p in attention.parameters() if p.numel()]) for out in outs]
    torch.testing.assert_close(grads[1], grads[0])


@pytest.mark.parametrize("mask", [{}, METRIC])
@pytest.mark.parametrize("settings", [{"max_mib": 0.05}, {"checkpoint": True}, {"max_mib": 0.05, "checkpoint": True}])
def test_limited_memory_gives_the_same_numbers(settings, mask):
    torch.manual_seed(0)
    block = Block(C, Fusion(C, [PatchMixer(knn(direction=True, **mask)), EfficientAttention(C, heads=H)]))
    model, data = MixerModel(block, C), random_mesh(300, in_channels=C)
    data = KNNPatches(8, tiles=True)(data)
    plain = model(data)
    gradients = torch.autograd.grad(plain.square().sum(), [p for p in model.parameters() if p.numel()])
    limit_memory(model, **settings)
    torch.testing.assert_close(model(data), plain)
    again = torch.autograd.grad(model(data).square().sum(), [p for p in model.parameters() if p.numel()])
    torch.testing.assert_close(again, gradients, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(model(data), plain)
    with pytest.raises(ValueError, match="max_mib=0"):
        limit_memory(model, max_mib=0)
