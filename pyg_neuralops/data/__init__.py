"""Mesh samples, their files, and their batches."""

from .boundary import boundary_sides
from .cells import CELLS, CellType
from .check import as_mesh_data, check_sample, checked
from .dataset import MeshDataset
from .fields import FIELDS, Field, field_of
from .files import file_sha256, load_tensors, locked, remove_leftovers, replacing, save_tensors
from .fingerprint import fingerprint
from .hdf5 import SampleReader, hdf5_info, read_hdf5, read_sample
from .hdf5_layout import open_hdf5
from .hdf5_meshes import HDF5Meshes
from .hdf5_samples import HDF5Samples
from .hdf5_writer import write_hdf5
from .inputs import TIME_CHANNELS, input_parts, node_inputs, time_features
from .loader import MeshBatchSampler, collate, mesh_loader
from .mesh import MEASURES, Mesh, Patches
from .mesh_data import MeshData, with_equal_cells
from .quadrature import nodal_weights, with_weights
from .splits import PROTOCOLS, split_indices
from .stored import StoredSamples, content_digest_of, draws_nothing, node_counts
from .subsample import subsample

__all__ = [
    "CELLS",
    "FIELDS",
    "MEASURES",
    "PROTOCOLS",
    "TIME_CHANNELS",
    "CellType",
    "Field",
    "HDF5Meshes",
    "HDF5Samples",
    "Mesh",
    "MeshBatchSampler",
    "MeshData",
    "MeshDataset",
    "Patches",
    "SampleReader",
    "StoredSamples",
    "as_mesh_data",
    "boundary_sides",
    "check_sample",
    "checked",
    "collate",
    "content_digest_of",
    "draws_nothing",
    "field_of",
    "file_sha256",
    "fingerprint",
    "hdf5_info",
    "input_parts",
    "load_tensors",
    "locked",
    "mesh_loader",
    "nodal_weights",
    "node_counts",
    "node_inputs",
    "open_hdf5",
    "read_hdf5",
    "read_sample",
    "remove_leftovers",
    "replacing",
    "save_tensors",
    "split_indices",
    "subsample",
    "time_features",
    "with_equal_cells",
    "with_weights",
    "write_hdf5",
]
