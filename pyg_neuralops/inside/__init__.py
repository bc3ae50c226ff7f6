"""What happens inside a model: attention, its window and metric, gates, influence; all as plain tensors."""

from .edge_model import EdgeModel
from .influence import gate_means, influence
from .jacobian import effective_rank, jacobian, operator_spectrum
from .mass import attention_mass, connecting_k, mass_of
from .metric import learned_metrics
from .patch_attention import PatchAttention, attention_maps, patch_attention
from .window import Window, effective_window

__all__ = [
    "EdgeModel",
    "PatchAttention",
    "Window",
    "attention_maps",
    "attention_mass",
    "connecting_k",
    "effective_rank",
    "effective_window",
    "gate_means",
    "influence",
    "jacobian",
    "learned_metrics",
    "mass_of",
    "operator_spectrum",
    "patch_attention",
]
