"""Which channels of ``x`` a study reads: some of the geometry added, some of the samples' own left out."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..data import MeshData
from ..transforms import BoundaryDistance, BoundaryMarks, LocalSpacing, Normals
from ..transforms.node_features import NodeFeatures
from ..typed import closest

GEOMETRY: Mapping[str, type[NodeFeatures]] = {
    "boundary-distance": BoundaryDistance,
    "boundary-marks": BoundaryMarks,
    "local-spacing": LocalSpacing,
    "normals": Normals,
}
"""With their default arguments; with others they are transforms of one's own samples."""


@dataclass(frozen=True)
class GeometryInputs:
    """What is added to ``x`` and what is left out of it.

    Args:
        inputs: names of :data:`GEOMETRY`, appended in this order.
        without: names of the samples' own channels.

    Raises:
        ValueError: for a name that is not there; says which are.
    """

    inputs: Sequence[str] = ()
    without: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name in self.inputs:
            if name not in GEOMETRY:
                raise ValueError(f"inputs={name!r}; choose from {list(GEOMETRY)}{closest(name, GEOMETRY)}")

    def __bool__(self) -> bool:
        return bool(self.inputs or self.without)

    def kept(self, names: Sequence[str]) -> list[int]:
        """Numbers of the channels that stay, of those called ``names``."""
        for name in self.without:
            if name not in names:
                there = f"choose from {list(names)}{closest(name, names)}" if names else "the channels have no names"
                raise ValueError(f"without={name!r} is no input channel; {there}")
        return [index for index, name in enumerate(names) if name not in self.without]

    def of(self, sample: MeshData, names: Sequence[str]) -> MeshData:
        """A copy of one sample, whose channels are called ``names``, with these inputs.

        Raises:
            ValueError: as the transforms do, for a sample without cells.
        """
        sample = copy.copy(sample)
        if self.without:
            sample.x = sample.x[:, self.kept(names)]
        for name in self.inputs:
            sample = GEOMETRY[name]()(sample)
        return sample

    def labels(self, names: Mapping[str, Any], units: Mapping[str, Any], first: MeshData) -> dict[str, Any]:
        """``names`` and ``units`` of channels as they are then; those of x are left out where its own have no names.

        Args:
            first: a sample as it was.
        """
        own = list(names.get("x", ()))
        if len(own) != first.in_channels:
            return {"names": {**names, "x": []}, "units": {**units, "x": []}}
        scales = list(units.get("x", ())) or ["1"] * len(own)
        kept = self.kept(own)
        found = {own[i]: scales[i] for i in kept}
        length = (units.get("pos") or ["1"])[0]
        for key in self.inputs:
            for name in GEOMETRY[key]().names(first.pos.shape[1]):
                if name in found:
                    raise ValueError(f"inputs={key!r} makes a channel {name!r}, of which there is one")
                found[name] = length if key == "boundary-distance" else "1"
        return {"names": {**names, "x": list(found)}, "units": {**units, "x": list(found.values())}}
