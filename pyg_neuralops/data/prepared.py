"""What geometry was prepared from, so that patches and edges of other positions are never used.

Beside what a transform makes stands a key, ``"<settings>#<digest>"``, one for each sample of a batch. The digest is of
the values that it was made from; it is made again and compared whenever a model reads the sample, which costs
less than a thousandth of a training step.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from zlib import crc32

import torch
from torch import Tensor
from torch_geometric.data import Data

from ..ops import domain_reach, edge_attributes, incoming_reach

CHECKED = "checked"
"""In place of a digest on a copy that a model passes on to itself, whose fields may be encoded already."""

OWN = "own#"
"""The key of edges and attributes that came with a sample, beside prepared ones in a batch."""


def made_edges(data: Data) -> tuple[str, ...]:
    """Which of a sample's ``edge_index`` and ``edge_attr`` were prepared, and can be made again."""
    key = data.get("edge_key")
    if key is None or key == OWN:
        return ()
    return ("edge_attr",) if key.startswith("given") else ("edge_index", "edge_attr")


def edge_fields(keys: str | Sequence[str] | None) -> tuple[str, ...]:
    """Names of the fields that prepared edge attributes hold, as "mesh[wind]#..." has it; one batch has one kind."""
    for key in [keys] if isinstance(keys, str) else keys or []:
        if key != OWN:
            _, bracket, names = key.partition("#")[0].partition("[")
            return tuple(names.removesuffix("]").split(",")) if bracket else ()
    return ()


def own_edge_attr(data: Data) -> bool:
    """Whether ``edge_attr`` came with the sample or batch, and was not prepared from positions.

    Raises:
        ValueError: for a batch in which it came with some samples only.
    """
    found = data.get("edge_key")
    keys = [found] if isinstance(found, str) else found or [OWN]
    own = {key.startswith(OWN) for key in keys}
    if data.get("edge_attr") is not None and len(own) > 1:
        raise ValueError("some samples of the batch came with an edge_attr of their own, others did not")
    return data.get("edge_attr") is not None and own == {True}


def digests(data: Data, nodes: Sequence[str], cells: Sequence[str] = ()) -> list[str]:
    """A digest of each sample of a batch (or of the one sample): of its fields ``nodes`` and index fields ``cells``.

    A batch is read at once, on its device, and gives what its samples give one by one.

    Args:
        nodes: names of fields with a row for each node, or for each sample.
        cells: names of fields ``[c, E]`` of node numbers, as sets of columns: their order does not matter, but that of
            ``edge_index``, which attributes follow.
    """
    pos, batch = data.pos, data.get("batch")
    batch = pos.new_zeros(len(pos), dtype=torch.long) if batch is None else batch
    count = _samples(data)
    sizes = torch.bincount(batch, minlength=count)
    start = sizes.cumsum(0) - sizes
    total = _mix(sizes)
    for name in (*nodes, *cells):
        value = data.get(name)
        if value is None:
            continue
        if name in cells:
            sample = batch[value[0]]
            hashed = torch.zeros_like(sample)
            for row in value - start[sample]:
                hashed = _mix(hashed * 3 + row)
            if name == "edge_index":
                first = torch.bincount(sample, minlength=count)
                first = first.cumsum(0) - first
                hashed = _mix(hashed ^ _mix(torch.arange(len(sample), device=sample.device) - first[sample]))
        else:
            sample, row = torch.arange(count, device=batch.device), torch.zeros_like(sizes)
            if len(value) == len(batch):
                sample, row = batch, torch.arange(len(batch), device=batch.device) - start[batch]
            bits = _bits(value)
            bits = bits.view(len(bits), math.prod(bits.shape[1:]))
            place = _mix(row)[:, None] + _mix(torch.arange(bits.shape[1], device=batch.device) + bits.shape[1])
            hashed = _mix(bits ^ place).sum(1)
        total.index_add_(0, sample, _mix(hashed + crc32(name.encode())))
    return [f"{value & (2**64 - 1):016x}" for value in total.tolist()]


def stamped(key: str, found: Sequence[str], batched: bool) -> str | list[str]:
    """The keys of samples that were prepared with ``key`` from values of these digests."""
    keys = [f"{key}#{digest}" for digest in found]
    return keys if batched else keys[0]


def check_settings(what: str, found: str | list[str], key: str) -> None:
    """Raise unless what was prepared (``what``, for the message) has the settings ``key``, in every sample.

    Raises:
        ValueError: naming both.
    """
    for settings in {one.partition("#")[0] for one in ([found] if isinstance(found, str) else found)}:
        if settings != key:
            raise ValueError(f"the data were prepared with {what} {settings}; this model needs {key}")


def is_current(found: str | list[str], now: Sequence[str]) -> bool:
    """Whether what stands with a sample or batch was made from what has these digests now."""
    return _made_from(found) == list(now)


def is_checked(found: str | list[str] | None) -> bool:
    """Whether that was looked at already, by the model that wraps this one."""
    return bool(found) and set(_made_from(found or [])) == {CHECKED}


def _made_from(found: str | list[str]) -> list[str]:
    return [one.partition("#")[2] for one in ([found] if isinstance(found, str) else found)]


def unplace(data: Data, names: Sequence[str]) -> None:
    """Let a batch forget where each sample's rows of these fields stand, which are written anew.

    ``to_data_list`` then gives samples without them, to be prepared again, and never rows of another sample.
    """
    for places in ("_slice_dict", "_inc_dict"):
        if getattr(data, places, None) is not None:
            setattr(data, places, {name: kept for name, kept in getattr(data, places).items() if name not in names})


def following(data: Data) -> Data:
    """A copy whose reach and edge attributes carry gradients to ``pos``, where it asks for some; else ``data``.

    What stands with a sample is constant; here it is made again from the positions, for the same neighbours. A user's
    own ``edge_attr`` is left as it is, and modes of the Laplacian stay constants.
    """
    if not (data.pos.requires_grad and torch.is_grad_enabled()):
        return data
    data, pos = copy.copy(data), data.pos
    reach, edge_attr = data.get("patch_reach"), data.get("edge_attr")
    if reach is not None and not reach.requires_grad:
        period = None if data.get("patch_period") is None else data.patch_period[0]
        if data.get("patch_radius") is None:
            data.patch_reach = incoming_reach(pos, data.patch_index, period)
        else:  # of all samples, as the period is
            data.patch_reach = domain_reach(pos, data.patch_radius[0], data.get("batch"), period)
    if edge_attr is not None and data.get("edge_key") is not None and not edge_attr.requires_grad:
        fields = [data[name] for name in edge_fields(data.edge_key)]
        data.edge_attr = edge_attributes(pos, data.edge_index, fields)
    return data


def settled(data: Data) -> Data:
    """A copy to be encoded and handed to a model: its geometry was checked, and carries gradients where asked for."""
    data = copy.copy(following(data))
    data.settled = True
    for name in ("patch_key", "edge_key", "mode_key"):
        found = data.get(name)
        if found is not None:
            keys = [found] if isinstance(found, str) else found
            keys = [f"{key.partition('#')[0]}#{CHECKED}" for key in keys]
            data[name] = keys[0] if isinstance(found, str) else keys
    return data


def _samples(data: Data) -> int:
    batch, ptr = data.get("batch"), data.get("ptr")
    if ptr is not None:
        return len(ptr) - 1
    return 1 if batch is None or not len(batch) else int(batch[-1]) + 1


def _bits(value: Tensor) -> Tensor:
    """The bits of each number, as int64."""
    value = value.detach().contiguous()
    if value.is_complex():
        value = torch.view_as_real(value)
    return value.view({1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[value.element_size()]).long()


def _mix(x: Tensor) -> Tensor:
    """Scatter 64 bits (the finaliser of splitmix64, Steele et al. 2014); products wrap."""
    x = x + 0x1E3779B97F4A7C15
    x = (x ^ ((x >> 30) & (2**34 - 1))) * -0x40A7B892E31B1A47
    x = (x ^ ((x >> 27) & (2**37 - 1))) * -0x6B2FB644ECCEEE15
    return x ^ ((x >> 31) & (2**33 - 1))
