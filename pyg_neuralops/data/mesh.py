"""``Mesh``: what the layers know of a batch of meshes, as plain tensors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch_geometric.data import Data

from ..ops import EdgeTiles
from .prepared import following

# Padded rows a sample that cost about as much as a call of attention of its own, on the CPU.
WORTH_A_CALL = 64

MEASURES = (False, True, "auto")
"""Whether nodes count by ``data.weight``: not, always, or where samples have it."""
LEAST_WEIGHT = 1e-12
"""Of the mean weight of a sample: what is less, zero included, counts as this. Such a node has no say beside others,
and where there are no others all have the same."""


@dataclass(frozen=True)
class Patches:
    """The patches of a flat batch.

    Shapes:
        ``index [2, P]`` row 0 the neighbour, row 1 the centre; ``reach [N]`` radius of each patch; ``period [D]`` side
        lengths of a periodic box, 0 on axes without; ``tiles`` the same patches as attention reads them fastest, with
        the weights of the mesh in their mask.
    """

    index: Tensor
    reach: Tensor
    period: Tensor | None = None
    tiles: EdgeTiles | None = None


@dataclass(frozen=True)
class Modes:
    """The lowest eigenfunctions of the Laplacian on each mesh of a flat batch.

    Shapes:
        ``values [N, M]``; ``shares [N, M]``, the same times each node's share of the domain, with which they are
        orthonormal; ``eigenvalues [B, M]``, rising, without unit.
    """

    values: Tensor
    shares: Tensor
    eigenvalues: Tensor


@dataclass(frozen=True)
class Mesh:
    """Geometry and graphs of a flat batch; made once per forward, read by every mixer.

    Shapes:
        ``pos [N, D]`` raw positions; ``coords [N, D]`` scaled positions, for encoders only; ``batch [N]``
        sample of each node; ``sizes [B]`` nodes per sample; ``slot [N]`` and ``filled [B, L]`` describe the
        padded form and are None when all samples have one size; ``weight [N]`` nodal weights over their mean in the
        sample, None where nodes count alike, and ``log_weight [N]``, what a softmax over nodes adds to their scores so
        that it estimates integrals (arXiv 2406.06486); ``edge_index [2, E]``, ``edge_attr [E, A]``
        mesh edges; ``patches`` see :class:`Patches`, ``modes`` :class:`Modes`; ``inputs [N, F]`` what the model was
        given, where its mixers read that too.

    Not tensors: ``grid_shape`` nodes per axis where every sample is a structured grid of this shape, else None;
    ``lengths`` the sizes on the host, where going sample by sample is cheaper than padding, else None.
    """

    pos: Tensor
    coords: Tensor
    batch: Tensor
    sizes: Tensor
    slot: Tensor | None = None
    filled: Tensor | None = None
    edge_index: Tensor | None = None
    edge_attr: Tensor | None = None
    patches: Patches | None = None
    modes: Modes | None = None
    inputs: Tensor | None = None
    weight: Tensor | None = None
    log_weight: Tensor | None = None
    grid_shape: tuple[int, ...] | None = None
    lengths: tuple[int, ...] | None = None

    @classmethod
    def from_data(cls, data: Data, measure: bool | str = False) -> Mesh:
        """The mesh of a ``Data`` or ``Batch``. Reads the sample sizes on the host, once.

        Reach and edge attributes carry gradients to ``pos`` where it requires one; weights are constants.

        Args:
            measure: whether nodes count by ``data.weight``, in all that layers sum, average or softmax over nodes: one
                of ``MEASURES``.

        Raises:
            ValueError: for ``measure=True`` without weights.
        """
        data = following(data)
        pos = data.pos
        batch, ptr = data.get("batch"), data.get("ptr")
        slot = filled = lengths = None
        if batch is None:
            batch = pos.new_zeros(pos.shape[0], dtype=torch.long)
            sizes = torch.tensor([pos.shape[0]], device=pos.device)
        else:
            sizes = ptr.diff() if ptr is not None else torch.bincount(batch)
            counts = sizes.tolist()
            longest = max(counts)
            if min(counts) != longest:
                start = sizes.cumsum(0) - sizes
                slot = torch.arange(len(pos), device=pos.device) + (
                    torch.arange(len(counts), device=pos.device) * longest - start
                ).index_select(0, batch)
                filled = torch.arange(longest, device=pos.device) < sizes[:, None]
                wasted = longest * len(counts) - len(pos)
                if pos.device.type == "cpu" and wasted > WORTH_A_CALL * len(counts):
                    lengths = tuple(counts)
        weight = data.get("weight") if measure else None
        if measure is True and weight is None:
            raise ValueError(
                "the data have no weight; measure=True counts nodes by it (transforms.NodeWeights makes it from cells "
                "or from the density of points; measure='auto' does without)"
            )
        if weight is not None:
            mean = weight.new_zeros(len(sizes)).index_add(0, batch, weight) / sizes
            mean = mean.clamp_min(torch.finfo(mean.dtype).tiny)  # where all weigh nothing they weigh alike
            weight = (weight / mean.index_select(0, batch)).clamp_min(LEAST_WEIGHT).detach()
        log_weight = None if weight is None else weight.log()
        coords = data.get("coords")
        return cls(
            pos=pos,
            coords=pos if coords is None else coords,
            batch=batch,
            sizes=sizes,
            slot=slot,
            filled=filled,
            edge_index=data.get("edge_index"),
            edge_attr=data.get("edge_attr"),
            patches=None if data.get("patch_index") is None else _patches(data, log_weight),
            modes=_modes(data),
            weight=weight,
            log_weight=log_weight,
            grid_shape=common_shape(data.get("grid_shape")),
            lengths=lengths,
        )

    def dense(self, x: Tensor) -> Tensor:
        """``[N, ...] -> [B, L, ...]``, L the largest sample: a view for equal sizes, else zero-padded."""
        if self.filled is None or self.slot is None:
            return x.view(self.sizes.shape[0], -1, *x.shape[1:])
        rows = x.new_zeros(self.filled.numel(), *x.shape[1:]).index_copy(0, self.slot, x)
        return rows.view(*self.filled.shape, *x.shape[1:])

    def flat(self, x: Tensor) -> Tensor:
        """``[B, L, ...] -> [N, ...]``, the inverse of :meth:`dense`."""
        x = x.flatten(0, 1)
        return x if self.slot is None else x.index_select(0, self.slot)


def _patches(data: Data, log_weight: Tensor | None) -> Patches:
    tiles = None
    if data.get("tile_bits") is not None:
        tiles = EdgeTiles.from_dict(data.to_dict()).with_bias(data.pos.dtype, log_weight)
    # One box for all samples: their patch_key says so.
    period = None if data.get("patch_period") is None else data.patch_period[0]
    return Patches(data.patch_index, data.patch_reach, period, tiles)


def _modes(data: Data) -> Modes | None:
    if data.get("mode_values") is None:
        return None
    return Modes(data.mode_values, data.mode_values * data.mode_weight[:, None], data.eigenvalues)


def common_shape(found: Any) -> tuple[int, ...] | None:
    """The grid shape of a sample, or the one that all samples of a batch (a list of tuples) share; else None."""
    if not found:
        return None
    shapes = {tuple(shape) for shape in (found if isinstance(found[0], (tuple, list)) else [found])}
    return shapes.pop() if len(shapes) == 1 else None


# Pytrees by hand: ``register_dataclass`` has no place for a field that is not data, and no name for files; and what is
# None must be no leaf, for export.
def _register(cls: type, static: tuple[str, ...] = (), dropped: tuple[str, ...] = ()) -> None:
    """Fields are data, but for ``static`` ones (tuples), which are part of the structure, and ``dropped`` ones."""
    data = [item.name for item in fields(cls) if item.name not in static + dropped]

    def flatten(value: Any) -> tuple[list[Any], Any]:
        names = tuple(name for name in data if getattr(value, name) is not None)
        return [getattr(value, name) for name in names], (names, tuple(getattr(value, name) for name in static))

    def flatten_with_keys(value: Any) -> tuple[list[Any], Any]:
        values, context = flatten(value)
        return [(pytree.GetAttrKey(name), v) for name, v in zip(context[0], values, strict=True)], context

    def unflatten(values: Iterable[Any], context: Any) -> Any:
        return cls(**dict(zip(context[0], values, strict=True)), **dict(zip(static, context[1], strict=True)))

    def load(context: Any) -> Any:
        return tuple(context[0]), tuple(None if item is None else tuple(item) for item in context[1])

    pytree.register_pytree_node(
        cls,
        flatten,
        unflatten,
        serialized_type_name=f"pyg_neuralops.{cls.__name__}",
        to_dumpable_context=lambda context: [list(context[0]), [item and list(item) for item in context[1]]],
        from_dumpable_context=load,
        flatten_with_keys_fn=flatten_with_keys,
    )


_register(Patches)
_register(Modes)
# Lengths would tie an exported graph to the sizes of one batch.
_register(Mesh, static=("grid_shape",), dropped=("lengths",))
