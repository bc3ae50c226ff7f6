"""What each problem says of its symmetry is what its equation allows."""

import numpy as np
import pytest
import skfem
import torch

from pyg_neuralops.data import MeshData
from pyg_neuralops.datasets import DATASETS, AdvectionDiffusion, AnisotropicDiffusion, Darcy, Elasticity, NavierStokes
from pyg_neuralops.datasets.grid import unit_grid
from pyg_neuralops.solvers.anisotropic_diffusion import conductivity
from pyg_neuralops.solvers.darcy import solve_darcy
from pyg_neuralops.solvers.elasticity import _pull
from pyg_neuralops.solvers.hyperelastic import solve_hyperelastic, stress_at_vertices
from pyg_neuralops.solvers.navier_stokes import forcing
from pyg_neuralops.solvers.rivlin_saunders import von_mises
from pyg_neuralops.transforms import RandomSymmetry
from pyg_neuralops.transforms.symmetry_groups import elements

ORDERS = {
    **{"darcy": 8, "darcy-irregular": 8, "navier-stokes": 1, "elasticity": 2, "plasticity": 1, "airfoil": 2, "pipe": 2},
    **{"anisotropic-diffusion": 4, "poisson": 48},
}


def test_every_problem_has_a_group():
    for name, cls in DATASETS.items():
        symmetry = RandomSymmetry(**cls.symmetry)
        if name == "advection-diffusion":
            assert symmetry.group == "isometries"
        else:
            assert len(elements(symmetry.group, 3 if name == "poisson" else 2)) == ORDERS[name]


def test_darcy_is_solved_by_the_moved_solution():
    rng = np.random.default_rng(0)
    a = np.where(rng.random((13, 13)) < 0.5, 3.0, 12.0)
    pos, quad = unit_grid(13, 13)
    fields = {"x": a, "y": solve_darcy(a, tolerance=1e-12).u}
    columns = {name: torch.from_numpy(value.reshape(-1, 1)) for name, value in fields.items()}
    data = MeshData(pos=pos.double(), quad=quad, grid_shape=(13, 13), **columns)
    symmetry = RandomSymmetry(**Darcy.symmetry)
    for turn in elements(symmetry.group, 2):
        moved = symmetry.moved(data, turn)
        want = solve_darcy(moved.x.view(13, 13).numpy(), tolerance=1e-12).u
        np.testing.assert_allclose(moved.y.view(13, 13).numpy(), want, rtol=1e-9, atol=1e-12)


def test_the_forcing_of_navier_stokes_knows_its_direction():
    """No turn of the square keeps it; under reflections vorticity changes its sign, which the forcing does not."""
    force = forcing(16)
    index = np.arange(16)
    for turn in elements("square", 2).numpy():
        at = (
            np.round(np.einsum("ab,bij->aij", turn, np.stack(np.meshgrid(index, index, indexing="ij")))).astype(int)
            % 16
        )
        kept = np.allclose(np.linalg.det(turn) * force[at[0], at[1]], force)
        assert kept == np.array_equal(turn, np.eye(2))
    assert NavierStokes.symmetry == {"group": "identity"}


def test_the_pulled_cell_has_the_mirrored_stress():
    mesh = skfem.MeshTri.init_tensor(np.linspace(0, 1, 5), np.linspace(0, 1, 5))
    bent = mesh.p + 0.04 * np.sin(7 * mesh.p[::-1] + 1) * (mesh.p * (1 - mesh.p)).prod(0) * 16
    symmetry = RandomSymmetry(**Elasticity.symmetry)
    stresses = []
    data = MeshData(pos=torch.from_numpy(bent.T.copy()), face=torch.from_numpy(mesh.t.astype(np.int64)))
    for turn in elements(symmetry.group, 2):
        moved = symmetry.moved(data, turn)
        here = skfem.MeshTri(np.ascontiguousarray(moved.pos.T), np.ascontiguousarray(moved.face))
        state = solve_hyperelastic(here, lambda p: p[1] < 1e-9, lambda p: _pull(p, 100.0))
        stresses.append(von_mises(stress_at_vertices(here, state)))
    np.testing.assert_allclose(stresses[1], stresses[0], rtol=1e-6)
    assert np.ptp(stresses[0]) > 1


@pytest.mark.parametrize("draw", range(6))
def test_columns_of_directions_move_with_their_fields(draw):
    torch.manual_seed(draw)
    angle, ratio = 0.4, 30.0
    pos = torch.rand(9, 2, dtype=torch.float64)
    medium = torch.tensor([np.cos(2 * angle), np.sin(2 * angle), np.log10(ratio)]).expand(9, 3)
    tensor = torch.from_numpy(conductivity(angle, ratio)).expand(9, 2, 2)
    data = MeshData(pos=pos, x=torch.cat([torch.rand(9, 2).double(), medium], 1), conductivity=tensor)
    moved = RandomSymmetry(**AnisotropicDiffusion.symmetry)(data)
    turned = 0.5 * torch.atan2(moved.x[0, 3], moved.x[0, 2])
    torch.testing.assert_close(moved.conductivity[0], torch.from_numpy(conductivity(float(turned), ratio)))
    wind = torch.rand(9, 2, dtype=torch.float64)
    data = MeshData(pos=pos, x=torch.cat([wind, torch.rand(9, 4).double()], 1), wind=wind)
    moved = RandomSymmetry(**AdvectionDiffusion.symmetry)(data)
    torch.testing.assert_close(moved.x[:, :2], moved.wind)
    assert not torch.allclose(moved.wind, wind)


@pytest.mark.parametrize(("name", "kept"), [("airfoil", 0), ("pipe", 0), ("elasticity", 1)])
def test_a_mirror_keeps_the_direction_of_what_enters(name, kept):
    """The free stream and the inflow come along x, the cell is pulled along y."""
    turns = elements(RandomSymmetry(**DATASETS[name].symmetry).group, 2)
    assert (turns[:, kept, kept] == 1).all()
    assert sorted(turns[:, 1 - kept, 1 - kept].tolist()) == [-1, 1]
