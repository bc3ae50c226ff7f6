"""Where pieces of work are done: in processes of this machine, on a Dask cluster, or any other executor."""

from .cluster import cluster_executor
from .errors import portable
from .pieces import run_pieces
from .processes import Processes

__all__ = ["Processes", "cluster_executor", "portable", "run_pieces"]
