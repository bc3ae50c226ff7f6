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

# Padded rows a sample that cost about as much as a call of attention of its own, on the CPU.
WORTH_A_CALL = 64


@dataclass(frozen=True)
class Mesh:
    """Geometry and graphs of a flat batch; made once per forward, read by every mixer.

    Shapes:
        ``pos [N, D]`` raw positions; ``coords [N, D]`` scaled positions, for encoders only; ``batch [N]``
        sample of each node; ``sizes [B]`` nodes per sample; ``slot [N]`` and ``filled [B, L]`` describe the
        padded form and are None when all samples have one size; ``edge_index [2, E]``, ``edge_attr [E, A]``
        mesh edges; ``patch_index [2, P]``, ``reach [N]`` patches and their radius; ``period [D]`` side lengths of
        a periodic box; ``tiles`` the patches as tiles, which is how attention reads them; ``inputs [N, F]`` what the
        model was given, where its mixers read that too.

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
    patch_index: Tensor | None = None
    reach: Tensor | None = None
    period: Tensor | None = None
    tiles: EdgeTiles | None = None
    inputs: Tensor | None = None
    grid_shape: tuple[int, ...] | None = None
    lengths: tuple[int, ...] | None = None

    @classmethod
    def from_data(cls, data: Data) -> Mesh:
        """The mesh of a ``Data`` or ``Batch``. Reads the sample sizes on the host, once."""
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
            patch_index=data.get("patch_index"),
            reach=data.get("patch_reach"),
            # One box for all samples: their patch_key says so.
            period=None if data.get("patch_period") is None else data.patch_period[0],
            tiles=None if data.get("tile_bits") is None else EdgeTiles.from_dict(data.to_dict()).with_bias(pos.dtype),
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


def common_shape(found: Any) -> tuple[int, ...] | None:
    """The grid shape of a sample, or the one that all samples of a batch (a list of tuples) share; else None."""
    if not found:
        return None
    shapes = {tuple(shape) for shape in (found if isinstance(found[0], (tuple, list)) else [found])}
    return shapes.pop() if len(shapes) == 1 else None


# A pytree by hand: ``register_dataclass`` has no place for a field that is not data, and no name for files.
# Lengths are left out: they would tie an exported graph to the sizes of one batch.
STATIC = ("grid_shape", "lengths")


def _flatten(mesh: Mesh) -> tuple[list[Any], tuple[tuple[str, ...], tuple[int, ...] | None]]:
    names = [item.name for item in fields(mesh) if item.name not in STATIC and getattr(mesh, item.name) is not None]
    return [getattr(mesh, name) for name in names], (tuple(names), mesh.grid_shape)


def _flatten_with_keys(mesh: Mesh) -> tuple[list[Any], Any]:
    values, (names, shape) = _flatten(mesh)
    return [(pytree.GetAttrKey(name), value) for name, value in zip(names, values, strict=True)], (names, shape)


def _unflatten(values: Iterable[Any], context: Any) -> Mesh:
    names, shape = context
    return Mesh(**dict(zip(names, values, strict=True)), grid_shape=shape)


def _load_context(context: Any) -> Any:
    names, shape = context
    return tuple(names), None if shape is None else tuple(shape)


pytree.register_pytree_node(
    Mesh,
    _flatten,
    _unflatten,
    serialized_type_name="pyg_neuralops.Mesh",
    to_dumpable_context=lambda context: [list(context[0]), context[1] and list(context[1])],
    from_dumpable_context=_load_context,
    flatten_with_keys_fn=_flatten_with_keys,
)
