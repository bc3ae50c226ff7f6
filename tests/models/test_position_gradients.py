"""Predictions differentiate by positions: equal to finite differences, with the neighbours as they are."""

import copy
import inspect

import pytest
import torch

from pyg_neuralops.models import MODELS, build_model
from pyg_neuralops.nn import KNNAttention, limit_memory
from pyg_neuralops.normalize import normalized
from pyg_neuralops.testing import random_grid, random_mesh

PATCHES = [
    {"k": 6},
    {"k": 6, "period": 1.0},
    {"k": 6, "metric": "Upwind(wind)"},
    {"k": 6, "radius": 0.2, "scale": "domain"},
    {"k": 6, "radius": 0.2, "scale": "domain", "period": [0.0, 1.0]},
]


def small(name, **kwargs):
    torch.manual_seed(0)
    heads = {"heads": 2} if "heads" in inspect.signature(MODELS[name]).parameters else {}
    model = build_model(
        name, in_channels=2, out_channels=1, hidden_channels=8, num_layers=2, **heads, **kwargs
    ).double()
    for module in model.modules():
        if isinstance(module, KNNAttention):
            torch.nn.init.uniform_(module.mask, 1, 2)
            if module.direction is not None:
                torch.nn.init.normal_(module.direction)
            if module.metric is not None:
                torch.nn.init.normal_(module.metric.weight)
    return model


def assert_derivative(model, data):
    """Of a random combination of outputs along a random displacement: autograd against central differences."""
    generator = torch.Generator().manual_seed(0)
    way = torch.randn(data.pos.shape, generator=generator, dtype=torch.float64)

    def total(pos):
        sample = copy.copy(data)
        sample.pos = pos
        out = model(sample)
        return (out * torch.linspace(-1, 1, out.numel()).double().view_as(out)).sum()

    pos = data.pos.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(total(pos), pos)
    assert gradient.abs().sum() > 1e-6
    step = 1e-6
    with torch.no_grad():
        numeric = (total(data.pos + step * way) - total(data.pos - step * way)) / (2 * step)
    torch.testing.assert_close((gradient * way).sum(), numeric, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("is_prepared", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_gradients_by_positions(name, is_prepared):
    mesh = random_mesh(20, dtype=torch.float64, wind=True)
    data = random_grid((4, 5), dtype=torch.float64) if name == "fno" else mesh
    model = normalized(small(name, **({"modes": 2} if name == "fno" else {})), [data]).double()
    if name == "graph-unet":  # keep the ReLUs off their kinks
        for parameter_name, parameter in model.model.unet.named_parameters():
            if parameter_name.endswith("bias"):
                torch.nn.init.uniform_(parameter, -0.1, 0.1)
    assert_derivative(model, model.prepare(data) if is_prepared else data)


@pytest.mark.parametrize(
    "settings", [{}, {"direction": True}, {"coords": False}, {"soft_mask": "layer"}, {"soft_mask": "metric"}]
)
@pytest.mark.parametrize("patches", PATCHES)
@pytest.mark.parametrize("max_mib", [None, 0.01])
def test_local_attention_has_gradients_by_positions(settings, patches, max_mib):
    data = random_mesh(40, dtype=torch.float64)
    data.wind = torch.randn(40, 2, generator=torch.Generator().manual_seed(0)).double()
    model = small("la2former-local", patches=patches, **settings)
    limit_memory(model, max_mib=max_mib)
    assert_derivative(model, data)


def test_a_prepared_sample_can_be_used_again_and_again():
    data = random_mesh(20, dtype=torch.float64)
    data.pos.requires_grad_()
    for name in ("mesh-graph-net", "la2former"):
        model = small(name)
        prepared, gradients = model.prepare(data), []
        for _ in range(2):
            gradients += torch.autograd.grad(model(prepared).sum(), data.pos)
        assert torch.equal(*gradients)
        assert not any(value.requires_grad for name, value in prepared.to_dict().items() if name.startswith("patch_r"))
