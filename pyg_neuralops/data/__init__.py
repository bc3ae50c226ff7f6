"""Mesh samples, their files, and their batches."""

from .check import check_sample, checked
from .dataset import MeshDataset, fingerprint
from .files import file_sha256, load_tensors, locked, remove_leftovers, replacing, save_tensors
from .hdf5 import hdf5_info, open_hdf5, read_hdf5, read_sample
from .hdf5_meshes import HDF5Meshes
from .hdf5_samples import HDF5Samples
from .hdf5_writer import write_hdf5
from .inputs import TIME_CHANNELS, input_parts, node_inputs, time_features
from .loader import MeshBatchSampler, mesh_loader
from .mesh import Mesh
from .mesh_data import CELLS, MeshData
from .quadrature import nodal_weights, with_weights
from .splits import PROTOCOLS, split_indices

__all__ = [
    "CELLS",
    "PROTOCOLS",
    "TIME_CHANNELS",
    "HDF5Meshes",
    "HDF5Samples",
    "Mesh",
    "MeshBatchSampler",
    "MeshData",
    "MeshDataset",
    "check_sample",
    "checked",
    "file_sha256",
    "fingerprint",
    "hdf5_info",
    "input_parts",
    "load_tensors",
    "locked",
    "mesh_loader",
    "nodal_weights",
    "node_inputs",
    "open_hdf5",
    "read_hdf5",
    "read_sample",
    "remove_leftovers",
    "replacing",
    "save_tensors",
    "split_indices",
    "time_features",
    "with_weights",
    "write_hdf5",
]
