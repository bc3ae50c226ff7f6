"""Datasets by name."""

from .darcy import Darcy
from .darcy_irregular import DarcyIrregular
from .generated import GeneratedDataset

DATASETS: dict[str, type[GeneratedDataset]] = {"darcy": Darcy, "darcy-irregular": DarcyIrregular}
"""The sets that generate themselves, as the command line names them."""

__all__ = ["DATASETS", "Darcy", "DarcyIrregular", "GeneratedDataset"]
