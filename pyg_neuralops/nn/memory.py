"""Memory of a model as a choice: chunks instead of everything at once, recomputation instead of storage."""

from __future__ import annotations

from torch import nn

from .block import Block
from .knn_attention import KNNAttention


def limit_memory(model: nn.Module, max_mib: float | None = None, checkpoint: bool = False) -> nn.Module:
    """Bound what the layers of ``model`` hold at a time; the results stay the same. Returns the model.

    Args:
        model: any module with blocks or patch attentions in it.
        max_mib: most MiB of intermediate values in a patch attention (its backward recomputes, piece by piece)
            and, without gradients, in a feed-forward; None for no bound.
        checkpoint: whether blocks keep their input only and are computed again in the backward pass.

    Raises:
        ValueError: if max_mib is not positive.
    """
    if max_mib is not None and max_mib <= 0:
        raise ValueError(f"max_mib={max_mib}; it must be positive, or None for no bound")
    for module in model.modules():
        if isinstance(module, (Block, KNNAttention)):
            module.max_mib = max_mib
        if isinstance(module, Block):
            module.checkpoint = checkpoint
    return model
