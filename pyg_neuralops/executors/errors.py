"""Errors that say what failed, and survive the way between two processes."""

from __future__ import annotations

KINDS = (ValueError, FileNotFoundError, OSError, ImportError, FloatingPointError, ArithmeticError, MemoryError)
"""Errors that stay what they are once a piece of work is named in them; others become RuntimeError."""


def portable(error: BaseException, what: str = "") -> Exception:
    """``error`` made anew of a built-in kind, which any process knows, with ``what`` failed in front."""
    kind = next((kind for kind in KINDS if isinstance(error, kind)), RuntimeError)
    said = str(error) if isinstance(error, (*KINDS, RuntimeError)) else f"{type(error).__name__}: {error}"
    return kind(f"{what}: {said}" if what else said)
