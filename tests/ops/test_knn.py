import numpy as np
import pytest
import torch

from pyg_neuralops.ops import available_backends, distance_rank, incoming_reach, knn_graph


def brute_distances(pos, k, loop):
    """Sorted distances to the k nearest, in float64, by definition."""
    p = pos.double().numpy()
    distance = np.sqrt(((p[:, None] - p[None]) ** 2).sum(-1))
    if not loop:
        np.fill_diagonal(distance, np.inf)
    return np.sort(distance, 1)[:, :k]


def point_sets():
    generator = torch.Generator().manual_seed(0)
    uniform = torch.rand(200, 2, generator=generator)
    axis = torch.linspace(0, 1, 12)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).view(-1, 2)
    return {
        "uniform": uniform,
        "uniform 3D": torch.rand(150, 3, generator=generator),
        "grid": grid,
        "coincident": uniform[:20].repeat(4, 1),
        "all coincident": torch.ones(15, 2),
        "far from the origin": uniform.double() + 1e6,
        "far in float32": uniform + 100,
    }


@pytest.mark.parametrize("loop", [True, False])
@pytest.mark.parametrize("name", point_sets())
@pytest.mark.parametrize("backend", available_backends())
def test_backends_find_the_nearest_by_distance(backend, name, loop):
    pos, k = point_sets()[name], 9
    edges = knn_graph(pos, k, loop=loop, backend=backend)
    assert (edges[1] == torch.arange(len(pos)).repeat_interleave(k)).all()
    length = (pos[edges[0]].double() - pos[edges[1]].double()).norm(dim=1).view(-1, k)
    # Backends that work in float32 rank by float32 distances: ties within rounding may fall either way.
    scale = pos.double().sub(pos.double().mean(0)).abs().max().item()
    eps = 1e-6 * max(scale, 1e-3) if pos.dtype == torch.float32 else 1e-9
    np.testing.assert_allclose(length.sort(1).values.numpy(), brute_distances(pos, k, loop), atol=eps)
    neighbours = edges[0].view(-1, k)
    assert all(len(set(row.tolist())) == k for row in neighbours)
    assert ((neighbours == torch.arange(len(pos))[:, None]).any(1) == loop).all()


@pytest.mark.parametrize("backend", available_backends())
def test_batched_samples_do_not_mix(backend):
    generator = torch.Generator().manual_seed(1)
    sizes = [1, 40, 3, 17]
    pos = torch.rand(sum(sizes), 2, generator=generator)
    batch = torch.arange(4).repeat_interleave(torch.tensor(sizes))
    edges = knn_graph(pos, 5, batch, backend=backend)
    assert (batch[edges[0]] == batch[edges[1]]).all()
    expected = torch.tensor([min(5, n) for n in sizes]).repeat_interleave(torch.tensor(sizes))
    assert (torch.bincount(edges[1]) == expected).all()


def test_one_point_and_no_point():
    assert knn_graph(torch.zeros(1, 2), 4).tolist() == [[0], [0]]
    assert knn_graph(torch.zeros(1, 2), 4, loop=False).shape == (2, 0)
    assert knn_graph(torch.zeros(0, 2), 4).shape == (2, 0)


@pytest.mark.parametrize(
    ("pos", "kwargs", "message"),
    [
        (torch.zeros(4, 2, dtype=torch.long), {"k": 2}, "int64"),
        (torch.zeros(4, 2, dtype=torch.float16), {"k": 2}, "float16"),
        (torch.zeros(4), {"k": 2}, r"\[4\]"),
        (torch.tensor([[0.0, float("nan")]]), {"k": 1}, "NaN"),
        (torch.zeros(4, 2), {"k": 0}, "k=0"),
        (torch.zeros(4, 2), {"k": 2, "backend": "kd"}, "choose from"),
        (torch.zeros(4, 2), {"k": 2, "batch": torch.tensor([0, 1, 0, 1])}, "sorted"),
    ],
)
def test_bad_input_is_named(pos, kwargs, message):
    with pytest.raises(ValueError, match=message):
        knn_graph(pos, **kwargs)


def test_a_backend_that_is_not_installed_is_named():
    missing = {"torch-cluster", "pyg-lib"} - set(available_backends())
    for backend in missing:
        with pytest.raises(ValueError, match="needs the package"):
            knn_graph(torch.zeros(4, 2), 2, backend=backend)


def test_reach_is_the_longest_incoming_edge_and_never_zero():
    pos = torch.tensor([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0], [3.0, 0.0]])
    edges = torch.tensor([[1, 2, 0, 3], [0, 0, 1, 2]])
    reach = incoming_reach(pos, edges)
    assert reach[:2].tolist() == [3.0, 1.0]
    assert (reach[2:] > 0).all()
    assert ((pos[3] - pos[2]).norm() / reach[2]).isfinite()


def test_distance_rank_orders_within_a_group():
    length = torch.tensor([0.3, 0.1, 0.2, 0.5, 0.4])
    index = torch.tensor([0, 0, 0, 1, 1])
    assert distance_rank(length, index).tolist() == [2, 0, 1, 1, 0]
