"""``Mesh``: what the layers know of a batch of meshes, as plain tensors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch_geometric.data import Data


@dataclass(frozen=True)
class Mesh:
    """Geometry and graphs of a flat batch; made once per forward, read by every mixer.

    Shapes:
        ``pos [N, D]`` raw positions; ``coords [N, D]`` scaled positions, for encoders only; ``batch [N]``
        sample of each node; ``sizes [B]`` nodes per sample; ``slot [N]`` and ``filled [B, L]`` describe the
        padded form and are None when all samples have one size; ``edge_index [2, E]``, ``edge_attr [E, A]``
        mesh edges; ``patch_index [2, P]``, ``reach [N]`` patches and their radius; ``period [D]`` side lengths of
        a periodic box.
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

    @classmethod
    def from_data(cls, data: Data) -> Mesh:
        """The mesh of a ``Data`` or ``Batch``. Reads the sample sizes on the host, once."""
        pos = data.pos
        batch, ptr = data.get("batch"), data.get("ptr")
        slot = filled = None
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


pytree.register_dataclass(Mesh)
