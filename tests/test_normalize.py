import pytest
import torch

from pyg_neuralops.models import build_model
from pyg_neuralops.normalize import Normalizer, normalized
from pyg_neuralops.testing import random_mesh


def blocks():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(n, 3, generator=generator) * torch.tensor([1.0, 5.0, 0.0]) + 100 for n in (7, 1, 30)]


def test_streamed_moments_are_the_moments():
    values = torch.cat(blocks()).double()
    normalizer = Normalizer.fit(blocks())
    torch.testing.assert_close(normalizer.mean.double(), values.mean(0), rtol=1e-6, atol=0)
    std = values.std(0, unbiased=False)
    torch.testing.assert_close(normalizer.std[:2].double(), std[:2], rtol=1e-5, atol=0)
    scalar = Normalizer.fit(blocks(), "scalar")
    torch.testing.assert_close(scalar.mean, values.mean().float().expand(3), rtol=1e-6, atol=0)


def test_decode_inverts_encode_and_constant_channels_survive():
    normalizer, value = Normalizer.fit(blocks()), torch.cat(blocks())
    torch.testing.assert_close(normalizer.decode(normalizer.encode(value)), value)
    assert normalizer.std[2] == 1
    assert normalizer.encode(value)[:, 2].abs().max() < 1e-4


def test_none_is_the_identity_and_unknown_modes_are_named():
    value = torch.cat(blocks())
    assert torch.equal(Normalizer.fit(blocks(), "none").encode(value), value)
    with pytest.raises(ValueError, match="choose from"):
        Normalizer.fit(blocks(), "minmax")
    with pytest.raises(ValueError, match="no value"):
        Normalizer.fit([])


@pytest.mark.parametrize("name", ["la2former", "mesh-graph-net"])
def test_the_wrapped_model_is_equivariant_to_units(name):
    """Data in other units (affine per channel) give the same prediction in those units."""
    samples = [random_mesh(30, seed=s) for s in range(3)]
    torch.manual_seed(0)
    model = build_model(name, in_channels=2, out_channels=1, hidden_channels=16, num_layers=1)
    here = normalized(model, samples)(samples[0])
    for s in samples:
        s.x = s.x * torch.tensor([10.0, 0.1]) - 3
        s.y = s.y * 7 + 2
    torch.testing.assert_close(normalized(model, samples)(samples[0]), here * 7 + 2, rtol=1e-4, atol=1e-4)


def test_other_channels_than_trained_on_are_named():
    samples = [random_mesh(20, seed=s) for s in range(2)]
    model = normalized(build_model("graph-sage", in_channels=2, out_channels=1, hidden_channels=16), samples)
    with pytest.raises(ValueError, match=r"5 channels.*trained on 2"):
        model(random_mesh(20, in_channels=5))


def test_positions_have_three_scales():
    """Of a plate 10 long and 1 high: standardised to a square, kept in shape, or raw."""
    generator = torch.Generator().manual_seed(0)
    samples = [random_mesh(n, seed=n) for n in (20, 30)]
    for sample in samples:
        sample.pos = torch.rand(sample.num_nodes, 2, generator=generator) * torch.tensor([10.0, 1.0]) + 3
    pos = torch.cat([sample.pos for sample in samples])
    mean, std = pos.mean(0), pos.std(0, correction=0)
    assert 8 < std[0] / std[1] < 12
    for mode, shift, scale in (
        ("channel", mean, std),
        ("scalar", mean, std.square().mean().sqrt()),
        ("none", torch.zeros(2), torch.ones(2)),
    ):
        torch.manual_seed(0)
        model = build_model("transolver", in_channels=2, out_channels=1, hidden_channels=16, num_layers=1)
        wrapped = normalized(model, samples, pos=mode)
        torch.testing.assert_close(wrapped.pos.encode(pos), (pos - shift) / scale)
        data = samples[0].clone()
        data.x, data.coords = wrapped.x.encode(data.x), (data.pos - shift) / scale
        torch.testing.assert_close(wrapped(samples[0]), wrapped.y.decode(model(data)))
    with pytest.raises(ValueError, match="choose from"):
        normalized(model, samples, pos="unit")
