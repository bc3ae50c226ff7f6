"""``core`` as one graph, and as a file that runs without the model's class."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils import _pytree as pytree
from torch_geometric.data import Batch

from pyg_neuralops.data import Mesh, with_weights
from pyg_neuralops.models import MODELS, build_model
from pyg_neuralops.testing import random_grid, random_mesh

# Dynamo's own use of autograd functions, seen where warnings are errors.
pytestmark = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")

# Graph U-Net keeps the nodes that the data choose: sizes of tensors depend on values.
ONE_GRAPH = [name for name in MODELS if name != "graph-unet"]
EXPORTED = ["la2former", "lrsa", "mesh-graph-net"]


def small(name):
    torch.manual_seed(0)
    return build_model(name, in_channels=2, out_channels=1, hidden_channels=32, num_layers=1).eval()


def inputs(model, data):
    data = model.prepare(data)
    return data.x, Mesh.from_data(data)


@pytest.mark.parametrize("name", ONE_GRAPH)
def test_core_is_one_graph(name):
    """The backend plays no part in whether there is one graph; "eager" needs no C++ compiler."""
    torch._dynamo.reset()
    model = small(name)
    compiled = torch.compile(model.core, backend="eager", fullgraph=True)
    x, mesh = inputs(model, random_grid((5, 8)) if name == "fno" else random_mesh(40, wind=True))
    torch.testing.assert_close(compiled(x, mesh), model.core(x, mesh))
    if name != "fno":
        ragged = inputs(model, Batch.from_data_list([random_mesh(n, seed=n, wind=True) for n in (30, 17)]))
        torch.testing.assert_close(compiled(*ragged), model.core(*ragged))


@pytest.mark.parametrize("name", ["la2former-lrsa", "galerkin-transformer", "transolver", "lno", "gno", "graph-sage"])
def test_weights_of_nodes_are_part_of_it(name):
    torch._dynamo.reset()
    model = small(name)
    samples = [model.prepare(with_weights(random_mesh(n, seed=n))) for n in (30, 17)]
    data = Batch.from_data_list(samples)
    mesh, compiled = Mesh.from_data(data, True), torch.compile(model.core, backend="eager", fullgraph=True)
    found = compiled(data.x, mesh)
    torch.testing.assert_close(found, model.core(data.x, mesh))
    assert not torch.allclose(found, model.core(data.x, Mesh.from_data(data)), atol=1e-6)


def test_a_learned_metric_is_part_of_it():
    torch._dynamo.reset()
    torch.manual_seed(0)
    settings = {"hidden_channels": 32, "num_layers": 1, "soft_mask": "metric", "direction": True}
    model = build_model("la2former", in_channels=2, out_channels=1, **settings).eval()
    nn.init.normal_(model.blocks[0].mixer.mixers[0].attention.metric.weight)
    compiled = torch.compile(model.core, backend="eager", fullgraph=True)
    x, mesh = inputs(model, random_mesh(40))
    torch.testing.assert_close(compiled(x, mesh), model.core(x, mesh))


def test_distances_to_a_reference_grid_are_part_of_it():
    torch._dynamo.reset()
    model = build_model("la2former-global", in_channels=2, out_channels=1, num_layers=1, coords="reference-grid")
    x, mesh = inputs(model, random_mesh(40))
    compiled = torch.compile(model.core, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, mesh), model.core(x, mesh))


class Core(nn.Module):
    """``torch.export`` takes a module, whose forward it traces."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x, mesh):
        return self.model.core(x, mesh)


def exportable(model, num_nodes):
    """Tiles are cut to the sample; edges are the form whose number may vary."""
    x, mesh = inputs(model, random_mesh(num_nodes, seed=num_nodes))
    return x, replace(mesh, patches=mesh.patches and replace(mesh.patches, tiles=None))


def dynamic(tensor, sizes):
    return {axis: torch.export.Dim.DYNAMIC for axis, size in enumerate(tensor.shape) if size in sizes}


def shapes(value, sizes):
    """Of a structure of tensors, as nested lists."""
    if isinstance(value, torch.Tensor):
        return dynamic(value, sizes)
    return [shapes(part, sizes) for part in pytree.SUPPORTED_NODES[type(value)].flatten_fn(value)[0]]


FRESH = """
import sys, torch
import pyg_neuralops.data  # makes Mesh known to torch
program = torch.export.load(sys.argv[1]).module()
for x, mesh, expected in torch.load(sys.argv[2], weights_only=False):
    torch.testing.assert_close(program(x, mesh), expected)
"""


@pytest.mark.parametrize("name", EXPORTED)
def test_exported_core_runs_elsewhere_at_any_size(name, tmp_path):
    model = small(name)
    x, mesh = exportable(model, 50)
    # Nodes and edges, by their numbers here; nothing else has as many.
    sizes = {50} | {
        leaf.shape[1] for leaf in (mesh.edge_index, mesh.patches and mesh.patches.index) if leaf is not None
    }
    program = torch.export.export(Core(model), (x, mesh), dynamic_shapes=(dynamic(x, sizes), shapes(mesh, sizes)))
    torch.export.save(program, tmp_path / "core.pt2")
    cases = []
    for num_nodes in (37, 60, 131):
        case = exportable(model, num_nodes)
        with torch.no_grad():
            cases.append((*case, model.core(*case)))
    torch.save(cases, tmp_path / "cases.pt")
    (tmp_path / "fresh.py").write_text(FRESH)
    run = [sys.executable, "-W", "ignore", tmp_path / "fresh.py", tmp_path / "core.pt2", tmp_path / "cases.pt"]
    done = subprocess.run(run, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
