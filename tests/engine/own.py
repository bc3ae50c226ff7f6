"""Users' own modules with all sorts of constructors, importable by name."""

from __future__ import annotations

import torch
from torch import nn

from pyg_neuralops.models import NeuralOperator


class Pointwise(nn.Module):
    """Sizes by name, defaults, nothing kept."""

    def __init__(self, in_channels, out_channels, width=8):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(in_channels, width), nn.Tanh(), nn.Linear(width, out_channels))

    def forward(self, data):
        return self.net(data.x)


class Kept(Pointwise):
    """Keeps its arguments, as an instance must that is handed to ``normalized``."""

    def __init__(self, in_channels, out_channels, width=8):
        super().__init__(in_channels, out_channels, width)
        self.in_channels, self.out_channels, self.width = in_channels, out_channels, width


class Doubled(Kept):
    """Keeps another value than it was given."""

    def __init__(self, in_channels, out_channels, width=8, scale=1.0):
        super().__init__(in_channels, out_channels, width)
        self.scale = scale * 2

    def forward(self, data):
        return self.scale * super().forward(data)


class DoubledOperator(NeuralOperator):
    def __init__(self, in_channels, out_channels, pos_dim=2, scale=1.0):
        super().__init__()
        self.in_channels, self.out_channels, self.pos_dim = in_channels, out_channels, pos_dim
        self.net, self.scale = nn.Linear(in_channels, out_channels), scale * 2

    def core(self, x, mesh):
        return self.scale * self.net(x)


class PositionalOnly(Pointwise):
    def __init__(self, in_channels, out_channels, /, width=8):
        super().__init__(in_channels, out_channels, width)


class AnyKeywords(Pointwise):
    def __init__(self, **kwargs):
        super().__init__(kwargs["in_channels"], kwargs["out_channels"], kwargs.get("width", 8))


class FromConfig(Pointwise):
    """One mapping holds everything; it takes no sizes."""

    def __init__(self, config):
        super().__init__(config["inputs"], config["outputs"])


class Tied(Kept):
    def __init__(self, in_channels, out_channels, width=8):
        super().__init__(in_channels, out_channels, width)
        self.one, self.two = nn.Linear(width, width), nn.Linear(width, width)
        self.two.weight = self.one.weight

    def forward(self, data):
        return self.net[2](self.two(self.one(self.net[:2](data.x))))


class Frequencies(Pointwise):
    """Random features that are neither a parameter nor a buffer."""

    def __init__(self, in_channels, out_channels):
        super().__init__(16, out_channels)
        self.features = torch.randn(in_channels, 16)

    def forward(self, data):
        return self.net((data.x @ self.features).sin())


class Broken(Pointwise):
    def __init__(self, in_channels, out_channels, width=8):
        super().__init__(in_channels, out_channels, width + None)


class Lazy(nn.Module):
    def __init__(self, out_channels):
        super().__init__()
        self.out_channels, self.net = out_channels, nn.LazyLinear(out_channels)

    def forward(self, data):
        return self.net(data.x)


class Stateful(Kept):
    """Extra state that JSON cannot hold."""

    def get_extra_state(self):
        return {1: 2}

    def set_extra_state(self, state):
        pass
