"""``EdgeTiles``: a graph cut into tiles of nodes that share their neighbours."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from .bucket import TileBucket
from .plan import plan_buckets
from .storage import flat_tiles

FLAT = ("tile_query_index", "tile_key_index", "tile_num_queries", "tile_num_keys", "tile_bits")
"""The flat tensors that describe tiles, in the order of :meth:`TileBucket.to_ragged`."""


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
        max_extent: float = 3.0,
        batch: Tensor | None = None,
        period: Tensor | None = None,
    ) -> EdgeTiles:
        """Tiles of any graph ``edge_index [2, E]`` (row 0 the neighbour, row 1 the centre) at ``pos [N, D]``.

        Args:
            tile_size: most queries in a tile.
            max_extent: longest side of a tile, in units of the smallest reach of its nodes; 3 keeps the
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
        max_extent: float = 3.0,
        batch: Tensor | None = None,
        period: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The flat tensors of :meth:`to_dict`, made without assembling them: what a transform stores."""
        if edge_index.dim() != 2 or edge_index.shape[0] != 2:
            raise ValueError(f"edge_index has shape {list(edge_index.shape)}, but [2, E] is needed")
        if pos.dim() != 2:
            raise ValueError(f"pos has shape {list(pos.shape)}, but [N, D] is needed")
        if edge_index.numel() and not 0 <= int(edge_index.min()) <= int(edge_index.max()) < len(pos):
            span = f"{int(edge_index.min())} to {int(edge_index.max())}"
            raise ValueError(f"edge_index names nodes {span}, but pos has {len(pos)}")
        if tile_size < 1 or max_extent <= 0:
            raise ValueError(f"tile_size={tile_size} and max_extent={max_extent} must be positive")
        flat = flat_tiles(edge_index, pos, tile_size, max_extent, batch, period)
        return {name: x.to(pos.device) for name, x in flat.items()}

    @classmethod
    def from_dict(cls, flat: dict[str, Tensor]) -> EdgeTiles:
        """Assemble the flat tensors of one sample or of several concatenated ones.

        Sizes of tiles are read on the host, once; everything else stays on the device.
        """
        query, key, rows, keys, bits = (flat[name] for name in FLAT)
        rows, keys = rows.long(), keys.long()
        starts = (x.cumsum(0) - x for x in (rows, keys, rows * ((keys + 7) // 8)))
        sizes = torch.stack((rows, keys, *starts), 1)  # [tiles, 5]
        reach, device = flat["tile_reach"], query.device
        back = torch.full((len(reach),), -1, device=device)
        buckets, total = [], 0
        on_host = sizes[:, :2].cpu().numpy()
        for members, t, u in plan_buckets(on_host[:, 0], on_host[:, 1], device.type == "cpu"):
            tiles = torch.from_numpy(members).to(device)
            bucket = TileBucket.from_ragged(sizes[tiles], t, u, query, key, bits)
            buckets.append(bucket)
            # A padded row is a copy of the last one, so any of them may be the one that is read back.
            nodes = bucket.query.flatten()
            back[nodes] = torch.arange(total, total + len(nodes), device=device)
            total += len(nodes)
        isolated = torch.nonzero(back < 0).flatten()
        return cls(tuple(buckets), back.masked_fill(back < 0, total), isolated, reach)

    def to_dict(self) -> dict[str, Tensor]:
        """The flat tensors of the table above; tiles come in the order of the buckets."""
        empty = self.back.new_zeros(0, dtype=torch.int32)
        parts = [(empty, empty, empty, empty, empty.byte()), *(bucket.to_ragged() for bucket in self.buckets)]
        flat = {name: torch.cat(part) for name, part in zip(FLAT, zip(*parts, strict=True), strict=True)}
        return flat | {"tile_reach": self.reach}

    def with_bias(self, dtype: torch.dtype = torch.float32, log_weight: Tensor | None = None) -> EdgeTiles:
        """Unpack the masks once, to be shared by all layers of a forward pass: 4 U bytes a node.

        Args:
            log_weight: ``[N]``, added to the scores of each node as a neighbour, a constant: a softmax then counts
                nodes by their weight. It stands in the mask, where it costs nothing.
        """
        return replace(self, buckets=tuple(b.with_bias(dtype, log_weight) for b in self.buckets))

    def to(self, device: torch.device | str) -> EdgeTiles:
        """The same tiles on another device."""
        return pytree.tree_map(lambda x: x.to(device), self)

    @property
    def num_nodes(self) -> int:
        return self.back.shape[0]


pytree.register_dataclass(EdgeTiles)
