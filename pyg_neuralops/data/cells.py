"""Types of cells in one table: corners, edges, sides and simplices, as all that reads meshes needs them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

Corners = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class CellType:
    """One type of cell; a sample holds its cells as ``[corners, cells]`` node numbers, in VTK's order of corners.

    Attributes:
        dim: of the cell, 1 to 3.
        corners: nodes of a cell.
        edges: pairs of corners.
        sides: corners of the parts of its boundary, in order around each (those of a line are its ends).
        simplices: corners of simplices that fill it ``ways`` times: a quadrilateral is cut along either diagonal, other
            cells in every way that treats their corners alike, so that no corner is preferred.
        vtk: VTK's number of the type.
    """

    dim: int
    corners: int
    edges: Corners
    sides: Corners
    simplices: Corners
    vtk: int
    ways: int = 1


def _ring(*corners: int) -> Corners:
    """The edges around a polygon."""
    return tuple(zip(corners, (*corners[1:], corners[0]), strict=True))


_TRIANGLE, _QUAD = _ring(0, 1, 2), _ring(0, 1, 2, 3)
# A prism over the triangle (a, b, c) is a staircase of three tetrahedra for each order of its corners.
_STAIRS = tuple(
    stair
    for a, b, c in permutations(range(3))
    for stair in ((a, b, c, c + 3), (a, b, b + 3, c + 3), (a, a + 3, b + 3, c + 3))
)
# A hexahedron is a tetrahedron on every other corner, and one at each corner left over with its three neighbours.
_EVEN, _ODD = (0, 2, 5, 7), (1, 3, 4, 6)
_OCTETS = (
    (_EVEN, (1, 0, 2, 5), (3, 0, 2, 7), (4, 0, 5, 7), (6, 2, 5, 7)),
    (_ODD, (0, 1, 3, 4), (2, 1, 3, 6), (5, 1, 4, 6), (7, 3, 4, 6)),
)

CELLS: dict[str, CellType] = {
    "line": CellType(1, 2, ((0, 1),), ((0,), (1,)), ((0, 1),), vtk=3),
    "face": CellType(2, 3, _TRIANGLE, _TRIANGLE, ((0, 1, 2),), vtk=5),
    "quad": CellType(2, 4, _QUAD, _QUAD, ((0, 1, 2), (0, 2, 3), (1, 2, 3), (1, 3, 0)), vtk=9, ways=2),
    "tet": CellType(
        3,
        4,
        ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)),
        ((0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)),
        ((0, 1, 2, 3),),
        vtk=10,
    ),
    "hex": CellType(
        3,
        8,
        (*_QUAD, *_ring(4, 5, 6, 7), (0, 4), (1, 5), (2, 6), (3, 7)),
        ((0, 1, 2, 3), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7)),
        (*_OCTETS[0], *_OCTETS[1]),
        vtk=12,
        ways=2,
    ),
    "wedge": CellType(
        3,
        6,
        (*_TRIANGLE, *_ring(3, 4, 5), (0, 3), (1, 4), (2, 5)),
        ((0, 1, 2), (3, 4, 5), (0, 1, 4, 3), (1, 2, 5, 4), (2, 0, 3, 5)),
        _STAIRS,
        vtk=13,
        ways=6,
    ),
    "pyramid": CellType(
        3,
        5,
        (*_QUAD, (0, 4), (1, 4), (2, 4), (3, 4)),
        ((0, 1, 2, 3), (0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4)),
        ((0, 1, 2, 4), (0, 2, 3, 4), (1, 2, 3, 4), (1, 3, 0, 4)),
        vtk=14,
        ways=2,
    ),
}
"""By the name of the field that holds the cells; "face" are triangles, as PyG calls them."""
