import pytest
import torch
from torch.utils.data import IterDataPipe
from torch_geometric.data import Batch
from torch_geometric.utils import is_undirected

from pyg_neuralops.data import MeshData
from pyg_neuralops.testing import random_mesh
from pyg_neuralops.transforms import GraphEdges, KNNPatches, MeshEdges


def test_patches_stand_beside_the_mesh_edges():
    data = MeshEdges()(random_mesh(40))
    out = KNNPatches(6)(data)
    assert torch.equal(out.edge_index, data.edge_index)
    assert out.patch_index.shape == (2, 240)
    assert data.get("patch_index") is None


def test_patches_are_a_functional_transform_of_pyg():
    assert {"knn_patches", "mesh_edges", "graph_edges"} <= set(IterDataPipe.functions)


def test_patches_of_another_k_are_refused():
    data = KNNPatches(6)(random_mesh(40))
    assert KNNPatches(6)(data).patch_index is data.patch_index
    with pytest.raises(ValueError, match=r"knn\(k=6\).*knn\(k=8\)"):
        KNNPatches(8)(data)
    with pytest.raises(ValueError, match=r"knn\(k=6\).*knn\(k=8\)"):
        KNNPatches(8)(Batch.from_data_list([data, data]))


def test_batching_prepared_samples_equals_preparing_the_batch():
    samples = [random_mesh(n, seed=n) for n in (30, 17, 25)]
    for transform in (KNNPatches(5), MeshEdges(), GraphEdges()):
        one = Batch.from_data_list([transform(s) for s in samples])
        two = transform(Batch.from_data_list(samples))
        for name in ("patch_index", "patch_reach", "edge_index", "edge_attr"):
            if one.get(name) is not None:
                assert torch.equal(one[name], two[name]), name


@pytest.mark.parametrize(
    ("cells", "count"),
    [
        ({"face": [[0], [1], [2]]}, 3),
        ({"quad": [[0], [1], [2], [3]]}, 4),
        ({"tet": [[0], [1], [2], [3]]}, 6),
        ({"face": [[0, 1], [1, 2], [2, 3]]}, 5),
    ],
)
def test_mesh_edges_are_each_side_of_each_cell_once(cells, count):
    pos = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    data = MeshEdges()(MeshData(pos=pos, **{k: torch.tensor(v) for k, v in cells.items()}))
    assert data.edge_index.shape[1] == 2 * count
    assert is_undirected(data.edge_index)
    source, target = data.edge_index
    torch.testing.assert_close(data.edge_attr[:, :2], pos[source] - pos[target])
    torch.testing.assert_close(data.edge_attr[:, 2], (pos[source] - pos[target]).norm(dim=1))


def test_a_point_cloud_has_no_mesh_edges_but_a_graph():
    cloud = random_mesh(30, cells=False)
    with pytest.raises(ValueError, match="no cells"):
        MeshEdges()(cloud)
    assert is_undirected(GraphEdges(4)(cloud).edge_index)


def test_in_a_batch_meshes_keep_their_edges_and_point_clouds_get_neighbours():
    mesh, cloud, other = random_mesh(20, seed=1), random_mesh(15, cells=False), random_mesh(12, seed=2)
    cloud.face = mesh.face[:, :0]
    for samples in ([mesh, cloud, other], [cloud, mesh], [cloud, other, cloud]):
        batch = GraphEdges(4)(Batch.from_data_list(samples))
        want = [GraphEdges(4)(sample) for sample in samples]
        starts = batch.ptr[:-1].tolist()
        edges = torch.cat([one.edge_index + start for one, start in zip(want, starts, strict=True)], 1)
        assert torch.equal(batch.edge_index, edges)
        torch.testing.assert_close(batch.edge_attr, torch.cat([one.edge_attr for one in want]))
        assert batch.edge_key == [one.edge_key for one in want]
        assert GraphEdges(4)(batch).edge_index is batch.edge_index
        inside = batch.batch[batch.edge_index[0]] == batch.batch[batch.edge_index[1]]
        assert inside.all()
        assert (torch.bincount(batch.edge_index[1], minlength=len(batch.pos)) > 0).all()
