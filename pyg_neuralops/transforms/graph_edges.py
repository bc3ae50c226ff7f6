"""``GraphEdges``: the graph a GNN runs on, whatever the sample brings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Batch, Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform
from torch_geometric.utils import to_undirected

from ..data import CELLS
from ..data.prepared import OWN, check_settings, digests, edge_fields, is_checked, is_current, stamped
from ..ops import edge_attributes, knn_graph
from .mesh_edges import MeshEdges

BOTH_WAYS = "given both ways"
"""Key of edges of the user's own that were found to have their reverse."""


@functional_transform("graph_edges")
class GraphEdges(BaseTransform):
    """Make sure that ``edge_index`` and ``edge_attr`` are there.

    A sample's own ``edge_index`` and ``edge_attr`` are kept; otherwise the edges of its cells are taken
    (:class:`MeshEdges`); a point cloud gets its symmetrised k-nearest-neighbour graph, without self loops. What was
    made here is made again where positions, cells or fields are others now; ``edge_key`` records these.

    Args:
        k: neighbours per point on point clouds.
        channels: columns of ``edge_attr`` that the model reads: those made here; None where it reads none.
        fields: names of vectors ``[N, D]`` and tensors ``[N, D, D]`` of the sample, each of which adds two columns:
            :func:`pyg_neuralops.ops.edge_field`.
        flow: the fields are flows that edges carry: vectors only, and edges of the user's own that lack their reverse
            are refused.

    Raises:
        ValueError: if the data already hold the graph of another k, attributes of their own with other columns, or
            beside fields; for a field that is missing, misshapen, or no positive tensor.
    """

    def __init__(self, k: int = 6, *, channels: int | None = None, fields: Sequence[str] = (), flow: bool = False):
        self.k, self.channels, self.fields, self.flow = k, channels, check_fields(fields), flow

    def forward(self, data: Data) -> Data:
        found, cells = data.get("edge_key"), [name for name in CELLS if data.get(name) is not None]
        keys = [found] if isinstance(found, str) else found or []
        is_whole = data.get("edge_index") is not None and data.get("edge_attr") is not None
        if is_whole and all(key == OWN for key in keys):
            columns = data.edge_attr.shape[1]
            if self.fields:
                raise ValueError(f"{self._reads}, and edge_attr is the sample's own: leave it out and it is made")
            if self.channels not in (None, columns):
                raise ValueError(
                    f"edge_attr has {columns} columns; the model reads {self.channels}: p_j - p_i and its length "
                    "(leave edge_attr out and they are made)"
                )
            return data
        if is_checked(found) and edge_fields(found) == tuple(self.fields):
            return data
        fields = [self._field(data, name) for name in self.fields]
        clouds = [key.partition("[")[0].partition("#")[0] for key in keys if key.startswith("knn(")]
        check_settings("edges", clouds, f"knn(k={self.k})")
        given = all(key.startswith("given") for key in keys) and data.get("edge_index") is not None
        now = digests(data, ["pos", *self.fields], ["edge_index"] if given else cells)
        if found is not None and self._made_these(keys) and is_current(found, now):
            return data
        if isinstance(data, Batch):  # some samples may have cells, or edges of their own, and others none
            return self._of_samples(data)
        if any(key.startswith("mesh") for key in keys) and not cells:
            raise ValueError("positions moved, and the cells that the edges were made from are gone; remove edge_index")
        kind = "given" if given else "mesh" if any(data[name].numel() for name in cells) else f"knn(k={self.k})"
        if kind == "mesh":
            data = MeshEdges()(data)
        elif not given:
            edges = knn_graph(data.pos.detach(), self.k, data.get("batch"), loop=False)
            data.edge_index = to_undirected(edges, num_nodes=data.num_nodes)
        elif self.flow:
            _check_reverse(data.edge_index, data.num_nodes)
            kind = BOTH_WAYS
        if kind != "mesh" or fields:
            data.edge_attr = edge_attributes(data.pos.detach(), data.edge_index, fields)
        kind += f"[{','.join(self.fields)}]" if fields else ""
        data.edge_key = stamped(kind, now, data.get("batch") is not None)
        return data

    def _made_these(self, keys: Sequence[str]) -> bool:
        """Whether edges with these keys hold these fields, in this order, and have their reverse if flows need it."""
        one_way = any(key.startswith("given") and not key.startswith(BOTH_WAYS) for key in keys)
        return edge_fields(keys) == tuple(self.fields) and not (self.flow and one_way)

    @property
    def _reads(self) -> str:
        return f"the edges read {list(self.fields)} of the sample"

    def _field(self, data: Data, name: str) -> Tensor:
        value, (nodes, dim) = data.get(name), data.pos.shape
        if value is None:
            raise ValueError(f"{self._reads}, which has no {name}; it has {sorted(data.keys())}")
        shapes = ((nodes, dim),) if self.flow else ((nodes, dim), (nodes, dim, dim))
        if not isinstance(value, Tensor) or value.shape not in shapes or not value.is_floating_point():
            here = f"shape {list(value.shape)} {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
            needed = " or a tensor ".join(str(list(shape)) for shape in shapes)
            raise ValueError(f"{self._reads}; {name} has {here}, a vector {needed} is needed")
        return value

    def _of_samples(self, data: Batch) -> Batch:
        samples = [self(sample) for sample in data.to_data_list()]
        names = ("edge_index", "edge_attr", "edge_key")
        for sample in samples:
            sample.edge_key = sample.get("edge_key", OWN)
        made: Any = Batch.from_data_list(
            [Data(num_nodes=sample.num_nodes, **{name: sample[name] for name in names}) for sample in samples]
        )
        data.update({name: made[name] for name in names})
        # Where each sample's edges are now, for to_data_list.
        for places in ("_slice_dict", "_inc_dict"):
            setattr(data, places, {**getattr(data, places), **{name: getattr(made, places)[name] for name in names}})
        return data

    def __repr__(self) -> str:
        fields = f", fields={list(self.fields)}" if self.fields else ""
        return f"{self.__class__.__name__}(k={self.k}{fields})"


def check_fields(fields: Sequence[str]) -> list[str]:
    """The names of fields on edges, as JSON has them.

    Raises:
        ValueError: for anything but a list of different names of fields.
    """
    is_list = isinstance(fields, (list, tuple)) and all(isinstance(name, str) for name in fields)
    if not is_list or len(set(fields)) < len(fields) or not all(name.isidentifier() for name in fields):
        raise ValueError(f'edge_fields={fields!r}; give a list of names of fields, such as ("wind",)')
    return list(fields)


def _check_reverse(edge_index: Tensor, num_nodes: int) -> None:
    source, target = edge_index.long()
    there, back = (source * num_nodes + target).sort().values, (target * num_nodes + source).sort().values
    if not torch.equal(there, back):
        i, j = divmod(int(there.minimum(back)[there != back][0]), num_nodes)
        raise ValueError(f"edge_index has not as many edges {i} -> {j} as {j} -> {i}; this model needs both")


def is_mesh(data: Data) -> bool:
    """Whether ``edge_index`` says what the mesh joins: the user's own edges, or those of cells that are gone since.

    Neighbours of a point cloud do not; edges of cells that are there are better read from these, which may be others.
    """
    found, cells = data.get("edge_key"), any(data.get(name) is not None for name in CELLS)
    keys = [found] if isinstance(found, str) else found or []
    made = any(key.startswith("knn(") or (cells and key.startswith("mesh")) for key in keys)
    return data.get("edge_index") is not None and not made
