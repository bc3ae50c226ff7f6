"""How channels are shared out among the heads of an attention."""

from __future__ import annotations

WIDTH, MOST = 16, 8
UNIT = 8  # fused attention works on multiples of it


def check_heads(channels: int, heads: int) -> int:
    """Width of a head; ValueError unless ``heads`` divides ``channels``."""
    if heads < 1 or channels % heads:
        raise ValueError(f"channels={channels} is not a multiple of heads={heads}")
    return channels // heads


def default_heads(channels: int) -> int:
    """Heads of at least 16 channels, at most 8 of them: as wide as those of a paper with 8 heads for 128 channels."""
    most = max(1, min(MOST, channels // WIDTH))
    return next(heads for heads in range(most, 0, -1) if channels % heads == 0)


def width_of_keys(width: int, plain: int, columns: int) -> int:
    """Features of queries and keys in a head of ``width`` that share it with the columns of the geometry.

    The head's width, less the columns where a head of 16 or more has no room for them beside its own. With a metric,
    whose ``columns`` are more than the ``plain`` ones of distance and direction, as many as make the head no wider than
    with those, unless fewer than half would be left.
    """
    has_room = _padded(width + plain) == _padded(width)
    own = width if has_room or width < WIDTH else width - plain
    left = _padded(max(own + plain, width)) - columns
    return min(own, left) if 2 * left >= own else own


def _padded(width: int) -> int:
    return -(-width // UNIT) * UNIT
