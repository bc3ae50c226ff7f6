"""Low-rank attentions as the matrices that they are."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pyg_neuralops.data import Mesh
from pyg_neuralops.nn import Block, FLAREAttention, FullAttention, LowRankSpatialAttention, PhysicsAttention, RMSNorm
from pyg_neuralops.nn.rms_norm import normalize
from pyg_neuralops.testing import random_mesh

C, H, M, N = 16, 4, 5, 30


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def points(channels=C, num_nodes=N):
    data = random_mesh(num_nodes, in_channels=channels, dtype=torch.float64)
    return data.x, Mesh.from_data(data)


def rms(x: torch.Tensor) -> torch.Tensor:
    return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()


@pytest.mark.parametrize(("layers", "c", "heads", "m"), [(8, 128, 8, 64), (8, 256, 8, 64), (3, 96, 4, 32)])
def test_block_has_the_published_number_of_weights(layers, c, heads, m):
    block = Block(c, LowRankSpatialAttention(c, heads=heads, num_latents=m), norm=RMSNorm)
    assert count(block) == 23 * c**2 + m * c + 18 * c + 6 * (c // heads)
    assert sum(p.numel() for p in block.parameters() if p.dim() > 1) == 23 * c**2 + m * c
    if (layers, c) == (8, 128):
        assert round(layers * count(block) / 1e6, 3) == 3.099


def test_ablations_change_the_count_as_their_equations_say():
    full = count(LowRankSpatialAttention(C, heads=H, num_latents=M))
    tied = count(LowRankSpatialAttention(C, heads=H, num_latents=M, tied=True))
    mlp = count(LowRankSpatialAttention(C, heads=H, num_latents=M, latent="mlp"))
    wide = count(LowRankSpatialAttention(C, heads=H, num_latents=2 * M))
    slim = count(LowRankSpatialAttention(C, heads=H, num_latents=M, ratio=1))
    assert full - tied == 2 * C**2 + 2 * (C // H)  # W_q, W_k of the reconstruction and their norms
    assert mlp - full == 2 * C - 2 * (C // H)  # 4 C² + 3 C against 4 C² + C + 2 d
    assert wide - full == M * C
    assert full - slim == 2 * (2 * C**2 + C)


@pytest.mark.parametrize("tied", [False, True])
def test_with_plain_weights_it_is_a_product_of_two_thin_matrices(tied):
    """One head, identity values and a silent latent stack: y = A_r rms(A_c x), A_c [M, N], A_r [N, M]."""
    torch.manual_seed(0)
    layer = LowRankSpatialAttention(C, heads=1, num_latents=M, tied=tied).double()
    x, mesh = points()
    with torch.no_grad():
        layer.query.normal_()
        layer.points.weight[C : 2 * C] = torch.eye(C)  # values
        for linear in (layer.compressed, layer.out):
            linear.weight.copy_(torch.eye(C))
            linear.bias.zero_()
        for part in (layer.latent_mlps[0][-1], layer.latent_mlps[1][-1], layer.latent_mixer.out):
            part.weight.zero_()
            part.bias.zero_()
        layer.latents.weight[:C] = torch.eye(C)
        p, k = rms(layer.query[0]), rms(x @ layer.points.weight[:C].T)
        compress = (p @ k.T / C**0.5).softmax(-1)  # [M, N]
        z = rms(compress @ x)
        q = k if tied else rms(x @ layer.points.weight[2 * C :].T)
        scores = q @ (p if tied else rms(z @ layer.latents.weight[C:].T)).T
        reconstruct = (scores / C**0.5).softmax(-1)  # [N, M]
        out = layer(x, mesh)
    torch.testing.assert_close(out, reconstruct @ z)
    assert torch.linalg.matrix_rank(out) <= M


def test_one_latent_gives_every_node_the_same():
    for layer in (LowRankSpatialAttention(C, heads=H, num_latents=1), FLAREAttention(C, heads=H, num_latents=1)):
        x, mesh = points()
        out = layer.double()(x, mesh)
        torch.testing.assert_close(out, out[:1].expand_as(out))


def test_latent_attention_moves_the_result_and_a_latent_mlp_does_not_mix_latents():
    """The switch is what it says: only attention lets one latent see another."""
    for latent, mixes in (("attention", True), ("mlp", False)):
        layer = LowRankSpatialAttention(C, heads=H, num_latents=M, latent=latent).double()
        z = torch.randn(1, M, C, dtype=torch.float64)
        changed = z.clone()
        changed[:, 0] += 1
        moved = (layer.mix(changed) - layer.mix(z)).abs().amax(-1)[0]
        assert bool((moved[1:] > 1e-8).all()) == mixes


def test_flare_is_one_matrix_of_rank_m_per_head():
    torch.manual_seed(0)
    layer = FLAREAttention(C, heads=H, num_latents=M).double()
    x, mesh = points()
    k, v = (part(x).view(N, H, C // H).transpose(0, 1) for part in (layer.k, layer.v))  # [H, N, d]
    score = layer.query @ k.transpose(1, 2)  # [H, M, N], scale 1
    matrix = score.transpose(1, 2).softmax(-1) @ score.softmax(-1)  # [H, N, N]
    torch.testing.assert_close(layer(x, mesh), layer.out((matrix @ v).transpose(0, 1).flatten(1)))
    assert (torch.linalg.matrix_rank(matrix) <= M).all()
    torch.testing.assert_close(matrix.sum(-1), torch.ones(H, N, dtype=torch.float64))


@pytest.mark.parametrize("qk_norm", [False, True])
def test_full_attention_is_the_naive_softmax(qk_norm):
    torch.manual_seed(0)
    layer = FullAttention(C, heads=H, qk_norm=qk_norm).double()
    x, mesh = points()
    q, k, v = layer.qkv(x).view(N, 3, H, C // H).permute(1, 2, 0, 3)  # [H, N, d]
    if qk_norm:
        q, k = rms(q), rms(k)
    weight = (q @ k.transpose(1, 2) / (C // H) ** 0.5).exp()
    naive = (weight / weight.sum(-1, keepdim=True)) @ v
    torch.testing.assert_close(layer(x, mesh), layer.out(naive.transpose(0, 1).flatten(1)))


def test_slice_weights_of_a_node_sum_to_one_and_padding_has_none():
    from torch_geometric.data import Batch

    layer = PhysicsAttention(C, heads=H, num_slices=M)
    mesh = Mesh.from_data(Batch.from_data_list([random_mesh(n, in_channels=C) for n in (9, 4)]))
    weight = layer.slice_weights(torch.randn(2, H, 9, C // H), mesh)  # [B, H, L, G]
    assert (weight >= 0).all()
    torch.testing.assert_close(weight.sum(-1), mesh.filled[:, None].float().expand(-1, H, -1))


def test_one_slice_is_the_mean_of_the_sample():
    torch.manual_seed(0)
    layer = PhysicsAttention(C, heads=H, num_slices=1).double()
    x, mesh = points()
    f = layer.points(x)[:, C:].view(N, H, C // H)
    mean = f.sum(0) / (N + 1e-5)  # [H, d]
    value = F.linear(mean, layer.qkv.weight[2 * (C // H) :])
    torch.testing.assert_close(layer(x, mesh), layer.out(value.flatten()).expand(N, C))


def test_the_norm_has_first_and_second_derivatives():
    x = torch.randn(3, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(normalize, (x,))
    assert torch.autograd.gradgradcheck(normalize, (x,))
    torch.testing.assert_close(normalize(x), torch.nn.functional.rms_norm(x, (5,), eps=1e-6))
