"""Attention on tiles is attention on edges: values, gradients, limits."""

import numpy as np
import pytest
import torch
from scipy.spatial import Delaunay, cKDTree
from torch_geometric.data import Batch, Data

from pyg_neuralops.ops import EdgeTiles, edge_attention, incoming_reach, tiled_attention
from pyg_neuralops.ops.symmetric import full
from pyg_neuralops.ops.tiles.geometry import Geometry

HEADS, WIDTH = 3, 4


def knn_edges(points, k):
    neighbour = cKDTree(points).query(points, k=k)[1]
    target = np.repeat(np.arange(len(points)), k)
    return torch.from_numpy(np.stack((neighbour.ravel(), target)))


def uniform(dim, n=500, k=14):
    points = np.random.default_rng(dim).random((n, dim))
    return torch.from_numpy(points), knn_edges(points, k)


def clusters():
    rng = np.random.default_rng(0)
    tight = [rng.random(2) + size * rng.random((60, 2)) for size in (1e-3, 1e-4) for _ in range(3)]
    points = rng.permutation(np.concatenate((rng.random((200, 2)), *tight)))
    return torch.from_numpy(points), knn_edges(points, 16)


def c_grid(around=221, across=51):
    """A C-shaped grid about a thin ellipse with its wake: spacing 1e-4 at the wall, several far away."""
    wake = (around - 121) // 2
    angle = np.linspace(0, 2 * np.pi, 121)
    downstream = 1 + 40 * np.linspace(0, 1, wake + 1)[1:] ** 2
    inner = np.stack(((1 + np.cos(angle)) / 2, -0.06 * np.sin(angle)), 1)
    outer = np.stack((1 - 40 * np.sin(angle / 2), -40 * np.cos(angle / 2)), 1)
    for sign, where in ((-1.0, 0), (1.0, None)):
        tail = downstream[::-1] if where == 0 else downstream
        inner = np.insert(inner, len(inner) if where is None else 0, np.stack((tail, 0 * tail), 1), axis=0)
        outer = np.insert(outer, len(outer) if where is None else 0, np.stack((tail, 0 * tail + 40 * sign), 1), axis=0)
    share = np.expm1(0.2 * np.arange(across)) / np.expm1(0.2 * (across - 1))  # first step 9e-6 of 40
    points = inner[:, None] + share[None, :, None] * (outer - inner)[:, None]
    points = np.unique(points.reshape(-1, 2).astype(np.float32), axis=0).astype(np.float64)
    return torch.from_numpy(points), knn_edges(points, 16)


def triangulation():
    points = np.random.default_rng(0).random((600, 2)) ** np.array([1.0, 3.0])
    corners = Delaunay(points).simplices
    pairs = np.concatenate([corners[:, [i, j]] for i in range(3) for j in range(3)])
    return torch.from_numpy(points), torch.from_numpy(np.unique(pairs, axis=0).T.astype(np.int64))


SETS = {
    "1D": lambda: uniform(1),
    "2D": lambda: uniform(2),
    "3D": lambda: uniform(3),
    "clusters": clusters,
    "C-grid": lambda: c_grid(141, 21),
    "triangulation": triangulation,
}
MODES = ("plain", "soft", "direction", "soft and direction", "metric", "metric and direction")
BOTH = ("soft and direction", "metric and direction")


def inputs(pos, mode, g=1.0, dtype=torch.float64, value_width=WIDTH):
    """Random q, k, v and the geometric terms of a mode, as leaves of the given format."""
    generator = torch.Generator().manual_seed(0)

    def leaf(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()

    n, dim = pos.shape
    tensors = {"q": leaf(n, HEADS, WIDTH), "k": leaf(n, HEADS, WIDTH), "v": leaf(n, HEADS, value_width)}
    if "soft" in mode:
        wide = torch.promote_types(dtype, torch.float32)
        strength = g * torch.linspace(0.5, 1, HEADS, dtype=wide)
        tensors["strength"] = strength.requires_grad_()
    if "direction" in mode:
        tensors["direction"] = leaf(n, HEADS, dim)
    if "metric" in mode:
        factor = torch.randn(n, HEADS, dim, dim, generator=generator, dtype=torch.float64) / dim**0.5
        rows, columns = np.tril_indices(dim)
        tensors["metric"] = (g * factor @ factor.mT)[..., rows, columns].to(dtype).requires_grad_()
    return tensors


def value_and_gradients(function, tensors, graph, pos, **options):
    geometry = {} if len(tensors) == 3 else {"pos": pos.to(torch.promote_types(tensors["q"].dtype, torch.float32))}
    rest = {name: x for name, x in tensors.items() if name not in "qkv"}
    out = function(tensors["q"], tensors["k"], tensors["v"], graph, **geometry, **rest, **options)
    generator = torch.Generator().manual_seed(1)
    at_out = torch.randn(out.shape, generator=generator, dtype=torch.float64).to(out.dtype)
    gradients = torch.autograd.grad(out, list(tensors.values()), at_out)
    return dict(zip(("out", *tensors), (out.detach(), *gradients), strict=True))


def errors(found, expected):
    """Relative to the norm of what is expected, or absolute where that is zero."""
    return {
        name: ((x.double() - found[name].double()).norm() / (x.double().norm() or 1.0)).item()
        for name, x in expected.items()
    }


def assert_same(found, expected, tolerance=1e-12):
    for name, error in errors(found, expected).items():
        assert error <= tolerance, f"{name}: {error:.1e}"


def test_edge_attention_is_masked_dense_attention():
    pos, edges = uniform(2, 80)
    edges = edges[:, edges[1] != 5]
    t = inputs(pos, "soft and direction", g=2.0)
    found = value_and_gradients(edge_attention, t, torch.cat((edges, edges[:, :40]), 1), pos)
    offset = pos[None] - pos[:, None]  # [i, j, D]
    member = torch.zeros(80, 80, dtype=torch.bool)
    member[edges[1], edges[0]] = True
    reach = (offset.norm(dim=-1) * member).amax(1).clamp_min(1e-3)

    def dense(q, k, v, _, *, pos, strength, direction):
        score = torch.einsum("ihd,jhd->hij", q, k) / WIDTH**0.5
        score = score - strength[:, None, None] * (offset / reach[:, None, None]).square().sum(-1)
        score = score + torch.einsum("ihp,ijp->hij", direction, offset / reach[:, None, None])
        weight = score.masked_fill(~member, -1e30).softmax(-1) * member.any(1)[:, None]
        return torch.einsum("hij,jhd->ihd", weight, v)

    assert_same(found, value_and_gradients(dense, t, None, pos))


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_metric_is_a_quadratic_form_of_offsets(dim):
    pos, edges = uniform(dim, 60)
    t = inputs(pos, "metric", g=2.0)
    found = value_and_gradients(edge_attention, t, edges, pos)
    offset = pos[None] - pos[:, None]  # [i, j, D]
    member = torch.zeros(60, 60, dtype=torch.bool)
    member[edges[1], edges[0]] = True
    offset = offset / (offset.norm(dim=-1) * member).amax(1)[:, None, None]

    def dense(q, k, v, _, *, pos, metric):
        lower = metric.new_zeros(60, HEADS, dim, dim)
        rows, columns = torch.tril_indices(dim, dim)
        lower[..., rows, columns] = metric
        matrix = lower + lower.tril(-1).mT
        score = torch.einsum("ihd,jhd->hij", q, k) / WIDTH**0.5
        score = score - torch.einsum("ijp,ihpq,ijq->hij", offset, matrix, offset)
        return torch.einsum("hij,jhd->ihd", score.masked_fill(~member, -torch.inf).softmax(-1), v)

    assert_same(found, value_and_gradients(dense, t, None, pos))


@pytest.mark.parametrize("mode", MODES[1:])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_columns_multiply_to_the_terms_themselves(dim, mode):
    """With the column of ones, which no softmax needs, but gradients do."""
    pos, edges = uniform(dim, 40)
    t = {name: x.detach() for name, x in inputs(pos, mode, 2.0).items()}
    terms = [t.get(name) for name in ("strength", "direction", "metric")]
    geometry = Geometry(pos, incoming_reach(pos, edges), None, "soft" in mode, "metric" in mode, True, pos.dtype, 1.0)
    frame = geometry.frame(pos[None], geometry.reach[None, :, None])
    columns = geometry.of_keys(pos[None], *frame)[0]  # [j, c]
    rows = geometry.of_queries(*geometry.local(pos[None], geometry.reach[None, :, None], *frame), *terms)[0]
    offset = (pos[None] - pos[:, None]) / geometry.reach[:, None, None]  # [i, j, D]
    expected = torch.zeros(40, HEADS, 40).double()
    if "soft" in mode:
        expected = expected - terms[0][:, None] * offset.square().sum(-1)[:, None]
    if "direction" in mode:
        expected = expected + torch.einsum("ihp,ijp->ihj", terms[1], offset)
    if "metric" in mode:
        expected = expected - torch.einsum("ijp,ihpq,ijq->ihj", offset, full(terms[2], dim), offset)
    torch.testing.assert_close((rows @ columns.T).expand_as(expected), expected)


def test_a_metric_that_is_a_multiple_of_the_identity_is_a_strength():
    pos, edges = clusters()
    t = inputs(pos, "soft and direction", 3.0)
    same = {name: x for name, x in t.items() if name != "strength"}
    same["metric"] = t["strength"].detach()[None, :, None] * torch.tensor([1.0, 0.0, 1.0]).double()
    same["metric"] = same["metric"].repeat(len(pos), 1, 1).requires_grad_()
    for function, graph in ((edge_attention, edges), (tiled_attention, EdgeTiles.from_edge_index(edges, pos))):
        expected = value_and_gradients(function, t, graph, pos)
        found = value_and_gradients(function, same, graph, pos)
        assert_same(found | {"strength": found["metric"][..., [0, 2]].sum((0, 2))}, expected)


@pytest.mark.parametrize("g", [0.1, 10.0])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", SETS)
def test_tiles_equal_edges(name, mode, g):
    pos, edges = SETS[name]()
    t = inputs(pos, mode, g)
    expected = value_and_gradients(edge_attention, t, edges, pos)
    tiles = EdgeTiles.from_edge_index(edges, pos)
    assert_same(value_and_gradients(tiled_attention, t, tiles, pos), expected)


@pytest.mark.parametrize("g", [0.1, 10.0])
@pytest.mark.parametrize("mode", BOTH)
@pytest.mark.parametrize("name", ["3D", "clusters", "C-grid", "triangulation"])
def test_single_precision_is_accurate(name, mode, g):
    """The geometric terms cancel; centring, scaling and small tiles keep the rounding at 1e-5."""
    pos, edges = SETS[name]()
    pos = pos.float()
    t = inputs(pos, mode, g, torch.float32)
    exact = {key: x.detach().double().requires_grad_() for key, x in t.items()}
    expected = value_and_gradients(edge_attention, exact, edges, pos)
    found = value_and_gradients(tiled_attention, t, EdgeTiles.from_edge_index(edges, pos), pos)
    assert_same(found, expected, 1e-5)


@pytest.mark.parametrize("compute_dtype", [None, torch.bfloat16])
@pytest.mark.parametrize("mode", BOTH)
@pytest.mark.parametrize("name", ["2D", "clusters", "triangulation"])
def test_bfloat16_is_as_accurate_as_on_edges(name, mode, compute_dtype):
    pos, edges = SETS[name]()
    pos = pos.float()
    t = inputs(pos, mode, 3.0, torch.bfloat16)
    exact = {key: x.detach().double().requires_grad_() for key, x in t.items()}
    expected = value_and_gradients(edge_attention, exact, edges, pos)
    on_edges = errors(value_and_gradients(edge_attention, t, edges, pos), expected)
    tiles = EdgeTiles.from_edge_index(edges, pos)
    found = value_and_gradients(tiled_attention, t, tiles, pos, compute_dtype=compute_dtype)
    on_tiles = errors(found, expected)
    # One number per head, a sum over all nodes: its rounding errors scatter around the 1e-2 of its terms.
    if "strength" in t:
        on_edges["strength"] = max(on_edges["strength"], 1e-2)
    assert all(on_tiles[key] <= 2 * on_edges[key] for key in on_edges), (on_tiles, on_edges)


@pytest.mark.parametrize("mode", BOTH)
def test_autocast_keeps_the_geometry_in_single_precision(mode):
    pos, edges = clusters()
    pos = pos.float()
    t = {key: x.detach() for key, x in inputs(pos, mode, 10.0, torch.float32).items()}
    tiles = EdgeTiles.from_edge_index(edges, pos)
    expected = tiled_attention(**t, tiles=tiles, pos=pos)
    with torch.autocast("cpu", torch.bfloat16):
        found = tiled_attention(**t, tiles=tiles, pos=pos)
    assert found.dtype == torch.bfloat16
    assert (found - expected).norm() <= 4e-3 * expected.norm()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("max_mib", [None, 0.01])
def test_gradients_are_derivatives(mode, max_mib):
    pos, edges = uniform(2, 12, 4)
    edges = edges[:, edges[1] != 3]
    tiles = EdgeTiles.from_edge_index(edges, pos, tile_size=5)
    t = inputs(pos, mode, 2.0)
    names = list(t)

    def function(*tensors):
        return tiled_attention(**dict(zip(names, tensors, strict=True)), tiles=tiles, pos=pos, max_mib=max_mib)

    assert torch.autograd.gradcheck(function, tuple(t.values()), fast_mode=True)


@pytest.mark.parametrize("mode", MODES)
def test_chunks_change_nothing(mode):
    pos, edges = triangulation()
    edges = edges[:, edges[1] % 9 != 2]
    tiles = EdgeTiles.from_edge_index(edges, pos)
    t = inputs(pos, mode, 3.0)
    expected = value_and_gradients(tiled_attention, t, tiles, pos)
    for max_mib in (1e-3, 0.5):
        assert_same(value_and_gradients(tiled_attention, t, tiles, pos, max_mib=max_mib), expected)
    assert_same(value_and_gradients(tiled_attention, t, tiles.with_bias(torch.float64), pos), expected)


@pytest.mark.parametrize("mode", BOTH)
def test_little_is_kept_for_the_backward_pass(mode):
    """A few node features, not rows of tiles; with ``max_mib`` the inputs alone."""
    pos, edges = uniform(2, 4000, 32)
    tiles = EdgeTiles.from_edge_index(edges, pos.float())
    t = inputs(pos.float(), mode, dtype=torch.float32)
    feature = t["q"].numel() * 4

    def kept(**options):
        storages = {}

        def pack(x):
            storages[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
            return x

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            tiled_attention(**t, tiles=tiles, pos=pos.float(), **options)
        return sum(storages.values())

    assert kept() <= 16 * feature
    assert kept(max_mib=1.0) <= sum(x.numel() * 4 for x in t.values()) + feature // 4


@pytest.mark.parametrize("mode", BOTH)
def test_nodes_without_edges_get_zeros(mode):
    pos, edges = uniform(2)
    edges = edges[:, edges[1] % 5 != 0]
    tiles = EdgeTiles.from_edge_index(edges, pos)
    found = value_and_gradients(tiled_attention, inputs(pos, mode), tiles, pos)
    assert (found["out"][::5] == 0).all()
    assert (found["q"][::5] == 0).all()
    assert all(x.isfinite().all() for x in found.values())
    none = EdgeTiles.from_edge_index(edges[:, :0], pos)
    found = value_and_gradients(tiled_attention, inputs(pos, mode), none, pos)
    assert all((x == 0).all() for x in found.values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("others", [0, 40])
@pytest.mark.parametrize("mode", BOTH)
def test_coincident_points(mode, others, dtype):
    """Twenty points at one place hear only each other: content alone decides, beside whatever neighbours."""
    pos = torch.cat((torch.full((20, 2), 0.3, dtype=dtype), torch.rand(others, 2, dtype=dtype)))
    here = torch.cartesian_prod(torch.arange(20), torch.arange(20)).T
    there = torch.cartesian_prod(torch.arange(20 + others), torch.arange(20, 20 + others)).T
    edges = torch.cat((here, there), 1)
    t = inputs(pos, mode, 10.0, dtype)
    expected = value_and_gradients(edge_attention, t, edges, pos)
    found = value_and_gradients(tiled_attention, t, EdgeTiles.from_edge_index(edges, pos), pos)
    assert_same(found, expected, 1e-10 if dtype == torch.float64 else 1e-5)


def test_one_point_returns_its_value():
    pos = torch.rand(1, 2)
    tiles = EdgeTiles.from_edge_index(torch.zeros(2, 1, dtype=torch.long), pos)
    t = inputs(pos, "soft and direction", dtype=torch.float32)
    assert torch.equal(tiled_attention(**t, tiles=tiles, pos=pos), t["v"])


def test_complete_graph_is_full_attention():
    pos = torch.rand(70, 2, dtype=torch.float64)
    edges = torch.cartesian_prod(torch.arange(70), torch.arange(70)).T
    q, k, v = inputs(pos, "plain").values()
    full = torch.nn.functional.scaled_dot_product_attention(*(x.transpose(0, 1) for x in (q, k, v)))
    found = tiled_attention(q, k, v, EdgeTiles.from_edge_index(edges, pos))
    torch.testing.assert_close(found, full.transpose(0, 1))


def test_infinite_strength_picks_the_nearest():
    pos, edges = uniform(2)
    q, k, v = inputs(pos, "plain").values()
    found = tiled_attention(q, k, v, EdgeTiles.from_edge_index(edges, pos), pos=pos, strength=1e7)
    torch.testing.assert_close(found, v)


def test_numbering_of_nodes_does_not_matter():
    pos, edges = clusters()
    t = inputs(pos, "soft and direction")
    tiles = EdgeTiles.from_edge_index(edges, pos)
    order = torch.randperm(len(pos))
    place = order.argsort()
    moved = {key: x if key == "strength" else x[order] for key, x in t.items()}
    moved_tiles = EdgeTiles.from_edge_index(place[edges], pos[order])
    found = tiled_attention(**moved, tiles=moved_tiles, pos=pos[order])
    torch.testing.assert_close(found, tiled_attention(**t, tiles=tiles, pos=pos)[order])


def test_samples_of_a_ragged_batch_do_not_see_each_other():
    samples, outs = [], []
    for name in ("2D", "triangulation", "clusters"):
        pos, edges = SETS[name]()
        t = inputs(pos, "soft and direction")
        flat = EdgeTiles.flat(edges, pos)
        outs.append(tiled_attention(**t, tiles=EdgeTiles.from_dict(flat), pos=pos))
        samples.append(Data(pos=pos, **{f"feature_{key}": t[key] for key in ("q", "k", "v", "direction")}, **flat))
    batch = Batch.from_data_list(samples)
    found = tiled_attention(
        *(batch[f"feature_{key}"] for key in ("q", "k", "v")),
        EdgeTiles.from_dict(batch.to_dict()),
        pos=batch.pos,
        strength=t["strength"],
        direction=batch.feature_direction,
    )
    torch.testing.assert_close(found, torch.cat(outs))


@pytest.mark.parametrize("mode", ["soft", *BOTH])
@pytest.mark.parametrize("n", [40, 500])
def test_periodic_box(n, mode):
    """Tiles beside the border have neighbours beyond it; in the small box a patch is a third of the box."""
    points = np.random.default_rng(0).random((n, 2)) * (1.0, 2.0)
    tree = cKDTree(points, boxsize=(1.0, 2.0))
    edges = torch.from_numpy(np.stack((tree.query(points, k=9)[1].ravel(), np.repeat(np.arange(n), 9))))
    pos, period = torch.from_numpy(points), torch.tensor([1.0, 2.0], dtype=torch.float64)
    t = inputs(pos, mode)
    expected = value_and_gradients(edge_attention, t, edges, pos, period=period)
    tiles = EdgeTiles.from_edge_index(edges, pos, period=period)
    for max_mib in (None, 0.1):
        assert_same(value_and_gradients(tiled_attention, t, tiles, pos, period=period, max_mib=max_mib), expected)


@pytest.mark.parametrize("mode", MODES)
def test_wide_values_and_other_reach(mode):
    """Heads may leave room for the geometry; the reach and the strength may be the caller's."""
    pos, edges = uniform(2)
    t = inputs(pos, mode, value_width=WIDTH + (5 if "metric" in mode else 3))
    tiles = EdgeTiles.from_edge_index(edges, pos)
    options = {"reach": 0.5 + torch.rand(len(pos), dtype=torch.float64)}
    expected = value_and_gradients(edge_attention, t, edges, pos, **options)
    assert_same(value_and_gradients(tiled_attention, t, tiles, pos, **options), expected)


@pytest.mark.parametrize("mode", BOTH)
def test_far_from_the_origin(mode):
    pos, edges = uniform(2)
    t = inputs(pos, mode, 10.0)
    expected = value_and_gradients(edge_attention, t, edges, pos)
    found = value_and_gradients(tiled_attention, t, EdgeTiles.from_edge_index(edges, pos + 1e4), pos + 1e4)
    assert_same(found, expected, 1e-9)


def test_change_in_place_before_the_backward_pass_is_seen():
    pos, edges = uniform(2, 60)
    q, k, v = (torch.randn(60, 2, 8, requires_grad=True) for _ in range(3))
    keys = k * 1
    out = tiled_attention(q, keys, v, EdgeTiles.from_edge_index(edges, pos))
    with torch.no_grad():
        keys.mul_(2)
    with pytest.raises(RuntimeError, match="modified in place"):
        out.sum().backward()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients(mode):
    pos, edges = uniform(2)
    tiles = EdgeTiles.from_edge_index(edges, pos)
    t = inputs(pos, "soft and direction")
    expected = tiled_attention(**t, tiles=tiles, pos=pos)
    with mode():
        t = {key: x * 1 for key, x in t.items()}
        for max_mib in (None, 1.0):
            torch.testing.assert_close(tiled_attention(**t, tiles=tiles, pos=pos, max_mib=max_mib), expected.detach())


def test_compiles_and_exports_whole():
    pos, edges = clusters()
    tiles = EdgeTiles.from_edge_index(edges, pos)
    assert len(tiles.buckets) > 1
    t = inputs(pos, "soft and direction")
    expected = value_and_gradients(tiled_attention, t, tiles, pos)
    compiled = torch.compile(tiled_attention, backend="aot_eager", fullgraph=True)
    assert_same(value_and_gradients(compiled, t, tiles, pos), expected)

    class Layer(torch.nn.Module):
        def forward(self, t, tiles, pos):
            return tiled_attention(**t, tiles=tiles, pos=pos)

    arguments = ({key: x.detach() for key, x in t.items()}, tiles, pos)
    torch.testing.assert_close(torch.export.export(Layer(), arguments).module()(*arguments), expected["out"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strength": 1.0}, "pos=None"),
        ({"metric": torch.zeros(60, 3, 3)}, "pos=None, but metric"),
        ({"metric": torch.zeros(60, 3, 3), "strength": 1.0}, "two forms of one term"),
        ({"metric": torch.zeros(60, 3, 4), "pos": torch.zeros(60, 2)}, r"\[60, 3, 4\], but \[60, 3, 3\] is needed"),
        ({"metric": torch.zeros(60, 1, 3), "pos": torch.zeros(60, 2)}, r"\[60, 1, 3\], but \[60, 3, 3\] is needed"),
        ({"max_mib": 0}, "max_mib=0"),
        ({"k": torch.zeros(60, 3, 9)}, r"\[60, 3, 9\]"),
        ({name: torch.zeros(7, 3, 5) for name in "qkv"}, "made for 60 nodes, but q has 7"),
    ],
)
def test_wrong_arguments(change, message):
    pos, edges = uniform(2, 60)
    arguments = {name: x.detach() for name, x in inputs(pos, "plain").items()}
    with pytest.raises(ValueError, match=message):
        tiled_attention(**(arguments | {"tiles": EdgeTiles.from_edge_index(edges, pos)} | change))
    if "metric" in change:
        with pytest.raises(ValueError, match=message):
            edge_attention(**(arguments | {"edge_index": edges} | change))


@pytest.mark.parametrize("max_mib", [None, 0.01])
@pytest.mark.parametrize("value_width", [WIDTH, WIDTH + 3])
@pytest.mark.parametrize("mode", [*MODES[1:4], "metric and direction"])
@pytest.mark.parametrize("box", [None, 1.0])
def test_gradients_by_positions_and_reach_are_derivatives(mode, value_width, max_mib, box):
    """On tiles and on edges; padded queries count once, the tiles' centre and scale do not matter."""
    pos, edges = uniform(2, 13, 4)
    edges = edges[:, edges[1] != 3]
    period = None if box is None else torch.full((2,), box, dtype=torch.float64)
    tiles = EdgeTiles.from_edge_index(edges, pos, tile_size=5, period=period)
    t = {name: x.detach() for name, x in inputs(pos, mode, 2.0, value_width=value_width).items()}
    reach = incoming_reach(pos, edges, period)
    if box is not None:  # a patch that spans half the box is on no side of it
        reach = reach.clamp_max(0.4)
        pos = pos + torch.tensor([0.8, 0.1])

    def on_tiles(pos, reach):
        return tiled_attention(**t, tiles=tiles, pos=pos, reach=reach, max_mib=max_mib, period=period)

    def on_edges(pos, reach):
        return edge_attention(**t, edge_index=edges, pos=pos, reach=reach, period=period)

    moving = pos.clone().requires_grad_(), reach.clone().requires_grad_()
    for function in (on_tiles, on_edges):
        assert torch.autograd.gradcheck(function, moving)
    torch.testing.assert_close(on_tiles(*moving), on_edges(*moving))


def test_gradients_by_positions_need_a_reach_that_follows_them():
    pos, edges = uniform(2, 30)
    pos.requires_grad_()
    with pytest.raises(ValueError, match=r"give reach=incoming_reach\(pos, edge_index\)"):
        tiled_attention(**inputs(pos, "soft"), tiles=EdgeTiles.from_edge_index(edges, pos), pos=pos)


@pytest.mark.parametrize("size", [1.0, 1e-6, 1e-12, 1e-16])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("mode", BOTH)
def test_nodes_that_see_only_their_own_place_see_no_geometry(size, mode, dtype):
    """Self-loops alone, however near the nodes: every output is the node's own value, all gradients are finite."""
    pos = (size * torch.rand(40, 2, generator=torch.Generator().manual_seed(0), dtype=dtype)).requires_grad_()
    edges = torch.arange(40).repeat(2, 1)
    t = inputs(pos, mode, 10.0, dtype)
    reach = incoming_reach(pos, edges)
    for function, graph in ((edge_attention, edges), (tiled_attention, EdgeTiles.from_edge_index(edges, pos))):
        out = function(**t, **{"tiles" if function is tiled_attention else "edge_index": graph}, pos=pos, reach=reach)
        torch.testing.assert_close(out, t["v"])
        for gradient in torch.autograd.grad(out.square().sum(), [*t.values(), pos], retain_graph=True):
            assert gradient.isfinite().all()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["2D", "clusters", "triangulation"])
def test_weighted_keys(name, mode):
    """The log of a weight added to the scores: on tiles as on edges, with gradients, in pieces, in narrow formats."""
    pos, edges = SETS[name]()
    weight = (3 * torch.randn(len(pos), generator=torch.Generator().manual_seed(2))).double().exp()
    tiles = EdgeTiles.from_edge_index(edges, pos).with_bias(torch.float64, weight.log())
    t = inputs(pos, mode, 3.0)
    expected = value_and_gradients(edge_attention, t, edges, pos, log_weight=weight.log())
    assert_same(value_and_gradients(tiled_attention, t, tiles, pos), expected)
    assert_same(value_and_gradients(tiled_attention, t, tiles, pos, max_mib=0.01), expected)
    again = tiles.with_bias(torch.float64, weight.log() + 5)  # in place of what was there, and the constant cancels
    assert_same(value_and_gradients(tiled_attention, t, again, pos), expected)
    if name == "2D":
        plain = value_and_gradients(edge_attention, t, edges, pos)
        assert errors(plain, expected)["out"] > 0.1
        narrow = tiled_attention(
            **{key: x.to(torch.bfloat16) if key in "qkv" else x for key, x in t.items()},
            tiles=EdgeTiles.from_edge_index(edges, pos.float()).with_bias(torch.float32, weight.log().float()),
            pos=pos.float(),
            compute_dtype=torch.bfloat16,
        )
        assert errors({"out": narrow}, {"out": expected["out"]})["out"] < 0.02


def test_a_split_key_is_one_key():
    """Two neighbours at one place with the same content and half the weight each."""
    pos, edges = uniform(2, 80, 14)
    t = inputs(pos, "soft and direction")
    twice = {name: torch.cat([x, x[:1]]) if name in "qkv" or name == "direction" else x for name, x in t.items()}
    seen_by = edges[1, edges[0] == 0]
    both = torch.cat([edges, torch.stack([torch.full_like(seen_by, 80), seen_by])], 1)
    weight = torch.rand(80, generator=torch.Generator().manual_seed(0)).double() + 0.1
    halves = torch.cat([weight, weight[:1]])
    halves[[0, 80]] /= 2
    there = torch.cat([pos, pos[:1]])
    tiles = EdgeTiles.from_edge_index(both, there).with_bias(torch.float64, halves.log())
    found = tiled_attention(**twice, tiles=tiles, pos=there)[:80]
    torch.testing.assert_close(found, edge_attention(**t, edge_index=edges, pos=pos, log_weight=weight.log()))
