"""Mesh samples, their files, and their batches."""

from .check import check_sample, checked
from .dataset import MeshDataset, fingerprint
from .files import locked, replacing, save_tensors
from .hdf5 import hdf5_info, open_hdf5, read_hdf5, read_sample
from .hdf5_meshes import HDF5Meshes
from .hdf5_samples import HDF5Samples
from .hdf5_writer import write_hdf5
from .loader import MeshBatchSampler, mesh_loader
from .mesh import Mesh, Patches
from .mesh_data import CELLS, MeshData
from .quadrature import nodal_weights, with_weights
from .splits import PROTOCOLS, split_indices

__all__ = [
    "CELLS",
    "PROTOCOLS",
    "HDF5Meshes",
    "HDF5Samples",
    "Mesh",
    "MeshBatchSampler",
    "MeshData",
    "MeshDataset",
    "Patches",
    "check_sample",
    "checked",
    "fingerprint",
    "hdf5_info",
    "locked",
    "mesh_loader",
    "nodal_weights",
    "open_hdf5",
    "read_hdf5",
    "read_sample",
    "replacing",
    "save_tensors",
    "split_indices",
    "with_weights",
    "write_hdf5",
]
