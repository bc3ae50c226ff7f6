"""Mesh samples, their files, and their batches."""

from .check import check_sample, checked
from .dataset import MeshDataset, fingerprint
from .files import locked, replacing
from .hdf5 import hdf5_info, open_hdf5, read_hdf5, read_sample, write_hdf5
from .hdf5_meshes import HDF5Meshes
from .loader import MeshBatchSampler, mesh_loader
from .mesh import Mesh
from .mesh_data import CELLS, MeshData
from .splits import PROTOCOLS, split_indices

__all__ = [
    "CELLS",
    "PROTOCOLS",
    "HDF5Meshes",
    "Mesh",
    "MeshBatchSampler",
    "MeshData",
    "MeshDataset",
    "check_sample",
    "checked",
    "fingerprint",
    "hdf5_info",
    "locked",
    "mesh_loader",
    "open_hdf5",
    "read_hdf5",
    "read_sample",
    "replacing",
    "split_indices",
    "write_hdf5",
]
