r"""Attention over edges as a few calls of dense attention: exact, 5 to 9 times faster than edge by edge.

In: a graph ``edge_index [2, E]`` whose edges are local (patches, mesh edges), positions, and node features q, k, v
``[N, H, d]``. Out: what :func:`~pyg_neuralops.ops.edge_attention` gives, ``[N, H, c]``.

Once per sample, on the host, by a transform (:meth:`EdgeTiles.flat`):

1. **Cut** (``split.py``): points are ordered by median splits and cut into tiles of at most 32 nodes, compact in the
   graph, none wider than 3 times the smallest reach of its nodes.
2. **Union** (``storage.py``): a tile's keys are the union of its nodes' neighbours, which overlap; who sees whom is
   one bit a pair. All is stored flat, so that a data loader concatenates it.

Once per batch (:meth:`EdgeTiles.from_dict`, ``edge_tiles.py``):

3. **Bucket** (``plan.py``, ``bucket.py``): tiles of like sizes are padded to one shape, so that each bucket is one
   call; the plan trades padding against calls.

In every layer (:func:`tiled_attention`, ``attention.py``):

4. **Geometry** (``geometry.py``): soft mask, of one strength or a metric, and direction become extra columns of queries
   and keys.
5. **Attend** (``rows.py``): rows of q, k, v are taken for a bucket, one ``scaled_dot_product_attention`` with the mask
   runs over them, and the rows go back to their nodes; gradients add up in one buffer. ``chunked.py`` does the same
   piece by piece, in bounded memory.

Numerics: the geometric columns are large terms that cancel, so coordinates are centred on the tile and scaled by its
smallest reach, which bounds the terms by the tile's extent in units of the reach; that is why step 1 limits it. In half
precision they are split into a high and a low part, which keeps about 16 bits.
"""

from .attention import tiled_attention
from .edge_tiles import EdgeTiles

__all__ = ["EdgeTiles", "tiled_attention"]
