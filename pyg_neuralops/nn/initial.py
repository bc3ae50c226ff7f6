"""How parameters start: one rule for resetting them, and starting values that several published models share."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import nn

SMALL_STD = 0.02


class Layer(nn.Module):
    """Base of the layers here: to reset is to construct again.

    A constructor makes its parts in order and then calls :meth:`reset_own` for what is left, so that
    :meth:`reset_parameters` draws the same numbers in the same order, into the same tensors.
    """

    def reset_parameters(self) -> None:
        """Draw all parameters anew, the parts' first, and forget what buffers have learned.

        Raises:
            ValueError: as :func:`reset_parameters`.
        """
        reset_parts(self)
        self.reset_own()

    def reset_own(self) -> None:
        """Starting values of what is not left to a part's own; nothing by default."""
        if self._parameters:
            raise NotImplementedError(f"{type(self).__name__} has parameters of its own and no reset_own")


def reset_parameters(module: nn.Module) -> None:
    """Reset any module: by its own ``reset_parameters``, which is trusted to reach all of it, or part by part.

    Raises:
        ValueError: for a module that has parameters of its own and no ``reset_parameters``.
    """
    own = getattr(module, "reset_parameters", None)
    if own is not None:
        own()
        return
    if any(True for _ in module.parameters(recurse=False)):
        raise ValueError(f"{type(module).__name__} has parameters of its own and no reset_parameters()")
    reset_parts(module)


def reset_parts(module: nn.Module) -> None:
    """:func:`reset_parameters` of all children, in order."""
    for part in module.children():
        reset_parameters(part)


@torch.no_grad()
def copy_tensors(target: nn.Module, source: nn.Module) -> None:
    """Copy all parameters and buffers of ``source`` into ``target``, an equal one.

    Raises:
        ValueError: if the names or shapes differ, or the two share a tensor, as that would leave it as it is.
    """
    pairs = [dict([*module.named_parameters(), *module.named_buffers()]) for module in (target, source)]
    there, here = ({name: tensor.shape for name, tensor in found.items()} for found in pairs)
    if there != here:
        odd = sorted(name for name in {**there, **here} if there.get(name) != here.get(name))
        raise ValueError(f"{type(target).__name__} is not as its constructor made it; {odd} differ")
    for name, tensor in pairs[0].items():
        if tensor is pairs[1][name]:
            raise ValueError(f"{type(target).__name__} takes {name!r} from outside; it cannot be made anew")
        tensor.copy_(pairs[1][name])


def scaled_std(std: float, channels: int, published: int) -> float:
    """The standard deviation for ``channels`` of weights that a paper draws with ``std`` at its width.

    A sum over C inputs of unit size has the size std sqrt(C), which stays the paper's for narrower models:
    ``std sqrt(published / C)``. Wider ones keep ``std``, as the papers' own do (Transolver's Navier-Stokes).
    """
    return std * math.sqrt(max(1.0, published / channels))


def small_linear(model: nn.Module, channels: int, published: int) -> None:
    """Linear weights from N(0, 0.02²) as published for Transolver and FLARE, :func:`scaled_std`; biases zero."""
    model.apply(partial(_small, std=scaled_std(SMALL_STD, channels, published)))


def _small(module: nn.Module, std: float) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=std)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
