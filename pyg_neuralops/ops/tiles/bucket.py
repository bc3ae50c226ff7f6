"""``TileBucket``: tiles of one padded shape, attended to in one call."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.utils import _pytree as pytree


@dataclass(frozen=True)
class TileBucket:
    """n tiles of one padded shape: T queries attend to the union of their neighbours, U keys.

    Padding repeats a tile's last query with its row of the mask, so that no row is empty, and its last key,
    masked out.

    Shapes:
        ``query [n, T]`` and ``key [n, U]`` nodes; ``bits [n, T, U / 8]`` membership, one bit a pair;
        ``bias [n, 1, T, U]`` what is added to the scores, -inf where there is no edge and else 0 or the log of the
        key's weight, or None: the bits are then unpacked at each use.
    """

    query: Tensor
    key: Tensor
    bits: Tensor
    bias: Tensor | None = None

    @classmethod
    def from_ragged(cls, sizes: Tensor, t: int, u: int, query: Tensor, key: Tensor, bits: Tensor) -> TileBucket:
        """Tiles padded to t queries and u keys, out of the flat form.

        Shapes:
            ``sizes [n, 5]`` queries and keys of each tile, and where its queries, keys and bits start in
            ``query [sum T]``, ``key [sum U]`` and ``bits [sum T ceil(U / 8)]``.
        """
        rows, keys, row_start, key_start, bit_start = sizes[:, None].unbind(-1)  # [n, 1] each
        width = (keys + 7) // 8
        row = torch.minimum(torch.arange(t, device=sizes.device), rows - 1)  # [n, T]
        column = torch.minimum(torch.arange(u, device=sizes.device), keys - 1)  # [n, U]
        byte = torch.arange(u // 8, device=sizes.device).expand(len(sizes), 1, -1)
        where = (bit_start + row * width)[..., None] + torch.minimum(byte, width[..., None] - 1)
        return cls(
            query=query[row_start + row].long(),
            key=key[key_start + column].long(),
            bits=bits[where] * (byte < width[..., None]),  # [n, T, U / 8]
        )

    def to_ragged(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """``query, key, rows, keys, bits`` without the padding."""
        rows, keys = (1 + (x.diff() != 0).sum(1) for x in (self.query, self.key))
        is_row, is_key, is_byte = (
            torch.arange(size, device=rows.device) < count[:, None]
            for size, count in (
                (self.query.shape[1], rows),
                (self.key.shape[1], keys),
                (self.bits.shape[2], (keys + 7) // 8),
            )
        )
        bits = self.bits[is_row[..., None] & is_byte[:, None]]
        return self.query[is_row].int(), self.key[is_key].int(), rows.int(), keys.int(), bits

    def unpack(self, dtype: torch.dtype) -> Tensor:
        """``[n, 1, T, U]`` the additive mask: ``bias`` where it is there, else 0 for an edge and -inf elsewhere."""
        if self.bias is not None:
            return self.bias.to(dtype)
        n, rows, width = self.bits.shape
        # One table row per byte value: a gather of eight entries is cheaper than eight shifts.
        byte = torch.arange(256, device=self.bits.device)[:, None]
        is_edge = (byte >> torch.arange(8, device=byte.device)) & 1
        table = torch.zeros(256, 8, dtype=dtype, device=byte.device).masked_fill_(is_edge == 0, -torch.inf)
        return table.index_select(0, self.bits.flatten().int()).view(n, 1, rows, width * 8)

    def with_bias(self, dtype: torch.dtype, log_weight: Tensor | None = None) -> TileBucket:
        """This bucket with a ``bias`` made of its bits and, where given, ``log_weight [N]`` of its keys."""
        bias = replace(self, bias=None).unpack(dtype)
        if log_weight is not None:
            of_key = log_weight.index_select(0, self.key.flatten()).view(self.key.shape)
            # What all keys of a tile share cancels in the softmax; without it narrow formats keep the differences.
            bias = bias + (of_key - of_key.mean(1, keepdim=True)).to(dtype)[:, None, None]
        return replace(self, bias=bias)

    def narrow(self, start: int, length: int) -> TileBucket:
        """Tiles start to start + length of this bucket, without a copy."""
        return pytree.tree_map(lambda x: x.narrow(0, start, length), self)


pytree.register_dataclass(TileBucket)
