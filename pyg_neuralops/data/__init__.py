"""Mesh samples, their files, and their batches."""

from .boundary import boundary_sides
from .cells import CELLS, CellType
from .check import as_mesh_data, check_sample, checked
from .dataset import MeshDataset, fingerprint
from .fields import FIELDS, Field, field_of
from .files import locked, replacing, save_tensors
from .hdf5 import hdf5_info, read_hdf5, read_sample
from .hdf5_layout import open_hdf5
from .hdf5_meshes import HDF5Meshes
from .hdf5_samples import HDF5Samples
from .hdf5_writer import write_hdf5
from .loader import MeshBatchSampler, mesh_loader
from .mesh import Mesh, Patches
from .mesh_data import MeshData, with_equal_cells
from .quadrature import nodal_weights, with_weights
from .splits import PROTOCOLS, split_indices

__all__ = [
    "CELLS",
    "FIELDS",
    "PROTOCOLS",
    "CellType",
    "Field",
    "HDF5Meshes",
    "HDF5Samples",
    "Mesh",
    "MeshBatchSampler",
    "MeshData",
    "MeshDataset",
    "Patches",
    "as_mesh_data",
    "boundary_sides",
    "check_sample",
    "checked",
    "field_of",
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
    "with_equal_cells",
    "with_weights",
    "write_hdf5",
]
