"""Pictures of every kind of sample, on the true cells, without pyplot's state."""

from __future__ import annotations

import pytest
import torch
from matplotlib.collections import PathCollection, TriMesh
from matplotlib.figure import Figure

from pyg_neuralops.data import MeshData
from pyg_neuralops.plotting import plot_field, plot_predictions, save_figure, surface
from pyg_neuralops.testing import random_mesh


def quads() -> MeshData:
    pos = torch.cartesian_prod(torch.arange(3.0), torch.arange(4.0))
    index = torch.arange(12).view(3, 4)
    corners = (index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:])
    return MeshData(pos=pos, quad=torch.stack([corner.flatten() for corner in corners]), y=pos[:, :1])


def areas(data: MeshData) -> torch.Tensor:
    a, b, c = data.pos[surface(data)].unbind(1)
    return 0.5 * torch.linalg.det(torch.stack([b - a, c - a], 1)).abs()


def test_quads_are_cut_without_loss():
    assert areas(quads()).tolist() == [0.5] * 12


def test_surface_of_tetrahedra_is_closed_and_holds_no_inner_face():
    data = random_mesh(30, pos_dim=3)
    triangles = surface(data)
    edges = torch.cat([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]).sort(1).values
    assert (edges.unique(dim=0, return_counts=True)[1] == 2).all()
    assert len(triangles) < 4 * data.tet.shape[1]


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("cells", [True, False])
@pytest.mark.parametrize("inputs", [True, False])
def test_every_kind_of_sample_is_drawn(dim, cells, inputs, tmp_path):
    data = random_mesh(25, pos_dim=dim, cells=cells)
    if not inputs:
        del data.x
    predictions = {"a": data.y + 0.1, "b": data.y * 2}
    path = save_figure(plot_predictions(data, predictions), tmp_path / "fields.png", dpi=40)
    assert path.read_bytes()[:4] == b"\x89PNG"


def test_truth_and_predictions_share_one_scale_and_so_do_errors():
    data = quads()
    figure = plot_predictions(data, {"a": data.y + 5, "b": data.y - 1})
    drawn = [item for ax in figure.axes for item in ax.collections if isinstance(item, TriMesh)]
    scales = [(item.norm.vmin, item.norm.vmax) for item in drawn]
    assert scales[:3] == [(0.0, 2.0)] * 3
    assert scales[3] == scales[4] == (0.0, 5.0)


def test_points_are_drawn_where_there_are_no_cells():
    data = random_mesh(25, cells=False)
    ax = Figure().subplots()
    plot_field(ax, data, data.y)
    assert [type(item) for item in ax.collections] == [PathCollection]
    with pytest.raises(ValueError, match="values has 24 entries; the sample has 25 nodes"):
        plot_field(ax, data, data.y[1:])
