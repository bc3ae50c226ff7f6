"""Datasets by name."""

from .darcy import Darcy
from .darcy_irregular import DarcyIrregular
from .pde_dataset import PDEDataset

DATASETS: dict[str, type[PDEDataset]] = {"darcy": Darcy, "darcy-irregular": DarcyIrregular}
"""The sets that generate themselves, as the command line names them."""

__all__ = ["DATASETS", "Darcy", "DarcyIrregular", "PDEDataset"]
