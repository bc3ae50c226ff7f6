"""Datasets by name."""

from .advection_diffusion import AdvectionDiffusion
from .airfoil import Airfoil
from .anisotropic_diffusion import AnisotropicDiffusion
from .darcy import Darcy
from .darcy_irregular import DarcyIrregular
from .elasticity import Elasticity
from .navier_stokes import NavierStokes
from .pde_dataset import PDEDataset
from .pipe import Pipe
from .plasticity import Plasticity
from .poisson import Poisson

DATASETS: dict[str, type[PDEDataset]] = {
    cls.name: cls
    for cls in (
        Darcy,
        DarcyIrregular,
        NavierStokes,
        Elasticity,
        Plasticity,
        Airfoil,
        Pipe,
        AdvectionDiffusion,
        AnisotropicDiffusion,
        Poisson,
    )
}
"""The library's sets, as the command line names them."""

__all__ = [
    "DATASETS",
    "AdvectionDiffusion",
    "Airfoil",
    "AnisotropicDiffusion",
    "Darcy",
    "DarcyIrregular",
    "Elasticity",
    "NavierStokes",
    "PDEDataset",
    "Pipe",
    "Plasticity",
    "Poisson",
]
