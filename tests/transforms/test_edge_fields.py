"""What fields say along edges: the same however the sample is turned, and made again when they change."""

import copy

import numpy as np
import pytest
import torch
from scipy.spatial import Delaunay
from torch_geometric.data import Batch

from pyg_neuralops.data import MeshData
from pyg_neuralops.models import build_model
from pyg_neuralops.normalize import normalized
from pyg_neuralops.ops import edge_field
from pyg_neuralops.study.prepared_samples import _reads_geometry
from pyg_neuralops.testing import (
    assert_batch_invariant,
    assert_gradients,
    assert_permutation_equivariant,
    random_mesh,
)
from pyg_neuralops.transforms import GraphEdges, KNNPatches, MeshEdges, RandomSymmetry

BOTH = ("wind", "conductivity")
SIZE = {"in_channels": 2, "out_channels": 1, "hidden_channels": 8, "num_layers": 2}
MODELS = {"mesh-graph-net": {}, "gatv2": {"heads": 2}}


def sample(n=40, pos_dim=2, seed=0, **kwargs):
    data = random_mesh(n, pos_dim=pos_dim, seed=seed, **kwargs)
    generator, dtype = torch.Generator().manual_seed(seed), data.pos.dtype
    data.wind = torch.randn(n, pos_dim, generator=generator).to(dtype)
    root = torch.randn(n, pos_dim, pos_dim, generator=generator).to(dtype)
    data.conductivity = root @ root.mT + 0.1 * torch.eye(pos_dim, dtype=dtype)
    return data


@pytest.mark.parametrize("pos_dim", [1, 2, 3])
def test_columns_by_hand(pos_dim):
    data = sample(12, pos_dim, dtype=torch.float64)
    made = GraphEdges(fields=BOTH)(copy.copy(data))
    assert made.edge_attr.shape[1] == pos_dim + 1 + 4
    for (j, i), found in zip(made.edge_index.t().tolist(), made.edge_attr, strict=True):
        step = data.pos[j] - data.pos[i]
        e = step / step.norm()
        u, a = (data.wind[i] + data.wind[j]) / 2, (data.conductivity[i] + data.conductivity[j]) / 2
        across = (u.norm() ** 2 - (u @ e) ** 2).clamp_min(0).sqrt()
        expected = torch.stack([*step, step.norm(), u @ e, across, e @ a @ e, 1 / (e @ a @ e)])
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize("pos_dim", [2, 3])
@pytest.mark.parametrize("cells", [True, False])
def test_turning_mesh_and_fields_together_changes_nothing(pos_dim, cells):
    data = sample(60, pos_dim, dtype=torch.float64, cells=cells)
    edges = GraphEdges(fields=BOTH)
    before, there = edges(copy.copy(data)), pos_dim + 1
    for seed in range(4):
        torch.manual_seed(seed)
        turned = RandomSymmetry("isometries", shift=1.0)(data)
        after = edges(turned)
        assert torch.equal(after.edge_index, before.edge_index)
        torch.testing.assert_close(after.edge_attr[:, pos_dim:], before.edge_attr[:, pos_dim:], rtol=1e-9, atol=1e-9)
        alone = copy.copy(turned)
        alone.wind, alone.conductivity = data.wind, data.conductivity
        assert (edges(alone).edge_attr[:, there:] - before.edge_attr[:, there:]).abs().amax(0).min() > 0.1
    wind = before.edge_attr[:, there]
    pairs = {tuple(edge): value for edge, value in zip(before.edge_index.t().tolist(), wind.tolist(), strict=True)}
    assert all(pairs[j, i] == -value for (i, j), value in pairs.items())  # signed, to the last digit


@pytest.mark.parametrize("name", MODELS)
def test_models_with_fields_on_edges(name):
    torch.manual_seed(0)
    model = build_model(name, **SIZE, **MODELS[name], edge_fields=BOTH)
    data = sample()
    assert_permutation_equivariant(model, data)
    assert_batch_invariant(model, [sample(n, seed=n) for n in (30, 12, 25)])
    assert_gradients(model, sample(10, dtype=torch.float64))
    assert model.config["edge_fields"] == list(BOTH)
    again = build_model(name, **{**model.config, "edge_fields": list(BOTH)})
    assert again.config == model.config
    expected = model(data)
    for field in BOTH:
        other = copy.copy(data)
        other[field] = 2 * data[field]
        assert (model(other) - expected).abs().max() > 1e-4
    prepared = model.prepare(sample())
    assert all(model.prepare(prepared)[key] is value for key, value in prepared.to_dict().items())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", ["cells", "cloud", "given"])
def test_fields_that_change_after_prepare_are_read_again(name, kind):
    samples = [sample(n, seed=n, cells=kind == "cells") for n in (30, 17)]
    if kind == "given":
        for data in samples:
            data.edge_index = MeshEdges()(random_mesh(data.num_nodes, seed=data.num_nodes)).edge_index
    torch.manual_seed(0)
    model = normalized(build_model(name, **SIZE, **MODELS[name], edge_fields=["wind"]), samples).eval()
    late = [model.prepare(data) for data in samples]
    for data, fresh in zip(late, samples, strict=True):
        data.wind = fresh.wind = fresh.wind.flip(1)
    want = torch.cat([model(data) for data in samples])
    torch.testing.assert_close(torch.cat([model(data) for data in late]), want)
    torch.testing.assert_close(model(Batch.from_data_list(late)), want, rtol=1e-4, atol=1e-5)
    # What was prepared for a model without fields is made anew for one with them, and back.
    plain = build_model(name, **SIZE, **MODELS[name])
    for data in samples:
        crossed = model.prepare(plain.prepare(copy.copy(data)))
        assert torch.equal(crossed.edge_attr, model.prepare(copy.copy(data)).edge_attr)
        back = plain.prepare(crossed)
        assert torch.equal(back.edge_attr, plain.prepare(copy.copy(data)).edge_attr)
        assert back.edge_key == plain.prepare(copy.copy(data)).edge_key


def test_gradients_by_positions_pass_through_fields():
    torch.manual_seed(0)
    model = build_model("mesh-graph-net", **SIZE, edge_fields=BOTH).double()
    data = model.prepare(sample(10, dtype=torch.float64))

    def run(pos):
        moved = copy.copy(data)
        moved.pos = pos
        return model(moved)

    torch.autograd.gradcheck(run, (data.pos.clone().requires_grad_(),), fast_mode=True)


def test_nodes_at_one_place_have_no_direction():
    data = sample(5, dtype=torch.float64)
    data.pos[1] = data.pos[0]
    edges = torch.tensor([[0, 1], [1, 0]])
    wind = edge_field(data.wind, data.pos, edges)
    size = (data.wind[0] + data.wind[1]).norm().item() / 2
    torch.testing.assert_close(wind, torch.tensor([[0.0, size]] * 2).double())
    mean = (data.conductivity[:2].diagonal(dim1=1, dim2=2).sum() / 4).item()
    torch.testing.assert_close(
        edge_field(data.conductivity, data.pos, edges), torch.tensor([[mean, 1 / mean]] * 2).double()
    )


def test_the_order_of_fields_counts():
    """What one model prepared, another reads whose fields stand in another order."""
    data = sample(dtype=torch.float64)
    data.current = data.wind.flip(0)
    there = GraphEdges(fields=("current", "wind"))(copy.copy(data)).edge_attr
    found = GraphEdges(fields=("current", "wind"))(GraphEdges(fields=("wind", "current"))(copy.copy(data)))
    assert torch.equal(found.edge_attr, there)
    assert torch.equal(GraphEdges()(found).edge_attr, there[:, :3])


def test_attributes_follow_edges_in_another_order():
    made = MeshEdges()(sample())
    edges = GraphEdges(fields=("wind",))
    own = edges(MeshData(pos=made.pos, wind=made.wind, edge_index=made.edge_index))
    own.edge_index = own.edge_index.flip(0)
    want = edges(MeshData(pos=made.pos, wind=made.wind, edge_index=own.edge_index)).edge_attr
    assert not torch.equal(own.edge_attr, want)
    assert torch.equal(edges(own).edge_attr, want)


def test_a_batch_whose_samples_move_in_turn_keeps_their_edges():
    edges, samples = GraphEdges(3), [sample(n, cells=False) for n in (30, 25)]
    batch = edges(Batch.from_data_list([edges(one) for one in samples]))
    for seed in range(3):
        moved = torch.rand(30, 2, generator=torch.Generator().manual_seed(seed))
        batch.pos = torch.cat([moved, batch.pos[30:]])
        batch = edges(batch)
        apart = Batch.from_data_list([edges(MeshData(pos=pos)) for pos in batch.pos.split([30, 25])])
        assert torch.equal(batch.edge_index, apart.edge_index)
        assert torch.equal(batch.edge_attr, apart.edge_attr)


def test_rounding_is_no_direction():
    """A wind along the only edge, and one across it, in directions that floats do not meet."""
    pos = torch.tensor([[0.0, 0.0], [0.6, 0.8], [1.2, 1.6]])
    edges = torch.tensor([[0, 1], [1, 2]])
    along = edge_field(torch.tensor([[0.3, 0.4]]).expand(3, 2) * 1.7, pos, edges)
    across = edge_field(torch.tensor([[-0.4, 0.3]]).expand(3, 2) * 1.7, pos, edges)
    assert along[:, 1].tolist() == across[:, 0].tolist() == [0.0, 0.0]
    torch.testing.assert_close(along[:, 0].abs(), across[:, 1])


def test_samples_on_disk_that_share_a_mesh_do_not_share_fields():
    assert _reads_geometry(build_model("mesh-graph-net", **SIZE))
    assert not _reads_geometry(build_model("mesh-graph-net", **SIZE, edge_fields=["wind"]))
    assert not _reads_geometry(build_model("upwind-gnn", **SIZE))


def test_wrong_use_is_named():
    for wrong in ("wind", ("wind", "wind"), (3,), ("",), ("a,b",)):
        with pytest.raises(ValueError, match=r"edge_fields.*(give a list of names|is needed)"):
            build_model("mesh-graph-net", **SIZE, edge_fields=wrong)
    with pytest.raises(ValueError, match=r"edge_fields=\['wind'\] with graph='patches'"):
        build_model("gatv2", **SIZE, graph="patches", edge_fields=("wind",))
    model, data = build_model("mesh-graph-net", **SIZE, edge_fields=("flow",)), sample()
    with pytest.raises(ValueError, match=r"has no flow; it has \['conductivity', 'face', 'pos', 'wind', 'x', 'y'\]"):
        model(data)
    for wrong in (torch.zeros(40), torch.zeros(40, 3), torch.zeros(40, 2, 1)):
        data.flow = wrong
        with pytest.raises(ValueError, match=r"flow has shape .*a vector \[40, 2\] or a tensor \[40, 2, 2\]"):
            model(data)
    data.flow = -sample().conductivity
    with pytest.raises(ValueError, match=r"e\^T A e <= 0 on the edge from node"):
        model(data)
    made = MeshEdges()(sample())
    own = MeshData(x=made.x, pos=made.pos, flow=made.wind, edge_index=made.edge_index, edge_attr=made.edge_attr)
    with pytest.raises(ValueError, match="edge_attr is the sample's own: leave it out"):
        model(own)


def meshed(pos):
    return torch.from_numpy(Delaunay(pos.numpy()).simplices.T.astype(np.int64))


@pytest.mark.parametrize("prepare", [MeshEdges(), KNNPatches(12, radius=0.2, least=2)], ids=["edges", "patches"])
def test_samples_of_a_batch_prepared_anew_hold_no_rows_of_others(prepare):
    """The points of the first sample move, and it has other numbers of cells, edges and neighbours then."""
    generator = torch.Generator().manual_seed(0)
    first, second, moved = (torch.rand(n, 2, generator=generator) for n in (30, 25, 30))
    old, still, new = (MeshData(pos=pos, face=meshed(pos)) for pos in (first, second, moved**3))
    batch = Batch.from_data_list([prepare(copy.copy(one)) for one in (old, still)])
    want = Batch.from_data_list([new, still])
    for name in ("pos", "face"):
        batch[name] = want[name]
        batch._slice_dict[name] = want._slice_dict[name]
    batch = prepare(batch)
    again = Batch.from_data_list([prepare(one) for one in batch.to_data_list()])
    for name in ("edge_index", "patch_index"):
        assert batch.get(name) is None or {*map(tuple, again[name].t().tolist())} == {
            *map(tuple, batch[name].t().tolist())
        }
