"""Tiles hold exactly the edges of their graph, whatever the graph and the points."""

import numpy as np
import pytest
import torch
from scipy.spatial import Delaunay, cKDTree
from torch.utils import _pytree as pytree
from torch_geometric.data import Batch, Data
from torch_geometric.utils import coalesce

from pyg_neuralops.ops import EdgeTiles


def knn(points, k):
    neighbour = cKDTree(points).query(points, k=k)[1]
    target = np.repeat(np.arange(len(points)), k)
    return torch.from_numpy(points), torch.from_numpy(np.stack((neighbour.ravel(), target)))


def uniform(dim, n=700, k=16):
    return knn(np.random.default_rng(dim).random((n, dim)), k)


def clusters():
    rng = np.random.default_rng(0)
    tight = [rng.random(2) + size * rng.random((60, 2)) for size in (1e-3, 1e-4) for _ in range(4)]
    return knn(rng.permutation(np.concatenate((rng.random((300, 2)), *tight))), 20)


def boundary_layer():
    """A structured grid about a flat plate: spacing 1e-4 at the wall, about 1 far away."""
    height = 1e-4 * np.expm1(0.25 * np.arange(40)) / np.expm1(0.25)
    return knn(np.stack(np.meshgrid(np.linspace(0, 4, 25), height), -1).reshape(-1, 2), 20)


def triangulation():
    points = np.random.default_rng(0).random((600, 2)) ** np.array([1.0, 3.0])
    corners = Delaunay(points).simplices
    pairs = np.concatenate([corners[:, [i, j]] for i in range(3) for j in range(3)])
    return torch.from_numpy(points), torch.from_numpy(np.unique(pairs, axis=0).T.astype(np.int64))


def hub():
    """One node that hears all others, each of which hears itself and its successor."""
    n = 500
    node = torch.arange(n)
    edges = torch.stack((torch.cat((node, node, (node + 1) % n)), torch.cat((node, torch.zeros_like(node), node))))
    return torch.rand(n, 2, dtype=torch.float64), edges


def random_graph():
    return torch.rand(300, 3, dtype=torch.float64), torch.randint(300, (2, 3000))


def two_sheets():
    """Two copies of one graph at the same places, without an edge between them."""
    pos, edges = uniform(2, 300)
    return torch.cat((pos, pos)), torch.cat((edges, edges + len(pos)), 1)


def with_isolated_and_repeated():
    pos, edges = uniform(2)
    edges = edges[:, edges[1] % 7 != 3]
    return pos, torch.cat((edges, edges[:, ::3], edges[:, ::3]), 1)


GRAPHS = {
    "1D": lambda: uniform(1),
    "2D": lambda: uniform(2),
    "3D": lambda: uniform(3),
    "clusters": clusters,
    "boundary layer": boundary_layer,
    "triangulation": triangulation,
    "hub": hub,
    "random graph": random_graph,
    "two sheets": two_sheets,
    "isolated and repeated": with_isolated_and_repeated,
    "coincident points": lambda: (torch.zeros(100, 2), torch.randint(100, (2, 900))),
    "one point": lambda: (torch.zeros(1, 3), torch.zeros(2, 1, dtype=torch.long)),
    "no edges": lambda: (torch.rand(9, 2), torch.zeros(2, 0, dtype=torch.long)),
}


def edges_of(tiles):
    """The edges that the mask of the tiles lets through, ordered by target, then source."""
    found = [torch.zeros(2, 0, dtype=torch.long)]
    start = 0
    for bucket in tiles.buckets:
        tile, row, column = torch.nonzero(bucket.unpack(torch.float32)[:, 0] == 0).T
        is_read = tiles.back[bucket.query[tile, row]] == start + tile * bucket.query.shape[1] + row
        pair = torch.stack((bucket.key[tile, column], bucket.query[tile, row]))
        found.append(pair[:, is_read])
        start += bucket.query.numel()
    edges = torch.cat(found, 1)
    return edges[:, (edges[1] * len(tiles.back) + edges[0]).argsort()]


def distinct(edges, n):
    return coalesce(edges, num_nodes=n, sort_by_row=False)


@pytest.mark.parametrize("tile_size", [8, 32, 50])
@pytest.mark.parametrize("name", GRAPHS)
def test_tiles_hold_the_edges_once(name, tile_size):
    pos, edges = GRAPHS[name]()
    tiles = EdgeTiles.from_edge_index(edges, pos, tile_size=tile_size)
    assert torch.equal(edges_of(tiles), distinct(edges, len(pos)))
    alone = torch.bincount(edges[1], minlength=len(pos)) == 0
    assert torch.equal(tiles.isolated, torch.nonzero(alone).flatten())


@pytest.mark.parametrize("name", ["2D", "clusters", "triangulation", "isolated and repeated", "one point", "no edges"])
def test_flat_form_round_trip(name):
    pos, edges = GRAPHS[name]()
    tiles = EdgeTiles.from_edge_index(edges, pos)
    again = EdgeTiles.from_dict(tiles.to_dict())
    assert torch.equal(edges_of(again), edges_of(tiles))
    assert torch.equal(again.reach, tiles.reach)


@pytest.mark.parametrize("name", ["2D", "clusters", "boundary layer", "triangulation", "two sheets"])
def test_tiles_are_small_in_units_of_their_reach(name):
    pos, edges = GRAPHS[name]()
    flat = EdgeTiles.flat(edges, pos, max_extent=4.0)
    tile = torch.repeat_interleave(torch.arange(len(flat["tile_num_queries"])), flat["tile_num_queries"])
    node = flat["tile_query_index"].long()
    low, high, reach = (
        torch.zeros(len(flat["tile_num_queries"]), x.shape[1], dtype=x.dtype).scatter_reduce_(
            0, tile[:, None].expand(-1, x.shape[1]), x, how, include_self=False
        )
        for x, how in ((pos[node], "amin"), (pos[node], "amax"), (flat["tile_reach"][node, None], "amin"))
    )
    assert ((high - low).amax(1) <= 4 * reach[:, 0] * (1 + 1e-12)).all()


@pytest.mark.parametrize("name", ["2D", "3D", "clusters", "boundary layer", "hub", "random graph"])
def test_neither_keys_nor_padding_blow_up(name):
    pos, edges = GRAPHS[name]()
    flat = EdgeTiles.flat(edges, pos)
    pairs = (flat["tile_num_queries"] * flat["tile_num_keys"]).sum()
    assert pairs <= 12 * distinct(edges, len(pos)).shape[1]
    padded = sum(bucket.query.numel() * bucket.key.shape[1] for bucket in EdgeTiles.from_dict(flat).buckets)
    assert padded <= 2 * pairs + 2**15  # few tiles are worth no call of their own


def test_tiles_of_mesh_edges_are_compact_in_the_graph():
    """Cells a thousand times longer than high: eight by four nodes share few neighbours, a column many."""
    node = torch.arange(32 * 64).view(32, 64)
    pairs = torch.cat(
        [torch.stack((a.flatten(), b.flatten())) for a, b in ((node[1:], node[:-1]), (node[:, 1:], node[:, :-1]))], 1
    )
    edges = torch.cat((pairs, pairs.flip(0), node.flatten().expand(2, -1)), 1)
    pos = torch.stack(torch.meshgrid(torch.arange(32.0), 1e-3 * torch.arange(64.0), indexing="ij"), -1).flatten(0, 1)
    flat = EdgeTiles.flat(edges, pos, max_extent=1e4)
    assert flat["tile_num_keys"].max() <= 32 + 2 * (8 + 4)


def test_collated_samples_give_the_tiles_of_the_batch():
    """Plain ``Data`` shifts what must be shifted; samples of different sizes, one with isolated nodes."""
    names = ("2D", "isolated and repeated", "triangulation", "clusters")
    samples = []
    for name in names:
        pos, edges = GRAPHS[name]()
        samples.append(Data(pos=pos, edge_index=edges, **EdgeTiles.flat(edges, pos)))
    batch = Batch.from_data_list(samples)
    tiles = EdgeTiles.from_dict(batch.to_dict())
    assert torch.equal(edges_of(tiles), distinct(batch.edge_index, batch.num_nodes))
    assert torch.equal(edges_of(EdgeTiles.from_dict(batch[1].to_dict())), distinct(samples[1].edge_index, 700))


def test_tiles_of_a_batched_graph_do_not_mix_samples():
    (pos, edges), n = uniform(2, 300), 300
    batch = torch.arange(2).repeat_interleave(n)
    edges = torch.cat((edges, edges + n), 1)
    flat = EdgeTiles.flat(edges, torch.cat((pos, pos)), batch=batch)
    sample = batch[flat["tile_query_index"].long()]
    for part in sample.split(flat["tile_num_queries"].tolist()):
        assert part.unique().numel() == 1


def test_tiles_are_a_pytree_of_tensors():
    pos, edges = uniform(2)
    tiles = EdgeTiles.from_edge_index(edges, pos).with_bias()
    leaves, spec = pytree.tree_flatten(tiles)
    assert all(isinstance(leaf, torch.Tensor) for leaf in leaves)
    assert torch.equal(edges_of(pytree.tree_unflatten(leaves, spec)), edges_of(tiles))
    assert tiles.to("meta").back.device.type == "meta"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"edge_index": torch.zeros(3, 4, dtype=torch.long)}, r"\[3, 4\]"),
        ({"pos": torch.zeros(4)}, r"\[4\]"),
        ({"edge_index": torch.full((2, 1), 4)}, "nodes 4 to 4, but pos has 4"),
        ({"tile_size": 0}, "tile_size=0"),
        ({"max_extent": -1.0}, "max_extent=-1.0"),
    ],
)
def test_wrong_arguments(change, message):
    arguments = {"edge_index": torch.zeros(2, 1, dtype=torch.long), "pos": torch.zeros(4, 2)} | change
    with pytest.raises(ValueError, match=message):
        EdgeTiles.from_edge_index(**arguments)
