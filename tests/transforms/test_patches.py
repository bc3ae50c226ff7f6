"""Patches that respect the domain and follow the physics: equal to brute force."""

import numpy as np
import pytest
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import shortest_path
from scipy.spatial import Delaunay
from torch_geometric.data import Batch

from pyg_neuralops.data import MeshData
from pyg_neuralops.ops import edge_offsets, knn_graph
from pyg_neuralops.testing import random_mesh
from pyg_neuralops.transforms import Anisotropic, GraphEdges, KNNPatches, MeshEdges, Upwind, parse_metric


def neighbours(data, k):
    """[N, k] sorted distances-free sets of neighbours."""
    return data.patch_index[0].view(-1, k).sort(1).values


def winds(n, seed=0):
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("stretch", [1.0, 6.0, 40.0])
def test_upwind_patches_are_the_nearest_by_definition(stretch, both):
    data = random_mesh(150, dtype=torch.float64)
    data.wind = winds(150).double()
    data.wind[7] = 0
    offset = data.pos[None] - data.pos[:, None]  # [i, j, D]
    unit = torch.nn.functional.normalize(data.wind, dim=1)
    along = (offset * unit[:, None]).sum(-1)
    across = (offset - along[..., None] * unit[:, None]).square().sum(-1)
    factor = torch.where((along < 0) | torch.tensor(both), 1 / stretch, 1.0)
    distance = (across + (factor * along).square()).sqrt()
    want = distance.topk(9, largest=False).indices.sort(1).values
    assert torch.equal(neighbours(KNNPatches(9, metric=Upwind("wind", stretch, both=both))(data), 9), want)


def test_tensor_patches_are_the_nearest_by_definition():
    data = random_mesh(150, dtype=torch.float64)
    angle = torch.rand(150).double() * 3
    rotation = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(-1, 2, 2)
    ratio = 10 ** (3 * torch.rand(150).double())
    stretch = torch.diag_embed(torch.stack([torch.ones(150).double(), 1 / ratio], 1))
    data.conductivity = rotation @ stretch @ rotation.transpose(1, 2)
    offset = data.pos[None] - data.pos[:, None]
    distance = torch.einsum("ijp,ipq,ijq->ij", offset, data.conductivity.inverse(), offset)
    want = distance.topk(9, largest=False).indices.sort(1).values
    assert torch.equal(neighbours(KNNPatches(9, metric=Anisotropic("conductivity"))(data), 9), want)
    data.conductivity[3] = -data.conductivity[3]
    with pytest.raises(ValueError, match="positive definite at node 3"):
        KNNPatches(9, metric=Anisotropic("conductivity"))(data)


def test_periodic_patches_are_those_of_the_nearest_image():
    data = random_mesh(120, dtype=torch.float64)
    data.pos = data.pos * torch.tensor([2.0, 1.0]) - 0.7  # the box need not start at the origin
    period = torch.tensor([2.0, 1.0]).double()
    images = torch.stack([data.pos + torch.tensor([a, b]) * period for a in (-1, 0, 1) for b in (-1, 0, 1)])
    distance = torch.cdist(data.pos, images.view(-1, 2)).view(120, 9, 120).amin(1)
    out = KNNPatches(9, period=(2, 1))(data)
    assert torch.equal(neighbours(out, 9), distance.topk(9, largest=False).indices.sort(1).values)
    offset = edge_offsets(data.pos, out.patch_index, period)
    source, target = out.patch_index
    torch.testing.assert_close(offset.norm(dim=1), distance[target, source])
    torch.testing.assert_close(out.patch_reach, distance.topk(9, largest=False).values[:, -1])
    half = KNNPatches(9, period=(None, 1))(data)
    images = torch.stack([data.pos + torch.tensor([0, b]) * period for b in (-1, 0, 1)])
    distance = torch.cdist(data.pos, images.view(-1, 2)).view(120, 3, 120).amin(1)
    assert torch.equal(neighbours(half, 9), distance.topk(9, largest=False).indices.sort(1).values)


def slit_mesh(n=600, seed=0):
    """The unit square cut from (0.2, 0.5) to (1, 0.5): points on both sides, no cell across."""
    rng = np.random.default_rng(seed)
    pos = rng.random((n, 2))
    lips = [np.stack([rng.uniform(0.2, 1, 30), np.full(30, 0.5 + s)], 1) for s in (-1e-4, 1e-4)]
    pos = np.concatenate([pos, *lips])
    face = Delaunay(pos).simplices
    above = pos[:, 1] > 0.5
    crosses = (above[face].any(1) & ~above[face].all(1)) & (pos[face][..., 0].max(1) > 0.2)
    return MeshData(pos=torch.from_numpy(pos), face=torch.from_numpy(face[~crosses].T.astype(np.int64)))


def test_patches_do_not_reach_through_a_slit():
    data = MeshEdges()(slit_mesh())
    k, pos, n = 12, data.pos.numpy(), data.num_nodes
    source, target = data.edge_index.numpy()
    straight = np.linalg.norm(pos[:, None] - pos[None], axis=-1)
    path = shortest_path(coo_matrix((straight[source, target], (source, target)), (n, n)))
    distance = np.where(path <= 2 * straight, straight, np.inf)
    nearest = np.argsort(distance, 1)[:, :k]
    want = {(j, i) for i in range(n) for j in nearest[i] if distance[i, j] < np.inf}
    out = KNNPatches(k, through_solid=False)(data)
    assert set(map(tuple, out.patch_index.t().tolist())) == want

    def across(index):
        deep = (data.pos[index, 0] > 0.3).all(0)
        return int((deep & ((data.pos[index[0], 1] > 0.5) != (data.pos[index[1], 1] > 0.5))).sum())

    assert across(knn_graph(data.pos, k)) > 300
    assert across(out.patch_index) == 0


def test_neighbours_of_a_point_cloud_are_no_mesh():
    slit, patches = slit_mesh(200), KNNPatches(8, through_solid=False)
    cloud = MeshData(pos=slit.pos)
    want = patches(slit)
    for data in (cloud, GraphEdges(6)(cloud), Batch.from_data_list([GraphEdges(6)(cloud)] * 2)):
        with pytest.raises(ValueError, match="the data hold no cells"):
            patches(data)
    cloud.face = slit.face[:, :0]
    for batch in ([slit, cloud], [cloud, slit]):
        for data in (Batch.from_data_list(batch), GraphEdges(6)(Batch.from_data_list(batch))):
            with pytest.raises(ValueError, match="the data hold no cells"):
                patches(data)
    late = GraphEdges(6)(MeshData(pos=slit.pos))  # neighbours, made before the cells were known
    late.face = slit.face
    assert torch.equal(patches(late).patch_index, want.patch_index)


def test_edges_made_of_cells_never_stand_for_other_cells_or_own_edges():
    slit, patches = slit_mesh(200), KNNPatches(8, through_solid=False)
    want = patches(slit)
    whole = MeshData(pos=slit.pos, face=torch.from_numpy(Delaunay(slit.pos.numpy()).simplices.T.astype(np.int64)))
    assert not torch.equal(patches(whole).patch_index, want.patch_index)
    cut = MeshEdges()(whole)  # the cells change after their edges were made
    cut.face = slit.face
    gone, own = MeshEdges()(slit), MeshData(pos=slit.pos, edge_index=MeshEdges()(slit).edge_index)
    del gone.face
    for data in (cut, gone, own, GraphEdges()(own), patches(GraphEdges()(slit))):
        assert torch.equal(patches(data).patch_index, want.patch_index)
    pair = patches(Batch.from_data_list([slit, whole]))
    n = slit.num_nodes
    assert torch.equal(pair.patch_index, torch.cat([want.patch_index, patches(whole).patch_index + n], 1))
    done = patches(GraphEdges()(slit))
    assert patches(done).patch_index is done.patch_index


def test_in_a_convex_mesh_everything_is_reached():
    for data in (random_mesh(200), random_mesh(100, pos_dim=3)):
        plain, reached = KNNPatches(10)(data), KNNPatches(10, through_solid=False)(data)
        same = (neighbours(plain, 10) == neighbours(reached, 10)).all(1)
        # Cells on the hull may be thin; away from it nothing differs.
        inner = ((data.pos > 0.15) & (data.pos < 0.85)).all(1)
        assert same[inner].all()


def test_separate_pieces_do_not_meet_and_may_be_smaller_than_k():
    one = random_mesh(6, dtype=torch.float64)
    pos = torch.cat([one.pos, one.pos + 1e-3])
    data = MeshData(pos=pos, face=torch.cat([one.face, one.face + 6], 1))
    source, target = KNNPatches(10, through_solid=False)(data).patch_index
    assert (source // 6 == target // 6).all()
    assert (torch.bincount(target) <= 6).all()
    assert (torch.bincount(target) >= 1).all()


def test_metrics_are_told_apart_and_read_back():
    for metric in (Upwind("wind", 6), Upwind("b", 2.5, both=True), Anisotropic("a")):
        assert repr(parse_metric(repr(metric))) == repr(metric)
    assert repr(parse_metric("Upwind(wind, stretch=6)")) == repr(Upwind("wind", 6))
    data = random_mesh(30)
    data.wind = winds(30)
    data = KNNPatches(5, metric=Upwind("wind", 6))(data)
    with pytest.raises(ValueError, match=r"stretch=6.*stretch=7"):
        KNNPatches(5, metric=Upwind("wind", 7))(data)
    for text in (
        "Sideways('wind')",
        "Anisotropic('a', stretch=2)",
        "__import__('os')",
        "Upwind",
        "Upwind(1)(2)",
        "Upwind(f())",
    ):
        with pytest.raises(ValueError, match="metric"):
            parse_metric(text)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: KNNPatches(5, through_solid=False, period=1), "choose one"),
        (lambda: KNNPatches(5, period=(-1, 1)), "period"),
        (lambda: KNNPatches(5, period=(1, 1, 1))(random_mesh(9)), "3 sides; the data are 2D"),
        (lambda: Upwind("wind", 0.5), "stretch=0.5"),
        (lambda: KNNPatches(5, metric=Upwind("wind"))(random_mesh(9)), "data.wind, which is missing"),
        (lambda: KNNPatches(5, through_solid=False)(random_mesh(9, cells=False)), "no cells"),
    ],
)
def test_wrong_settings_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
