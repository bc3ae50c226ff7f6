"""Models by name, for the command line and for checkpoints."""

from __future__ import annotations

from typing import Any

from torch import nn

from ..resolve import import_path, resolve
from ..typed import arguments
from .arguments import bound, construct
from .base import NeuralOperator
from .external import SIZES, External
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
from .upwind_gnn import UpwindGNN

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
    "upwind-gnn": UpwindGNN,
    "graph-unet": GraphUNet,
    "point-transformer": PointTransformer,
    "fno": FNO,
}


def build_model(name: str, *, in_channels: int, out_channels: int, pos_dim: int = 2, **rest: Any) -> NeuralOperator:
    """A model by its registry name, or a user's own by "package.module:Class".

    Args:
        name: one of ``MODELS``, or an import path.
        in_channels, out_channels, pos_dim: of the data; a user's class whose constructor has no such argument is
            built without it.
        rest: the model's own keywords, ``hidden_channels=``, ``num_layers=`` ...; its defaults otherwise.

    Raises:
        ValueError: for an unknown name or keyword, or a value of another kind than one of our models takes; says what
            there is, or is needed. An error inside the constructor of a user's
            class is raised as it is.
    """
    cls = resolve(name, MODELS, "model", nn.Module)
    sizes = dict(in_channels=in_channels, out_channels=out_channels, pos_dim=pos_dim)
    what = f"cannot build model {name!r}: "
    given = bound(cls, {**sizes, **rest}, what, () if name in MODELS else SIZES)
    if name in MODELS:
        given = arguments(cls, given, what.removesuffix(": "))
    try:
        model = construct(cls, given)
    except TypeError as error:
        if name not in MODELS:
            raise
        raise ValueError(f"{what}{error}") from error
    return model if isinstance(model, NeuralOperator) else External(model, given, **sizes)


def model_name(model: NeuralOperator) -> str:
    """The name under which :func:`build_model` builds this kind of model.

    Raises:
        ValueError: for a class that no import path leads to, defined inside a function.
    """
    found = type(model.module) if isinstance(model, External) else type(model)
    return next((name for name, cls in MODELS.items() if found is cls), None) or import_path(found)
