"""Encoder -> blocks -> decoder: whole models, ``model(data) -> [N, out_channels]``."""

from .base import BlockStack, NeuralOperator
from .declared import declared_shapes
from .external import External
from .flare import FLARE
from .fno import FNO
from .galerkin_transformer import GalerkinTransformer
from .gno import GNO
from .graph_networks import GATv2, GraphSAGE
from .graph_unet import GraphUNet
from .la2former import LA2Former
from .la2former_variants import LA2FormerGlobal, LA2FormerLocal, LA2FormerLRSA, with_defaults
from .lno import LNO
from .lrsa import LRSA
from .mesh_graph_net import MeshGraphNet
from .point_transformer import PointTransformer
from .registry import MODELS, build_model, model_name
from .transformer import Transformer
from .transolver import Transolver
from .upwind_gnn import UpwindGNN

__all__ = [
    "FLARE",
    "FNO",
    "GNO",
    "LNO",
    "LRSA",
    "MODELS",
    "BlockStack",
    "External",
    "GATv2",
    "GalerkinTransformer",
    "GraphSAGE",
    "GraphUNet",
    "LA2Former",
    "LA2FormerGlobal",
    "LA2FormerLRSA",
    "LA2FormerLocal",
    "MeshGraphNet",
    "NeuralOperator",
    "PointTransformer",
    "Transformer",
    "Transolver",
    "UpwindGNN",
    "build_model",
    "declared_shapes",
    "model_name",
    "with_defaults",
]
