"""``LaplacianModes``: the lowest vibrations of a mesh, a basis for smooth fields on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy import sparse
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from ..data import CELLS, MeshData, as_mesh_data, nodal_weights
from ..data.laplacian import cell_stiffness, cloud_laplacian, lowest_modes
from ..data.prepared import check_settings, digests, is_checked, is_current, stamped
from ..ops.edges import smallest_reach
from .knn_patches import KNNPatches
from .patch_cache import PatchCache, Patches

NEIGHBOURS = 12
"""Of the graph of a point cloud, without the point itself."""


@functional_transform("laplacian_modes")
class LaplacianModes(BaseTransform):
    r"""Write the eigenfunctions of the mesh's Laplacian with the lowest eigenvalues (free boundary).

    ``mode_values [N, M]``, of mean square 1; ``mode_weight [N]``, each node's share of the domain, with sum 1, so that
    :math:`\Phi^\top \mathrm{diag}(w) \Phi = 1`; and ``eigenvalues [1, M]``, times the size of the domain squared
    (its volume to the power 2 / D), so that neither unit nor scale matters. Where a mesh has fewer than M nodes the
    rest is zero. ``mode_key`` records the settings and a digest of positions and cells; modes of others are made again.

    Cells give linear finite elements (:func:`pyg_neuralops.data.laplacian.cell_stiffness`); point clouds, and periodic
    boxes, a graph of 12 neighbours (:func:`~pyg_neuralops.data.laplacian.cloud_laplacian`). Signs, and the basis of
    equal eigenvalues, are arbitrary: what reads modes must not depend on them, as :class:`SpectralMixer` does not.
    Equal ones are there all or not at all: where M would part them it is less, and the rest zero. Solved by
    ``scipy.sparse.linalg.eigsh``,
    shifted and inverted, once for each geometry.

    Args:
        modes: M. period: side lengths of a periodic box, as in :class:`KNNPatches`.
        cache_mib: memory for the modes of geometries seen lately.

    Raises:
        ValueError: for modes < 1; for data with other modes, or a mesh whose cells have no volume.
    """

    def __init__(
        self, modes: int = 64, *, period: float | Sequence[float | None] | None = None, cache_mib: float = 256
    ):
        if isinstance(modes, bool) or not isinstance(modes, int) or modes < 1:
            raise ValueError(f"modes={modes!r}; it must be an integer of at least 1")
        self.modes = modes
        self.patches = KNNPatches(NEIGHBOURS + 1, period=period)
        self.cache = PatchCache(cache_mib)

    @property
    def key(self) -> str:
        """What ``mode_key`` says of the settings."""
        period = self.patches.period
        return f"laplacian(modes={self.modes}{f', period={period}' if period else ''})"

    def forward(self, data: Data) -> Data:
        found = data.get("mode_key")
        if found is not None:
            check_settings("modes", found, self.key)
        if is_checked(found):
            return data
        cells = [name for name in CELLS if data.get(name) is not None and data[name].numel()]
        now = digests(data, ["pos"], cells)
        if found is not None and is_current(found, now):
            return data
        if data.get("batch") is not None:
            samples = [self(sample) for sample in _apart(data, cells)]
            for name in ("mode_values", "mode_weight", "eigenvalues"):
                data[name] = torch.cat([sample[name] for sample in samples])
        else:
            geometry = f"{self.key}{now}{data.pos.dtype}{data.pos.device}"
            known = self.cache.get(geometry)
            made = self._modes(data) if known is None else known
            if known is None and not torch.is_inference_mode_enabled():  # such tensors cannot be trained with
                self.cache.put(geometry, made)
            data.update(made)
        data.mode_key = stamped(self.key, now, data.get("batch") is not None)
        return data

    def _modes(self, data: Data) -> Patches:
        mesh = as_mesh_data(data)
        count, dim = mesh.pos.shape
        if mesh.cells and not self.patches.period:
            dim = max(CELLS[name].dim for name in mesh.cells)
            mass, laplacian = nodal_weights(mesh), cell_stiffness(mesh)
        elif count < 2:
            mass, laplacian = torch.ones(count), sparse.csr_matrix((count, count))
        else:
            cloud = self.patches(MeshData(pos=mesh.pos))
            edges = cloud.patch_index[:, cloud.patch_index[0] != cloud.patch_index[1]]
            reach, period = cloud.patch_reach, cloud.get("patch_period")
            stuck = reach <= smallest_reach(reach.dtype)
            if stuck.any():
                raise ValueError(f"node {int(stuck.nonzero()[0])} has {edges.shape[1] // count} others at its place")
            laplacian, mass = cloud_laplacian(mesh.pos, edges, reach, None if period is None else period[0])
        share = mass.detach().double().cpu().numpy()
        volume = share.sum()
        if not volume > 0:
            raise ValueError("the cells of the mesh have no volume; its Laplacian has no modes")
        values, vectors = lowest_modes(laplacian, share, self.modes, volume ** (1 / dim))
        missing = self.modes - len(values)
        made = {
            "mode_values": np.pad(vectors, ((0, 0), (0, missing))),
            "mode_weight": share / volume,
            "eigenvalues": np.pad(values * volume ** (2 / dim), (0, missing))[None],
        }
        return {name: torch.from_numpy(value).to(data.pos) for name, value in made.items()}

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.modes})"


def _apart(data: Data, cells: Sequence[str]) -> list[MeshData]:
    """Positions and cells of the samples of a batch, which may be made by hand."""
    batch, start = data.batch, 0
    samples: list[MeshData] = []
    for size in torch.bincount(batch).tolist():
        own = {name: data[name][:, batch[data[name][0].long()] == len(samples)] - start for name in cells}
        samples.append(MeshData(pos=data.pos[start : start + size], **own))
        start += size
    return samples
