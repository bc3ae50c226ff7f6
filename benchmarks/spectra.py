"""Is the solution operator of low rank, and are the operators that models learn? Singular values, of both.

    pyg-neuralops study low-rank --jobs 2
    python benchmarks/spectra.py runs/low-rank [--samples 4]      # writes results/spectra.json and docs/spectra.png

For Darcy the operator is the derivative of the solution by the coefficient at each node, around a test sample; for
Poisson, which is linear, the map from sources to solutions. Both are those of linear elements on the sample's own mesh.
Of a model it is the Jacobian by the same input. Singular values are in L2 on the domain; a rank is the number that hold
99% of the energy.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import skfem
import torch
from matplotlib.figure import Figure
from scipy.sparse.linalg import splu
from skfem.helpers import dot, grad
from timing import write

from pyg_neuralops.data import MeshData
from pyg_neuralops.inside import effective_rank, jacobian, operator_spectrum
from pyg_neuralops.plotting import save_figure
from pyg_neuralops.study.data import load_splits
from pyg_neuralops.study.pieces import run_folder
from pyg_neuralops.study.plan import Study, find_study
from pyg_neuralops.study.provenance import environment, read_json
from pyg_neuralops.study.table import percent
from pyg_neuralops.study.trained import trained_model

SHOWN = 100


@skfem.BilinearForm
def stiffness(u, v, w):
    return w.a * dot(grad(u), grad(v))


@skfem.BilinearForm
def mass(u, v, w):
    return u * v


def darcy_operator(sample: MeshData) -> np.ndarray:
    """``du / da [N, N]`` of ``-div(a grad u) = 1``, u = 0 on the boundary, a linear between its nodal values.

    K(a) u = f gives du = -K^-1 (dK u), and column j of dK u is the sum over the triangles at j of a third of their
    matrix for a = 1, times u.
    """
    mesh = skfem.MeshTri(sample.pos.double().numpy().T.copy(), sample.face.long().numpy().copy(), sort_t=False)
    basis = skfem.Basis(mesh, skfem.ElementTriP1())
    nodal = sample.x[:, 0].double().numpy()
    each = nodal[mesh.t].mean(0)  # [T]
    full = stiffness.assemble(basis, a=each[:, None])
    load = skfem.LinearForm(lambda v, w: v).assemble(basis)
    free = basis.complement_dofs(basis.get_dofs().all())
    solve = splu(full[free][:, free].tocsc()).solve
    u = np.zeros(basis.N)
    u[free] = solve(load[free])
    corners = mesh.p[:, mesh.t]  # [2, 3, T]
    side = corners[:, [2, 0, 1]] - corners[:, [1, 2, 0]]  # opposite each corner
    area = np.abs(side[0, 0] * side[1, 1] - side[1, 0] * side[0, 1]) / 2
    local = np.einsum("dit,djt->tij", side, side) / (4 * area)[:, None, None]  # [T, 3, 3]
    flow = np.einsum("tij,tj->ti", local, u[mesh.t.T]) / 3  # [T, 3]
    columns = np.zeros((basis.N, basis.N))
    for corner in range(3):
        for other in range(3):
            np.add.at(columns, (mesh.t[corner], mesh.t[other]), flow[:, corner])
    operator = np.zeros_like(columns)
    operator[free] = -solve(columns[free])
    return operator


def poisson_operator(sample: MeshData) -> np.ndarray:
    """``du / df [N, N]`` of ``-lap u = f``, u given on the boundary."""
    mesh = skfem.MeshTet(sample.pos.double().numpy().T.copy(), sample.tet.long().numpy().copy(), sort_t=False)
    basis = skfem.Basis(mesh, skfem.ElementTetP1())
    full = stiffness.assemble(basis, a=np.ones((1, 1)))
    free = basis.complement_dofs(basis.get_dofs().all())
    operator = np.zeros((basis.N, basis.N))
    operator[free] = splu(full[free][:, free].tocsc()).solve(mass.assemble(basis)[free].toarray())
    return operator


OPERATORS = {"darcy": darcy_operator, "poisson": poisson_operator}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the study low-rank, finished")
    parser.add_argument("--samples", type=int, default=4)
    options = parser.parse_args()
    study = Study.from_toml(find_study("low-rank"), out=str(options.folder))
    found: dict[str, Any] = {}
    figure = Figure(figsize=(5 * len(OPERATORS), 4), layout="constrained")
    for ax, (name, make) in zip(figure.subplots(1, len(OPERATORS)), OPERATORS.items(), strict=True):
        comparison = study.parts[name].comparison
        results = read_json(Path(comparison.out) / "results.json")
        samples = load_splits(comparison).test[: options.samples]
        exact = [operator_spectrum(torch.from_numpy(make(sample)), sample.weight) for sample in samples]
        spectra = {"solution operator": exact}
        for label in comparison.models:
            model = trained_model(results, label, run_folder(Path(comparison.out), label, comparison.seed))
            spectra[label] = [operator_spectrum(jacobian(model, sample), sample.weight) for sample in samples]
        found[name] = {}
        print(f"== {name}: rank for 99% of the energy, mean of {len(samples)} samples; test error")
        for label, values in spectra.items():
            ranks = [effective_rank(value) for value in values]
            errors = [run["test"]["mean"] for run in results["runs"] if run["model"] == label]
            mean = torch.stack([(value / value[0])[:SHOWN] for value in values]).mean(0)
            found[name][label] = {"ranks": ranks, "values": mean.tolist(), "errors": errors}
            print(f"{label:28s} {np.mean(ranks):6.1f}  {percent(np.mean(errors)) if errors else ''}")
            ax.semilogy(mean, "k-" if label == "solution operator" else "-", label=label, linewidth=1.2)
        ax.set(title=name, xlabel="number", ylabel="singular value over the first")
    ax.legend(fontsize=7)
    write("spectra", {"operators": found, "environment": environment()})
    print(save_figure(figure, Path(__file__).parents[1] / "docs" / "spectra.png"))


if __name__ == "__main__":
    main()
