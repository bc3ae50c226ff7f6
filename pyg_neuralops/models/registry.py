"""Models by name, for the command line and for checkpoints."""

from __future__ import annotations

import importlib
from typing import Any

from torch import Tensor, nn
from torch_geometric.data import Data

from ..nn.initial import copy_tensors
from .base import NeuralOperator
from .flare import FLARE
from .fno import FNO
from .galerkin_transformer import GalerkinTransformer
from .gno import GNO
from .graph_networks import GATv2, GraphSAGE
from .graph_unet import GraphUNet
from .la2former import LA2Former
from .la2former_variants import LA2FormerGlobal, LA2FormerLocal, LA2FormerLRSA
from .lno import LNO
from .lrsa import LRSA
from .mesh_graph_net import MeshGraphNet
from .point_transformer import PointTransformer
from .transformer import Transformer
from .transolver import Transolver

MODELS: dict[str, type[NeuralOperator]] = {
    "la2former": LA2Former,
    "la2former-lrsa": LA2FormerLRSA,
    "la2former-local": LA2FormerLocal,
    "la2former-global": LA2FormerGlobal,
    "lrsa": LRSA,
    "galerkin-transformer": GalerkinTransformer,
    "transolver": Transolver,
    "flare": FLARE,
    "lno": LNO,
    "transformer": Transformer,
    "gno": GNO,
    "mesh-graph-net": MeshGraphNet,
    "graph-sage": GraphSAGE,
    "gatv2": GATv2,
    "graph-unet": GraphUNet,
    "point-transformer": PointTransformer,
    "fno": FNO,
}


class External(NeuralOperator):
    """A user's ``nn.Module`` with ``forward(data) -> [N, out_channels]`` that is not a :class:`NeuralOperator`.

    It joins with its forward as it is; nothing is prepared for it.
    """

    def __init__(self, path: str, **kwargs: Any):
        super().__init__()
        self.path, self.kwargs = path, kwargs
        self.module = import_class(path)(**kwargs)

    def forward(self, data: Data) -> Tensor:
        return self.module(data)

    def reset_parameters(self) -> None:
        copy_tensors(self, External(self.path, **self.kwargs))

    @property
    def config(self) -> dict[str, Any]:
        return dict(self.kwargs)


def import_class(path: str) -> type[nn.Module]:
    """The model class named "package.module:Class".

    Raises:
        ValueError: if there is no such module or class, or it is no ``nn.Module``.
    """
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"cannot import model {path!r}: {error}") from None
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ValueError(f"{path!r} is not a torch.nn.Module class")
    return found


def build_model(name: str, *, in_channels: int, out_channels: int, pos_dim: int = 2, **rest: Any) -> NeuralOperator:
    """A model by its registry name, or a user's own by "package.module:Class".

    Args:
        name: one of ``MODELS``, or an import path.
        in_channels, out_channels, pos_dim: of the data.
        rest: the model's own keywords, ``hidden_channels=``, ``num_layers=`` ...; its defaults otherwise.

    Raises:
        ValueError: for an unknown name or keyword; says what there is.
    """
    kwargs = dict(in_channels=in_channels, out_channels=out_channels, pos_dim=pos_dim, **rest)
    if ":" in name:
        cls = import_class(name)
        build = cls if issubclass(cls, NeuralOperator) else lambda **kw: External(name, **kw)
    elif name in MODELS:
        build = MODELS[name]
    else:
        raise ValueError(f"unknown model {name!r}; choose from {sorted(MODELS)} or give 'package.module:Class'")
    try:
        return build(**kwargs)
    except TypeError as error:
        raise ValueError(f"cannot build model {name!r}: {error}") from None


def model_name(model: NeuralOperator) -> str:
    """The name under which :func:`build_model` builds this kind of model."""
    if isinstance(model, External):
        return model.path
    for name, cls in MODELS.items():
        if type(model) is cls:
            return name
    return f"{type(model).__module__}:{type(model).__qualname__}"
