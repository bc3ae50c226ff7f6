"""How channels are shared out among the heads of an attention."""

from __future__ import annotations

WIDTH, MOST = 16, 8


def check_heads(channels: int, heads: int) -> int:
    """Width of a head; ValueError unless ``heads`` divides ``channels``."""
    if heads < 1 or channels % heads:
        raise ValueError(f"channels={channels} is not a multiple of heads={heads}")
    return channels // heads


def default_heads(channels: int) -> int:
    """Heads of at least 16 channels, at most 8 of them: as wide as those of a paper with 8 heads for 128 channels."""
    most = max(1, min(MOST, channels // WIDTH))
    return next(heads for heads in range(most, 0, -1) if channels % heads == 0)
