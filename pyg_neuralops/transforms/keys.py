"""Records of how a sample was prepared, so that a model refuses one prepared otherwise."""

from __future__ import annotations


def check_key(what: str, found: str | list[str], needed: str) -> None:
    """Raise unless every recorded key is the one needed.

    Args:
        what: what was prepared, for the message. found: the key of a sample, or those of a batch. needed: the key.

    Raises:
        ValueError: naming both.
    """
    for key in {found} if isinstance(found, str) else set(found):
        if key != needed:
            raise ValueError(f"the data were prepared with {what} {key}; this model needs {needed}")
