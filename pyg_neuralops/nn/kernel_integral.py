"""``KernelIntegral``: the mean of a learned kernel times the field over each node's patch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from ..data import Mesh
from ..ops import edge_offsets, edge_shares
from .initial import reset_parts
from .mlp import MLP


class KernelIntegral(MessagePassing):
    r"""Kernel integral of the graph neural operator (Li et al. 2020, arXiv 2003.03485, eq. 6).

    .. math:: y_i = W_o \frac{1}{|\mathcal N(i)|} \sum_{j \in \mathcal N(i)} \kappa(p_i, p_j, a_i, a_j) \odot W_v x_j

    over the patch of each node. :math:`\kappa` is an MLP of the relative position in units of the patch's reach,
    (p_j - p_i) / l_i, with ``coords`` of the scaled positions of both ends, and of the model's inputs a there, as in
    the authors' code. It gives one number per channel, as in GINO (arXiv 2309.00583), where the paper has a C x C
    matrix for every edge. With ``mesh.weight`` the mean is by weight.

    Args:
        channels: C. pos_dim: D. kernel_channels: hidden width of the kernel's MLP.
        in_channels: F, of ``mesh.inputs``; with 0 the kernel sees positions only.
        coords: whether it sees where in the domain the edge lies.

    Shapes: ``x [N, C], mesh with patches (and inputs [N, F]) -> [N, C]``.

    Raises:
        ValueError: in forward, if the mesh has no patches, or not those inputs.
    """

    def __init__(
        self, channels: int, *, pos_dim: int = 2, kernel_channels: int = 64, in_channels: int = 0, coords: bool = True
    ):
        super().__init__(aggr="mean")
        self.channels, self.in_channels, self.coords = channels, in_channels, coords
        self.kernel = MLP(pos_dim * (3 if coords else 1) + 2 * in_channels, kernel_channels, kernel_channels, channels)
        self.value, self.out = nn.Linear(channels, channels), nn.Linear(channels, channels)

    def reset_parameters(self) -> None:
        reset_parts(self)

    def forward(self, x: Tensor, mesh: Mesh) -> Tensor:
        patches = mesh.patches
        if patches is None:
            raise ValueError("the mesh has no patches; apply KNNPatches (model.prepare does)")
        edge_index = patches.index
        source, target = edge_index
        parts = [edge_offsets(mesh.pos, edge_index, patches.period) / patches.reach.index_select(0, target)[:, None]]
        if self.coords:
            parts += [mesh.coords.index_select(0, target), mesh.coords.index_select(0, source)]
        if self.in_channels:
            if mesh.inputs is None or mesh.inputs.shape[1] != self.in_channels:
                found = 0 if mesh.inputs is None else mesh.inputs.shape[1]
                raise ValueError(
                    f"the mesh has {found} inputs; the kernel was built with in_channels={self.in_channels}"
                )
            parts += [mesh.inputs.index_select(0, target), mesh.inputs.index_select(0, source)]
        kernel = self.kernel(torch.cat(parts, 1).to(x.dtype))  # [E, C]
        if mesh.weight is not None:
            kernel = kernel * edge_shares(mesh.weight, edge_index).to(x.dtype)[:, None]
        # propagate_type: (v: Tensor, kernel: Tensor)
        y = self.propagate(edge_index, v=self.value(x), kernel=kernel, size=(x.shape[0], x.shape[0]))
        return self.out(y)

    def message(self, v_j: Tensor, kernel: Tensor) -> Tensor:
        return kernel * v_j

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.channels}, coords={self.coords})"
