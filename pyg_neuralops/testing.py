"""Properties that every mixer and model must have, as assertions for anybody's tests."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.spatial import Delaunay
from torch import Tensor, nn
from torch_geometric.data import Batch

from .data import MeshData, field_of
from .data.mesh import Mesh
from .models import NeuralOperator
from .nn.initial import reset_parameters
from .transforms import GraphEdges, KNNPatches


def random_mesh(
    num_nodes: int = 60,
    *,
    in_channels: int = 2,
    out_channels: int = 1,
    pos_dim: int = 2,
    seed: int = 0,
    cells: bool = True,
    dtype: torch.dtype = torch.float32,
    wind: bool = False,
) -> MeshData:
    """A Delaunay mesh of random points with random fields; no two distances tie.

    Args:
        cells: whether the cells (``face`` in 2D, ``tet`` in 3D) are present; without them it is a point cloud.
        wind: whether there is a random ``wind [N, D]``, for models that read one.
    """
    rng = np.random.default_rng(seed)
    pos = rng.random((num_nodes, pos_dim))
    data = MeshData(
        x=torch.from_numpy(rng.standard_normal((num_nodes, in_channels))).to(dtype),
        y=torch.from_numpy(rng.standard_normal((num_nodes, out_channels))).to(dtype),
        pos=torch.from_numpy(pos).to(dtype),
    )
    if cells and pos_dim > 1:
        simplices = Delaunay(pos).simplices if num_nodes > pos_dim + 1 else np.empty((0, pos_dim + 1))
        data["face" if pos_dim == 2 else "tet"] = torch.from_numpy(simplices.T.astype(np.int64))
    if wind:
        data.wind = torch.from_numpy(rng.standard_normal((num_nodes, pos_dim))).to(dtype)
    return data


def random_grid(
    shape: Sequence[int],
    *,
    in_channels: int = 2,
    out_channels: int = 1,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> MeshData:
    """A structured grid ``shape`` on the unit box with random fields, for models that need ``grid_shape``.

    Axis a has ``shape[a]`` nodes at i / shape[a]: one period of a periodic grid.
    """
    generator = torch.Generator().manual_seed(seed)
    axes = [torch.arange(n, dtype=dtype) / n for n in shape]
    pos = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, -2)
    x = torch.randn(len(pos), in_channels, generator=generator, dtype=dtype)
    y = torch.randn(len(pos), out_channels, generator=generator, dtype=dtype)
    return MeshData(x=x, y=y, pos=pos, grid_shape=tuple(shape))


def permuted(data: MeshData, order: Tensor) -> MeshData:
    """The sample with its nodes in another order: new node ``i`` is old node ``order[i]``."""
    place = order.argsort()
    out = copy.copy(data)
    for name, value in data.to_dict().items():
        if isinstance(value, Tensor):
            kind = field_of(name, value, data.num_nodes).kind
            if kind == "cell" or name == "edge_index" or (kind == "prepared" and name.endswith("index")):
                out[name] = place[value]
            elif (kind == "node" and len(value) == data.num_nodes) or data.is_node_attr(name):
                out[name] = value[order]
    return out


class MixerModel(NeuralOperator):
    """A single mixer ``(x [N, C], mesh) -> [N, C]`` as a model, so that the assertions below apply to it."""

    def __init__(self, mixer: nn.Module, channels: int, pos_dim: int = 2, k: int = 8):
        super().__init__()
        self.mixer, self.k = mixer, k
        self.in_channels = self.out_channels = channels
        self.pos_dim = pos_dim

    @property
    def transforms(self) -> Sequence:
        return (GraphEdges(), KNNPatches(self.k))

    def core(self, x: Tensor, mesh: Mesh) -> Tensor:
        return self.mixer(x, mesh)

    def reset_parameters(self) -> None:
        reset_parameters(self.mixer)


def _assert_close(got: Tensor, want: Tensor, tolerance: float, what: str) -> None:
    difference = (got - want).abs().max().item()
    scale = want.abs().max().item()
    if not difference <= tolerance * max(scale, 1e-30):
        raise AssertionError(f"{what}: largest difference {difference:.3e} of {scale:.3e}, allowed {tolerance:.0e}")


def assert_permutation_equivariant(model: nn.Module, data: MeshData, *, tolerance: float = 1e-5, seed: int = 0) -> None:
    """Renumbering the nodes renumbers the output and changes nothing else. Needs points without tied distances."""
    order = torch.randperm(data.num_nodes, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        _assert_close(model(permuted(data, order)), model(data)[order], tolerance, "not permutation equivariant")


def assert_batch_invariant(model: nn.Module, samples: Sequence[MeshData], *, tolerance: float = 1e-5) -> None:
    """A sample's output in a batch is its output alone. Use meshes of different sizes."""
    prepare = model.prepare if isinstance(model, NeuralOperator) else lambda data: data
    prepared = [prepare(data) for data in samples]
    with torch.no_grad():
        together = model(Batch.from_data_list(prepared)).split([data.num_nodes for data in samples])
        for index, (data, out) in enumerate(zip(prepared, together, strict=True)):
            _assert_close(out, model(data), tolerance, f"sample {index} depends on its batch mates")


def assert_translation_invariant(
    model: nn.Module, data: MeshData, *, offset: float = 3.0, tolerance: float = 1e-4
) -> None:
    """Moving the mesh as a whole leaves the output as it is (models that see relative positions only)."""
    moved = copy.copy(data)
    moved.pos = data.pos + offset
    with torch.no_grad():
        _assert_close(model(moved), model(data), tolerance, "not translation invariant")


def assert_gradients(model: nn.Module, data: MeshData) -> None:
    """Gradients of input and parameters equal finite differences, in float64 (``torch.autograd.gradcheck``)."""
    model = copy.deepcopy(model).double()
    data = copy.copy(data)
    data.pos, x = data.pos.double(), data.x.double().requires_grad_()
    names, parameters = zip(*((n, p) for n, p in model.named_parameters() if p.numel()), strict=True)

    def run(x: Tensor, *values: Tensor) -> Tensor:
        sample = copy.copy(data)
        sample.x = x
        return torch.func.functional_call(model, dict(zip(names, values, strict=True)), (sample,))

    torch.autograd.gradcheck(run, (x, *parameters), fast_mode=True)


def assert_resets_parameters(build: Callable[[], nn.Module], *, seed: int = 0) -> None:
    """``reset_parameters()`` is the constructor again: all that was learned goes, and a seed gives the same numbers.

    Args:
        build: makes the module, parts included, drawing from torch's generator only.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = build()
        module = copy.deepcopy(fresh)
        tensors = dict([*module.named_parameters(), *module.named_buffers()])
        with torch.no_grad():
            for tensor in tensors.values():
                if tensor.is_floating_point() or tensor.is_complex():
                    tensor.fill_(torch.nan)
                else:
                    tensor.zero_()
        torch.manual_seed(seed)
        reset_parameters(module)
    there = dict([*module.named_parameters(), *module.named_buffers()])
    for name, want in [*fresh.named_parameters(), *fresh.named_buffers()]:
        if there[name] is not tensors[name]:
            raise AssertionError(f"{name} is another tensor after a reset; an optimizer would hold the old one")
        if not torch.equal(there[name], want):
            kept = "keeps what was there" if there[name].isnan().any() else "starts otherwise than in the constructor"
            raise AssertionError(f"{name} {kept} after a reset")


def assert_sees_only(model: nn.Module, data: MeshData, edge_index: Tensor, hops: int = 1) -> None:
    """The output at a node does not depend on inputs further than ``hops`` edges away."""
    reach = torch.eye(data.num_nodes, dtype=torch.bool)
    for _ in range(hops):
        further = reach.clone()
        further[edge_index[1]] |= False
        further.index_put_((edge_index[1],), reach[edge_index[0]], accumulate=True)
        reach = further
    x = data.x.clone().requires_grad_()
    sample = copy.copy(data)
    sample.x = x
    out = model(sample)
    for node in range(data.num_nodes):
        (gradient,) = torch.autograd.grad(out[node].sum(), x, retain_graph=True)
        seen = gradient.abs().sum(1) > 0
        if (seen & ~reach[node]).any():
            stranger = int((seen & ~reach[node]).nonzero()[0])
            raise AssertionError(f"node {node} depends on node {stranger}, more than {hops} edges away")
