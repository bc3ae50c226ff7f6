"""Numerical solvers: numbers in, frozen dataclasses of numpy arrays out."""

from .advection_diffusion import (
    AdvectionDiffusionSample,
    Wind,
    random_wind,
    sample_advection_diffusion,
    solve_advection_diffusion,
)
from .airfoil import AirfoilSample, airfoil_grid, sample_airfoil
from .anisotropic_diffusion import (
    AnisotropicDiffusionSample,
    conductivity,
    sample_anisotropic_diffusion,
)
from .c_grid import c_grid, cells_to_nodes
from .darcy import FACE_MEANS, DarcySolution, sample_darcy, solve_darcy
from .darcy_irregular import (
    DarcyIrregularSample,
    coefficient_at,
    random_outline,
    sample_darcy_irregular,
)
from .diffusion import solve_diffusion
from .elasticity import ElasticitySample, sample_elasticity
from .euler import EulerSolution, solve_euler
from .forging import Forging, solve_forging
from .gas import mach_number
from .hyperelastic import Equilibrium, solve_hyperelastic, stress_at_vertices
from .navier_stokes import NavierStokesSample, forcing, random_vorticity, sample_navier_stokes, solve_navier_stokes
from .navier_stokes_steady import ChannelFlow, solve_channel
from .pipe import PipeSample, sample_pipe
from .plasticity import PlasticitySample, random_die, sample_plasticity
from .poisson import PoissonSample, sample_poisson, solve_poisson
from .polygon import area, contains, edges, resample
from .random_field import gaussian_random_field
from .rivlin_saunders import rivlin_saunders, von_mises
from .star import mesh_star, random_star
from .taylor_hood import TaylorHood
from .tetrahedra import TetrahedralMesh, deformed_lattice, kuhn_tetrahedra
from .triangles import boundary_edges, smallest_angle
from .triangulate import Triangulation, triangulate

__all__ = [
    "FACE_MEANS",
    "AdvectionDiffusionSample",
    "AirfoilSample",
    "AnisotropicDiffusionSample",
    "ChannelFlow",
    "DarcyIrregularSample",
    "DarcySolution",
    "ElasticitySample",
    "Equilibrium",
    "EulerSolution",
    "Forging",
    "NavierStokesSample",
    "PipeSample",
    "PlasticitySample",
    "PoissonSample",
    "TaylorHood",
    "TetrahedralMesh",
    "Triangulation",
    "Wind",
    "airfoil_grid",
    "area",
    "boundary_edges",
    "c_grid",
    "cells_to_nodes",
    "coefficient_at",
    "conductivity",
    "contains",
    "deformed_lattice",
    "edges",
    "forcing",
    "gaussian_random_field",
    "kuhn_tetrahedra",
    "mach_number",
    "mesh_star",
    "random_die",
    "random_outline",
    "random_star",
    "random_vorticity",
    "random_wind",
    "resample",
    "rivlin_saunders",
    "sample_advection_diffusion",
    "sample_airfoil",
    "sample_anisotropic_diffusion",
    "sample_darcy",
    "sample_darcy_irregular",
    "sample_elasticity",
    "sample_navier_stokes",
    "sample_pipe",
    "sample_plasticity",
    "sample_poisson",
    "smallest_angle",
    "solve_advection_diffusion",
    "solve_channel",
    "solve_darcy",
    "solve_diffusion",
    "solve_euler",
    "solve_forging",
    "solve_hyperelastic",
    "solve_navier_stokes",
    "solve_poisson",
    "stress_at_vertices",
    "triangulate",
    "von_mises",
]
