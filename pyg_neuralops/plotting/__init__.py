"""Fields and predictions on meshes, drawn on the true cells.

Everything is drawn on ``matplotlib.figure.Figure`` objects without pyplot: no window, no global state.
"""

from .attention import attention_on_mesh, plot_patch
from .field import plot_field, plot_mesh, save_figure, surface
from .metric import metric_on_mesh
from .predictions import plot_predictions
from .samples import plot_samples

__all__ = [
    "attention_on_mesh",
    "metric_on_mesh",
    "plot_field",
    "plot_mesh",
    "plot_patch",
    "plot_predictions",
    "plot_samples",
    "save_figure",
    "surface",
]
