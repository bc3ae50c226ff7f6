import math

import pytest
import torch

from pyg_neuralops.nn import TimeEmbedding


def test_is_the_stated_formula():
    torch.manual_seed(0)
    layer = TimeEmbedding(6).double()
    layer.reset_parameters()
    w1, b1, w2, b2 = layer.mlp.parameters()
    time = torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64)
    for t, found in zip(time.tolist(), layer(time), strict=True):
        angles = [t * 10_000 ** (-k / 3) for k in range(3)]
        row = torch.tensor([*map(math.cos, angles), *map(math.sin, angles)], dtype=torch.float64)
        hidden = w1 @ row + b1
        torch.testing.assert_close(found, w2 @ (hidden * hidden.sigmoid()) + b2, rtol=1e-6, atol=1e-6)


def test_has_two_layers_of_the_models_width_and_gradients():
    layer = TimeEmbedding(8).double()
    assert sum(p.numel() for p in layer.parameters()) == 2 * (8 * 8 + 8)
    time = torch.rand(3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (time,))


@pytest.mark.parametrize("channels", [0, 7])
def test_odd_widths_are_named(channels):
    with pytest.raises(ValueError, match=f"channels={channels}"):
        TimeEmbedding(channels)
