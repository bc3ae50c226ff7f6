"""The invariances of ``test_mixers.py`` for the other mixers."""

from dataclasses import replace

import pytest
import torch
from torch_geometric.data import Batch
from torch_geometric.nn import PointTransformerConv

from pyg_neuralops.data import Mesh
from pyg_neuralops.nn import (
    MLP,
    Block,
    FLAREAttention,
    FullAttention,
    Fusion,
    KernelIntegral,
    LowRankSpatialAttention,
    PhysicsAttention,
    PointMixer,
    RMSNorm,
)
from pyg_neuralops.ops import knn_graph
from pyg_neuralops.testing import (
    MixerModel,
    assert_batch_invariant,
    assert_gradients,
    assert_permutation_equivariant,
    assert_sees_only,
    assert_translation_invariant,
    random_mesh,
)

C, H = 16, 4


def low_rank(**kwargs):
    return LowRankSpatialAttention(C, heads=H, num_latents=5, **kwargs)


MIXERS = {
    "relative kernel": lambda: KernelIntegral(C, kernel_channels=8, coords=False),
    "vector attention": lambda: PointMixer(
        PointTransformerConv(C, C, MLP(2, C, C), MLP(C, C, C), add_self_loops=False)
    ),
    "kernel": lambda: KernelIntegral(C, kernel_channels=8),
    "low rank": low_rank,
    "low rank, tied": lambda: low_rank(tied=True),
    "low rank, latent mlp": lambda: low_rank(latent="mlp"),
    "low rank, fused": lambda: Fusion(C, [low_rank(project=False), FullAttention(C, heads=H)], mode="gate"),
    "physics": lambda: PhysicsAttention(C, heads=H, num_slices=5),
    "flare": lambda: FLAREAttention(C, heads=H, num_latents=5),
    "full": lambda: FullAttention(C, heads=H),
    "full, normalised": lambda: FullAttention(C, heads=H, bias=False, qk_norm=True),
    "block": lambda: Block(C, low_rank(), norm=RMSNorm),
}
LOCAL = ["relative kernel", "vector attention"]


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


@pytest.mark.parametrize("name", [name for name in MIXERS if name.startswith(("low", "flare", "full"))])
def test_one_by_one_is_padded_and_masked(name):
    """The two forms of a ragged batch: the numbers and gradients are those of the other, and of a sample alone."""
    layer = model(name).mixer.double()
    samples = [random_mesh(n, in_channels=C, seed=n, dtype=torch.float64) for n in (5, 17, 9)]
    batch = Batch.from_data_list(samples)
    mesh, x = Mesh.from_data(batch), batch.x.requires_grad_()
    assert mesh.lengths is None  # too small to be worth it
    padded, single = (layer(x, replace(mesh, lengths=lengths)) for lengths in (None, (5, 17, 9)))
    torch.testing.assert_close(single, padded)
    grads = [torch.autograd.grad(out.square().sum(), [x, *layer.parameters()]) for out in (padded, single)]
    torch.testing.assert_close(grads[1], grads[0])
    alone = torch.cat([layer(data.x, Mesh.from_data(data)) for data in samples])
    torch.testing.assert_close(padded, alone)


def test_padding_is_avoided_where_it_costs_more():
    small, large = (random_mesh(n, in_channels=C, cells=False) for n in (10, 500))
    assert Mesh.from_data(Batch.from_data_list([small, large])).lengths == (10, 500)
    assert Mesh.from_data(Batch.from_data_list([large, large])).lengths is None


@pytest.mark.parametrize("name", LOCAL)
def test_patches_see_only_their_points_and_no_origin(name):
    data = random_mesh(40, in_channels=C)
    assert_sees_only(model(name, k=6), data, knn_graph(data.pos, 6))
    assert_translation_invariant(model(name, k=6), data)


def test_the_norm_is_the_same_in_half_precision():
    x = torch.randn(5, C) * 1e-2
    norm = RMSNorm(C)
    expected = x / (x.square().mean(1, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(norm(x), expected)
    torch.testing.assert_close(norm(x.bfloat16()).float(), expected, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: LowRankSpatialAttention(90), "heads=8"),
        (lambda: LowRankSpatialAttention(16, num_latents=0), "num_latents=0"),
        (lambda: LowRankSpatialAttention(16, latent="conv"), r"latent='conv'; choose from"),
        (lambda: PhysicsAttention(16, num_slices=0), "num_slices=0"),
        (lambda: PhysicsAttention(90), "heads=8"),
        (lambda: FLAREAttention(90), "heads=8"),
        (lambda: FLAREAttention(16, num_latents=0), "num_latents=0"),
        (lambda: FullAttention(90), "heads=8"),
        (lambda: KernelIntegral(4)(torch.zeros(3, 4), Mesh.from_data(random_mesh(3))), "no patches"),
    ],
)
def test_wrong_settings_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
