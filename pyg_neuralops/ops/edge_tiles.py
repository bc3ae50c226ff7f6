"""``EdgeTiles``: a graph cut into tiles of nodes that share their neighbours."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from .tile_plan import plan_buckets
from .tile_storage import flat_tiles


@dataclass(frozen=True)
class TileBucket:
    """n tiles of one padded shape: T queries attend to the union of their neighbours, U keys.

    Padding repeats a tile's last query, last key and last row of the mask, so that no row of the mask is
    empty; repeated keys are masked out.

    Shapes:
        ``query [n, T]`` and ``key [n, U]`` nodes; ``bits [n, T, U / 8]`` membership, one bit a pair;
        ``bias [n, 1, T, U]`` the same as 0 and -inf, or None: it is then unpacked at each use.
    """

    query: Tensor
    key: Tensor
    bits: Tensor
    bias: Tensor | None = None

    def unpack(self, dtype: torch.dtype) -> Tensor:
        """``[n, 1, T, U]`` the additive mask, 0 for an edge and -inf elsewhere."""
        if self.bias is not None and self.bias.dtype == dtype:
            return self.bias
        n, rows, width = self.bits.shape
        # One table row per byte value: a gather of eight entries is cheaper than eight shifts.
        byte = torch.arange(256, device=self.bits.device)[:, None]
        is_edge = (byte >> torch.arange(8, device=byte.device)) & 1
        table = torch.zeros(256, 8, dtype=dtype, device=byte.device).masked_fill_(is_edge == 0, -torch.inf)
        return table.index_select(0, self.bits.flatten().int()).view(n, 1, rows, width * 8)

    def narrow(self, start: int, length: int) -> TileBucket:
        """Tiles start to start + length of this bucket, without a copy."""
        return pytree.tree_map(lambda x: x.narrow(0, start, length), self)


@dataclass(frozen=True)
class EdgeTiles:
    r"""Tiles of a graph: for each tile its queries, the union of their neighbours, and who sees whom.

    Neighbours of neighbouring nodes overlap, so one tile of T nodes needs far fewer keys than T K, and
    attention over edges becomes a few calls of dense attention with a boolean mask. The graph is kept
    exactly; repeated edges count once; a node without incoming edges belongs to no tile.

    With a sample, tiles are stored flat and without pointers (:meth:`to_dict`), so that a data loader
    concatenates them; ``Data.__inc__`` shifts attributes with "index" in their names by default.

    | name | shape | dtype | concatenated on | incremented by | meaning |
    |---|---|---|---|---|---|
    | ``tile_query_index`` | ``[sum T]`` | int32 | 0 | ``num_nodes`` | nodes of tile 0, of tile 1, ... |
    | ``tile_key_index`` | ``[sum U]`` | int32 | 0 | ``num_nodes`` | neighbours of tile 0, of tile 1, ... |
    | ``tile_num_queries`` | ``[tiles]`` | int32 | 0 | 0 | T of each tile |
    | ``tile_num_keys`` | ``[tiles]`` | int32 | 0 | 0 | U of each tile |
    | ``tile_bits`` | ``[sum T ceil(U/8)]`` | uint8 | 0 | 0 | mask, row by row, low bit first |
    | ``tile_reach`` | ``[N]`` | as ``pos`` | 0 | 0 | longest incoming edge of each node |

    Shapes:
        ``buckets`` padded tiles, each bucket one call of attention; ``back [N]`` the row of each node in
        the concatenated results of the buckets (one past the end for a node without incoming edges);
        ``isolated [n]`` the nodes without incoming edges; ``reach [N]``.
    """

    buckets: tuple[TileBucket, ...]
    back: Tensor
    isolated: Tensor
    reach: Tensor

    @classmethod
    def from_edge_index(
        cls,
        edge_index: Tensor,
        pos: Tensor,
        tile_size: int = 32,
        max_extent: float = 4.0,
        batch: Tensor | None = None,
        period: Tensor | None = None,
    ) -> EdgeTiles:
        """Tiles of any graph ``edge_index [2, E]`` (row 0 the neighbour, row 1 the centre) at ``pos [N, D]``.

        Args:
            tile_size: most queries in a tile.
            max_extent: longest side of a tile, in units of the smallest reach of its nodes; keeps the
                rounding of the geometric terms of :func:`~pyg_neuralops.ops.tiled_attention` small.
            batch: ``[N]`` sample of each node, when ``edge_index`` joins several samples.
            period: ``[D]`` side lengths of a periodic box, 0 on axes without period.
        """
        return cls.from_dict(cls.flat(edge_index, pos, tile_size, max_extent, batch, period))

    @staticmethod
    def flat(
        edge_index: Tensor,
        pos: Tensor,
        tile_size: int = 32,
        max_extent: float = 4.0,
        batch: Tensor | None = None,
        period: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The flat tensors of :meth:`to_dict`, made without assembling them: what a transform stores."""
        if edge_index.dim() != 2 or edge_index.shape[0] != 2:
            raise ValueError(f"edge_index has shape {list(edge_index.shape)}, but [2, E] is needed")
        if pos.dim() != 2:
            raise ValueError(f"pos has shape {list(pos.shape)}, but [N, D] is needed")
        if tile_size < 1 or max_extent <= 0:
            raise ValueError(f"tile_size={tile_size} and max_extent={max_extent} must be positive")
        flat = flat_tiles(edge_index, pos, tile_size, max_extent, batch, period)
        return {name: x.to(pos.device) for name, x in flat.items()}

    @classmethod
    def from_dict(cls, flat: dict[str, Tensor]) -> EdgeTiles:
        """Assemble the flat tensors of one sample or of several concatenated ones.

        Sizes of tiles are read on the host, once; everything else stays on the device.
        """
        query, key, bits = (flat["tile_" + name] for name in ("query_index", "key_index", "bits"))
        reach, device = flat["tile_reach"], query.device
        rows, keys = (flat["tile_" + name].long() for name in ("num_queries", "num_keys"))
        width = (keys + 7) // 8
        row_start, key_start, bit_start = (x.cumsum(0) - x for x in (rows, keys, rows * width))
        back = torch.full((len(reach),), -1, device=device)
        buckets, total = [], 0
        sizes = torch.stack((rows, keys)).cpu().numpy()
        for tiles, t, u in plan_buckets(sizes[0], sizes[1], device.type == "cpu"):
            at = torch.from_numpy(tiles).to(device)
            row = torch.minimum(torch.arange(t, device=device), rows[at, None] - 1)  # [n, T]
            column = torch.minimum(torch.arange(u, device=device), keys[at, None] - 1)  # [n, U]
            byte = torch.arange(u // 8, device=device)
            held = width[at, None, None]
            where = (bit_start[at, None] + row * width[at, None])[..., None] + torch.minimum(byte, held - 1)
            nodes = query[row_start[at, None] + row].long()
            buckets.append(
                TileBucket(
                    query=nodes,
                    key=key[key_start[at, None] + column].long(),
                    bits=bits[where] * (byte < held),  # [n, T, U / 8]
                )
            )
            # Padding copies a query with its mask, so any of its rows may be the one that is read back.
            back[nodes.flatten()] = torch.arange(total, total + nodes.numel(), device=device)
            total += nodes.numel()
        isolated = torch.nonzero(back < 0).flatten()
        return cls(tuple(buckets), back.masked_fill(back < 0, total), isolated, reach)

    def to_dict(self) -> dict[str, Tensor]:
        """The flat tensors of the table above; tiles come in the order of the buckets."""
        flat: dict[str, list[Tensor]] = {}
        for bucket in self.buckets:
            rows, keys = (1 + (x.diff() != 0).sum(1) for x in (bucket.query, bucket.key))
            is_row, is_key, is_byte = (
                torch.arange(size, device=rows.device) < count[:, None]
                for size, count in zip(
                    (*bucket.bits.shape[1:2], bucket.key.shape[1], bucket.bits.shape[2]),
                    (rows, keys, (keys + 7) // 8),
                    strict=True,
                )
            )
            for name, x in {
                "tile_query_index": bucket.query[is_row].int(),
                "tile_key_index": bucket.key[is_key].int(),
                "tile_num_queries": rows.int(),
                "tile_num_keys": keys.int(),
                "tile_bits": bucket.bits[is_row[..., None] & is_byte[:, None]],
            }.items():
                flat.setdefault(name, []).append(x)
        return {name: torch.cat(x) for name, x in flat.items()} | {"tile_reach": self.reach}

    def with_bias(self, dtype: torch.dtype = torch.float32) -> EdgeTiles:
        """Unpack the masks once, to be shared by all layers of a forward pass: 4 U bytes a node."""
        return replace(self, buckets=tuple(replace(b, bias=b.unpack(dtype)) for b in self.buckets))

    def to(self, device: torch.device | str) -> EdgeTiles:
        """The same tiles on another device."""
        return pytree.tree_map(lambda x: x.to(device), self)

    @property
    def num_nodes(self) -> int:
        return self.back.shape[0]


pytree.register_dataclass(TileBucket)
pytree.register_dataclass(EdgeTiles)
