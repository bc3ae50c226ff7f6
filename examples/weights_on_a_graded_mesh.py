"""A graded mesh: what its nodes weigh, and patches by number beside patches by radius.

python examples/weights_on_a_graded_mesh.py
"""

from pathlib import Path

import torch
from matplotlib.figure import Figure

from pyg_neuralops.data import MeshData, as_mesh_data
from pyg_neuralops.plotting import plot_field, plot_mesh, plot_patch
from pyg_neuralops.solvers import sample_darcy_irregular
from pyg_neuralops.transforms import KNNPatches, NodeWeights


def main(out: str = "runs/graded_mesh.png", num_points: int = 400, k: int = 24, radius: float = 0.15) -> MeshData:
    """Draw mesh, weights and both kinds of patches; returns the sample with patches by radius."""
    found = sample_darcy_irregular(seed=3, points=num_points, grading=5)
    pos, face = torch.from_numpy(found.points).float(), torch.from_numpy(found.triangles).t().contiguous()
    data = NodeWeights()(as_mesh_data(MeshData(pos=pos, face=face)))
    nearest = KNNPatches(k)(data)
    centres = [int(nearest.patch_reach.argmin()), int(data.weight.argmax())]  # where it is fine, and where coarse

    figure = Figure(figsize=(14, 3.8), layout="constrained")
    mesh, weights, number, window = figure.subplots(1, 4)
    plot_mesh(mesh, data)
    mesh.set_title(f"{data.num_nodes} points")
    figure.colorbar(plot_field(weights, data, data.weight, title="weight of each node"), ax=weights, shrink=0.8)
    plot_patch(number, nearest, centres, title=f"the {k} nearest")
    by_radius = KNNPatches(4 * k, radius=radius, scale="domain")(data)
    plot_patch(window, by_radius, centres, title=f"within {radius} of its length")
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=120)
    return by_radius


if __name__ == "__main__":
    main()
    print("drawn in runs/graded_mesh.png")
