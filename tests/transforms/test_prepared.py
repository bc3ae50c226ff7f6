"""What is prepared belongs to the geometry it was made from: moved samples are never read with old patches or edges."""

import copy

import pytest
import torch
from torch_geometric.data import Batch
from torch_geometric.transforms import RandomRotate, RandomScale

from pyg_neuralops.data import MeshData
from pyg_neuralops.data.prepared import digests
from pyg_neuralops.models import build_model
from pyg_neuralops.normalize import normalized
from pyg_neuralops.testing import random_mesh
from pyg_neuralops.transforms import Characteristic, GraphEdges, KNNPatches, MeshEdges, PatchMetric, Upwind

SIZE = {"in_channels": 2, "out_channels": 1, "hidden_channels": 8, "num_layers": 2}
MODELS = {
    "la2former": {"heads": 2, "patches": 6},
    "gno": {"patches": 6},
    "mesh-graph-net": {},
    "gatv2": {"heads": 2},
    "point-transformer": {"patches": 5},
}


class Along(PatchMetric):
    """A user's own: reads the input field and a parameter of the sample, and says so nowhere."""

    def __init__(self, strength=2.0):
        self.strength = strength

    def distance(self, data, index, offset):
        factor = 1 + self.strength * data.x[index, :1].detach().double().abs()
        return offset.norm(dim=-1) * factor + offset[..., 0].abs() * data.theta[0, 0]

    def stretch(self, data):
        return torch.ones(data.num_nodes).double()


def with_fields(data):
    generator = torch.Generator().manual_seed(data.num_nodes)
    data.wind = torch.randn(data.num_nodes, 2, generator=generator)
    data.theta = torch.rand(1, 1, generator=generator)
    return data


def moved(data, change):
    data = copy.copy(data)
    if change == "one position":
        data.pos = data.pos.clone()
        data.pos[3] += torch.tensor([0.3, -0.1])
    elif change == "in place":
        data.pos = data.pos.clone()
        data.pos.data.mul_(torch.tensor([1.0, 2.0]))
    elif change == "swapped":
        data.pos = data.pos.flip(0)
    elif change == "wind":
        data.wind = data.wind.flip(1)
    elif change == "cells":
        data.face = data.face[:, 5:]
    elif change == "x":
        data.x = data.x + 1
    else:
        data.pos = {"rotate": RandomRotate(80), "scale": RandomScale((2, 2))}[change](data).pos
    return data


@pytest.mark.parametrize("change", ["one position", "in place", "swapped", "rotate", "scale"])
@pytest.mark.parametrize("cells", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_positions_moved_after_prepare_are_prepared_again(name, cells, change):
    torch.manual_seed(0)
    samples = [random_mesh(n, seed=n, cells=cells) for n in (30, 17)]
    model = normalized(build_model(name, **SIZE, **MODELS[name]), samples).eval()
    prepared = [model.prepare(sample) for sample in samples]
    late = [moved(sample, change) for sample in prepared]
    fresh = [copy.copy(sample) for sample in samples]
    for sample, at in zip(fresh, late, strict=True):
        sample.pos = at.pos
    want = torch.cat([model(sample) for sample in fresh])
    torch.testing.assert_close(torch.cat([model(sample) for sample in late]), want)
    torch.testing.assert_close(model(Batch.from_data_list(late)), want, rtol=1e-4, atol=1e-5)
    batch = Batch.from_data_list(prepared)
    batch.pos = torch.cat([sample.pos for sample in late])
    torch.testing.assert_close(model(batch), want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("metric", [Upwind("wind"), Characteristic("wind"), Along()])
@pytest.mark.parametrize("change", ["wind", "one position", "x"])
def test_fields_that_a_metric_reads_count_as_geometry(metric, change):
    samples = [with_fields(random_mesh(n, seed=n)) for n in (30, 17)]
    transform, fresh = KNNPatches(5, metric=metric, tiles=True), KNNPatches(5, metric=metric, tiles=True, cache_mib=0)
    late = [moved(transform(sample), change) for sample in samples]
    want = [fresh(moved(sample, change)) for sample in samples]
    for found, expected in zip([transform(sample) for sample in late], want, strict=True):
        assert torch.equal(found.patch_index, expected.patch_index)
        assert torch.equal(found.tile_bits, expected.tile_bits)
    expected = Batch.from_data_list(want)
    for batch in (Batch.from_data_list(late), Batch.from_data_list([moved(sample, change) for sample in samples])):
        found = transform(batch)
        assert torch.equal(found.patch_index, expected.patch_index)
        assert found.patch_key == expected.patch_key


def test_a_users_field_may_be_called_like_edges():
    class Near(Along):
        def distance(self, data, index, offset):
            return offset.norm(dim=-1) + data.edge_distance[index].double()[:, None] * offset[..., 0].abs()

    data = random_mesh(30)
    data.edge_distance, patches = torch.zeros(30), KNNPatches(5, metric=Near())
    late = patches(data)
    late.edge_distance = torch.full((30,), 9.0)
    data.edge_distance = late.edge_distance
    assert torch.equal(KNNPatches(5, metric=Near())(data).patch_index, patches(late).patch_index)
    assert not torch.equal(patches(late).patch_index, late.patch_index)


def test_a_normalised_model_prepares_from_raw_fields():
    samples = [with_fields(random_mesh(20, seed=seed)) for seed in range(3)]
    for sample in samples:
        del sample.theta
    metric = Upwind("x")
    model = build_model("la2former", **SIZE, heads=2, patches={"k": 5, "metric": metric})
    wrapped, seen = normalized(model, samples), []
    model.register_forward_pre_hook(lambda module, args: seen.append(module.prepare(args[0]).patch_index))
    wrapped(samples[0])
    assert torch.equal(seen[0], KNNPatches(5, metric=metric)(samples[0]).patch_index)


def test_cells_count_where_they_matter():
    sample = random_mesh(40)
    through, edges = KNNPatches(6, through_solid=False), GraphEdges()
    late = moved(edges(through(sample)), "cells")
    fresh = moved(sample, "cells")
    assert torch.equal(edges(late).edge_index, MeshEdges()(fresh).edge_index)
    plain = moved(KNNPatches(6)(sample), "cells")
    assert KNNPatches(6)(plain).patch_index is plain.patch_index
    late = moved(through(sample), "cells")
    assert torch.equal(through(late).patch_index, through(fresh).patch_index)


def test_subgraphs_are_prepared_again():
    cloud = random_mesh(40, cells=False)
    keep = torch.arange(40) % 3 != 0
    for transform in (KNNPatches(6, tiles=True), GraphEdges(4)):
        part, fresh = transform(cloud).subgraph(keep), cloud.subgraph(keep)
        found, want = transform(part), transform(fresh)
        for name in ("patch_index", "patch_reach", "tile_bits", "edge_index", "edge_attr"):
            assert found.get(name) is None or torch.equal(found[name], want[name]), name


def test_a_users_own_edges_are_kept():
    sample = random_mesh(20)
    sample.edge_index = torch.randint(0, 20, (2, 50))
    sample.edge_attr = torch.randn(50, 3)
    both = GraphEdges()(moved(GraphEdges()(sample), "scale"))
    assert torch.equal(both.edge_index, sample.edge_index)
    assert torch.equal(both.edge_attr, sample.edge_attr)
    del sample.edge_attr
    given = GraphEdges()(sample)
    late = GraphEdges()(moved(given, "scale"))
    assert torch.equal(late.edge_index, sample.edge_index)
    torch.testing.assert_close(late.edge_attr, 2 * given.edge_attr)


def test_edges_whose_cells_are_gone_are_not_made_up():
    sample = MeshEdges()(random_mesh(20))
    del sample.face
    with pytest.raises(ValueError, match="the cells that the edges were made from are gone"):
        GraphEdges()(moved(sample, "scale"))


def test_a_digest_of_a_batch_is_that_of_its_samples():
    samples = [with_fields(random_mesh(n, seed=n)) for n in (1, 9, 14, 8)]
    names = ["pos", "wind", "x", "theta"], ["face"]
    each = [digests(sample, *names)[0] for sample in samples]
    assert digests(Batch.from_data_list(samples), *names) == each
    assert len(set(each)) == 4
    one = MeshData(pos=torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    others = [[[2.0, 1.0], [3.0, 4.0]], [[3.0, 4.0], [1.0, 2.0]], [[1.0, 2.0], [3.0, 4.0000005]], [[1.0, 2.0]]]
    found = {digests(MeshData(pos=torch.tensor(pos)), ["pos"])[0] for pos in others} | set(digests(one, ["pos"]))
    assert len(found) == 5


def test_single_points_and_points_at_one_place():
    for dtype in (torch.float32, torch.float64):
        one = with_fields(random_mesh(1, dtype=dtype))
        same = with_fields(random_mesh(7, dtype=dtype))
        same.pos = same.pos[:1].expand(7, 2).clone()
        pair = with_fields(random_mesh(12, dtype=dtype))
        pair.pos[3] = pair.pos[8]
        for settings in (
            {},
            {"period": 1.0},
            {"metric": "Upwind(wind)"},
            {"metric": "Characteristic(wind)"},
            {"metric": Along()},
        ):
            transform = KNNPatches(4, tiles=True, **settings)
            for sample in (one, same, pair):
                found = transform(sample)
                assert torch.bincount(found.patch_index[1]).tolist() == [min(4, sample.num_nodes)] * sample.num_nodes
            batch = transform(Batch.from_data_list([same, one, pair]))
            model = build_model("la2former", **SIZE | {"in_channels": 3}, heads=2, patches=transform).to(dtype)
            out = model(batch)
            out.square().sum().backward()
            assert out.isfinite().all()
            assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
