"""Neural operators on meshes, in PyTorch Geometric's own dialect."""

from importlib.metadata import version

__version__ = version("pyg-neuralops")
