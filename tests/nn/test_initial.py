"""How layers start: resetting is constructing, and weights are as large as at a paper's width."""

import math

import pytest
import torch
from torch import nn
from torch_geometric.nn import GATv2Conv, PointTransformerConv, SAGEConv

import pyg_neuralops.nn as layers
from pyg_neuralops.models import build_model
from pyg_neuralops.nn.galerkin_attention import HeadNorm
from pyg_neuralops.nn.initial import Layer, reset_parameters, scaled_std
from pyg_neuralops.testing import assert_resets_parameters

C, H = 16, 4


def knn(**kwargs):
    return layers.KNNAttention(C, heads=H, **kwargs)


LAYERS = {
    "MLP": lambda: layers.MLP(3, C, 2),
    "ResidualMLP": lambda: layers.ResidualMLP(3, 2, hidden_channels=C, num_layers=2),
    "Block": lambda: layers.Block(C, layers.FullAttention(C, heads=H), norm=layers.RMSNorm),
    "EfficientAttention": lambda: layers.EfficientAttention(C, heads=H),
    "FLAREAttention": lambda: layers.FLAREAttention(C, heads=H, num_latents=5),
    "FullAttention": lambda: layers.FullAttention(C, heads=H, qk_norm=True),
    "Fusion": lambda: layers.Fusion(C, [layers.PatchMixer(knn()), layers.EfficientAttention(C, heads=H)]),
    "Fusion, gate": lambda: layers.Fusion(C, [layers.MLP(C, C), layers.MLP(C, C)], mode="gate"),
    "Fusion, scalar": lambda: layers.Fusion(C, [layers.MLP(C, C) for _ in range(3)], mode="scalar"),
    "FourierMixer": lambda: layers.FourierMixer(C, modes=3),
    "GalerkinAttention": lambda: layers.GalerkinAttention(C, heads=H),
    "HeadNorm": lambda: HeadNorm(H, width=4),
    "GridConv": lambda: layers.GridConv(3, C),
    "GridStencil": lambda: layers.GridStencil(C),
    "KNNAttention": lambda: knn(direction=True),
    "KNNAttention, no mask": lambda: knn(soft_mask="none", project=False),
    "KNNAttention, metric": lambda: knn(soft_mask="metric"),
    "KernelIntegral": lambda: layers.KernelIntegral(C, in_channels=2),
    "LearnedMetric": lambda: layers.LearnedMetric(C, pos_dim=3, heads=H),
    "LowRankSpatialAttention": lambda: layers.LowRankSpatialAttention(C, heads=H, num_latents=5),
    "LowRankSpatialAttention, tied": lambda: layers.LowRankSpatialAttention(C, heads=H, tied=True, latent="mlp"),
    "MeshGraphConv": lambda: layers.MeshGraphConv(C),
    "PatchMixer": lambda: layers.PatchMixer(knn()),
    "PhysicsAttention": lambda: layers.PhysicsAttention(C, heads=H, num_slices=5),
    "PhysicsAttention, grid": lambda: layers.PhysicsAttention(C, heads=H, num_slices=5, structured=True),
    "Positions": lambda: layers.Positions("reference-grid", pos_dim=2),
    "RMSNorm": lambda: layers.RMSNorm(C),
    "SpectralConv": lambda: layers.SpectralConv(C, modes=(3, 3)),
    "SpectralMixer": lambda: layers.SpectralMixer(C),
    "TimeEmbedding": lambda: layers.TimeEmbedding(C),
    "UpwindConv": lambda: layers.UpwindConv(C),
    "plain": lambda: nn.Sequential(nn.Linear(3, C), nn.ModuleList([nn.LayerNorm(C), layers.MLP(C, C)])),
}
CONVOLUTIONS = {
    "GraphMixer": lambda: layers.GraphMixer(SAGEConv(C, C)),
    "GraphMixer, attention": lambda: layers.GraphMixer(GATv2Conv(C, 4, H, edge_dim=3), edge_attr=True),
    "MeanConv": lambda: layers.GraphMixer(layers.MeanConv(C), weight=True),
    "PointMixer": lambda: layers.PointMixer(PointTransformerConv(C, C, layers.MLP(2, C, C), layers.MLP(C, C, C))),
}


def test_every_public_layer_is_tested():
    public = {name for name in layers.__all__ if isinstance(getattr(layers, name), type)}
    assert public <= {name.split(",")[0] for name in (*LAYERS, *CONVOLUTIONS)}


@pytest.mark.parametrize("name", LAYERS)
def test_resetting_is_constructing(name):
    assert_resets_parameters(LAYERS[name])


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_are_reset_by_their_own_rule(name):
    """PyG's constructors draw twice, so a seed gives other numbers of the same distribution."""
    mixer = CONVOLUTIONS[name]()
    for parameter in mixer.parameters():
        nn.init.constant_(parameter, torch.nan)
    torch.manual_seed(1)
    mixer.reset_parameters()
    found = [parameter.clone() for parameter in mixer.parameters()]
    torch.manual_seed(1)
    mixer.conv.reset_parameters()
    for ours, theirs in zip(found, mixer.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_property_sees_what_stays_and_what_starts_otherwise():
    class Forgetful(Layer):
        def __init__(self, own=True):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(3))
            self.own = own

        def reset_own(self):
            if self.own:
                nn.init.ones_(self.weight)

    class Unfinished(Layer):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(3))

    with pytest.raises(NotImplementedError, match="Unfinished has parameters of its own and no reset_own"):
        Unfinished().reset_parameters()
    with pytest.raises(AssertionError, match="weight keeps what was there"):
        assert_resets_parameters(lambda: Forgetful(own=False))
    with pytest.raises(AssertionError, match="weight starts otherwise"):
        assert_resets_parameters(Forgetful)

    class Replaces(nn.Linear):
        def reset_parameters(self):
            self.bias = nn.Parameter(torch.zeros(3))
            self.weight = nn.Parameter(torch.zeros(3, 3))

    with pytest.raises(AssertionError, match="is another tensor after a reset"):
        assert_resets_parameters(lambda: Replaces(3, 3))


def test_parameters_that_nobody_resets_are_named():
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(3))

    with pytest.raises(ValueError, match=r"Plain has parameters of its own and no reset_parameters\(\)"):
        layers.Block(C, Plain()).reset_parameters()
    with pytest.raises(ValueError, match="Plain has parameters"):
        reset_parameters(nn.Sequential(Plain()))


@pytest.mark.parametrize(("channels", "expected"), [(32, 0.04), (8, 0.08), (128, 0.02), (256, 0.02)])
def test_narrow_models_keep_the_size_of_the_papers_sums(channels, expected):
    assert scaled_std(0.02, channels, 128) == expected


@pytest.mark.parametrize(
    ("name", "channels", "std"),
    [
        ("transolver", 128, 0.02),
        ("transolver", 256, 0.02),
        ("transolver", 32, 0.04),
        ("flare", 64, 0.02),
        ("flare", 128, 0.02),
        ("flare", 16, 0.04),
    ],
)
def test_linear_weights_have_the_published_spread(name, channels, std):
    """The published one at the published width; 4 standard errors of a sample deviation, std / sqrt(2 n)."""
    torch.manual_seed(0)
    model = build_model(name, in_channels=1, out_channels=1, hidden_channels=channels, num_layers=4)
    skipped = [part.slices for part in model.modules() if isinstance(part, layers.PhysicsAttention)]
    linear = [part for part in model.modules() if isinstance(part, nn.Linear) and part not in skipped]
    assert all((part.bias == 0).all() for part in linear if part.bias is not None)
    weight = torch.cat([part.weight.flatten() for part in linear])
    assert abs(weight.std().item() - std) < 4 * std / math.sqrt(2 * len(weight))
    assert abs(weight.mean().item()) < 4 * std / math.sqrt(len(weight))
    for slices in skipped:
        width = min(slices.weight.shape)
        small = slices.weight if len(slices.weight) == width else slices.weight.T
        torch.testing.assert_close(small @ small.T, torch.eye(width))


@pytest.mark.parametrize(("channels", "std"), [(256, 0.02), (128, 0.02), (32, 0.04)])
def test_queries_of_lrsa_have_the_published_spread(channels, std):
    torch.manual_seed(0)
    query = layers.LowRankSpatialAttention(channels, heads=8, num_latents=256).query
    assert abs(query.std().item() - std) < 4 * std / math.sqrt(2 * query.numel())
