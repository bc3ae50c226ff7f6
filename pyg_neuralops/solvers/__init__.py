"""Numerical solvers: numbers in, frozen dataclasses of numpy arrays out."""

from .darcy import FACE_MEANS, DarcySolution, sample_darcy, solve_darcy
from .darcy_irregular import (
    DarcyIrregularSample,
    coefficient_at,
    random_outline,
    sample_darcy_irregular,
    solve_diffusion,
)
from .polygon import area, contains, edges, resample
from .random_field import gaussian_random_field
from .triangles import boundary_edges, smallest_angle
from .triangulate import Triangulation, triangulate

__all__ = [
    "FACE_MEANS",
    "DarcyIrregularSample",
    "DarcySolution",
    "Triangulation",
    "area",
    "boundary_edges",
    "coefficient_at",
    "contains",
    "edges",
    "gaussian_random_field",
    "random_outline",
    "resample",
    "sample_darcy",
    "sample_darcy_irregular",
    "smallest_angle",
    "solve_darcy",
    "solve_diffusion",
    "triangulate",
]
