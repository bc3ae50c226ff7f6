import numpy as np
import pytest
import skfem
from skfem.models.elasticity import linear_elasticity

from pyg_neuralops.solvers.forging import HEIGHT, LENGTH, STEEL, solve_forging
from pyg_neuralops.solvers.plastic_quads import PlaneStressJ2, PlasticQuads
from pyg_neuralops.solvers.plasticity import random_die, sample_plasticity

YOUNGS, POISSON, YIELD = STEEL["youngs"], STEEL["poisson"], STEEL["yield_stress"]
QUICK = {"density": 25 * STEEL["density"]}


def von_mises(stress):
    s11, s22, s12 = stress
    return np.sqrt(s11**2 - s11 * s22 + s22**2 + 3 * s12**2)


def strained(direction, total, steps=400):
    """The material after strains (e11, e22, 2 e12) along a direction; e11 reaches ``total`` times its first part."""
    material = PlaneStressJ2((1,), YOUNGS, POISSON, YIELD)
    e11, e22, shear = np.array(direction)[:, None] * total / steps
    for _ in range(steps):
        material.advance(e11 + e22, e11 - e22, shear, np.zeros(1))
    return material


def displacement(forging, columns, rows):
    axes = np.linspace(0, LENGTH, columns), np.linspace(0, HEIGHT, rows)
    return forging.positions - np.stack(np.meshgrid(*axes, indexing="ij"), -1)


@pytest.fixture(scope="module")
def forged():
    return solve_forging(random_die(np.random.default_rng(0)), 51, 16, **QUICK)


def test_below_yield_a_strip_obeys_hookes_law():
    material = strained((1, -POISSON, 0), 3e-4)
    np.testing.assert_allclose(material.cartesian()[:, 0], [60, 0, 0], atol=1e-10)
    assert material.thickness[0] == pytest.approx(np.exp(-POISSON * 3e-4), rel=1e-12)
    assert material.elastic_energy()[0] == pytest.approx(60**2 / 2 / YOUNGS)
    assert material.plastic_strain[0] == 0


@pytest.mark.parametrize(
    ("direction", "stress"),
    [
        ((1, -0.5, 0), (YIELD, 0, 0)),
        ((-0.5, 1, 0), (0, YIELD, 0)),
        ((-1, -1, 0), (-YIELD, -YIELD, 0)),
        ((1, 0, 0), (2 * YIELD / 3**0.5, YIELD / 3**0.5, 0)),
        ((0, 0, 1), (0, 0, YIELD / 3**0.5)),
    ],
)
def test_plastic_flow_is_normal_to_the_yield_surface_and_keeps_the_volume(direction, stress):
    material = strained(direction, 0.05)
    found = material.cartesian()[:, 0]
    np.testing.assert_allclose(found, stress, atol=1e-3)
    assert von_mises(found) == pytest.approx(YIELD, rel=1e-12)
    growth = 0.05 * (direction[0] + direction[1]) + np.log(material.thickness[0])
    assert growth == pytest.approx((1 - 2 * POISSON) * (found[0] + found[1]) / YOUNGS, abs=1e-6)
    plastic = np.array(direction) @ stress / YIELD * 0.05  # work over yield stress
    assert material.plastic_strain[0] == pytest.approx(plastic, rel=0.02)


def test_stress_turns_with_the_material():
    material = strained((1, -POISSON, 0), 3e-4)
    zero, steps = np.zeros(1), 500
    for _ in range(steps):
        material.advance(zero, zero, zero, np.full(1, np.pi / 6 / steps))
    np.testing.assert_allclose(material.cartesian()[:, 0], [45, 15, 15 * 3**0.5], rtol=1e-5)
    assert von_mises(material.cartesian()[:, 0]) == pytest.approx(60, rel=1e-12)


def test_stress_turns_with_the_cells():
    x = np.stack(np.meshgrid(np.arange(3.0), np.arange(3.0)))
    quads, steps, angle = PlasticQuads(x, **STEEL), 200, np.pi / 6
    stretch = 3e-4 * np.stack([x[0], -POISSON * x[1]])
    quads.forces(np.concatenate([x + stretch / 2, stretch]), 1.0)
    for step in range(steps):
        here = angle * (step + 0.5) / steps
        turned = np.stack([np.cos(here) * x[0] - np.sin(here) * x[1], np.sin(here) * x[0] + np.cos(here) * x[1]])
        quads.forces(np.concatenate([turned, angle * np.stack([-turned[1], turned[0]])]), 1 / steps)
    expected = np.array([45, 15, 15 * 3**0.5])[:, None, None] + np.zeros((3, 2, 2))
    np.testing.assert_allclose(quads.material.cartesian(), expected, rtol=1e-3)


@pytest.fixture
def distorted():
    rng = np.random.default_rng(1)
    x = np.stack(np.meshgrid(np.arange(6.0), np.arange(5.0))) + rng.uniform(-0.25, 0.25, (2, 5, 6))
    return PlasticQuads(x, **STEEL, viscosity=0.0), x


def test_a_uniform_strain_gives_no_force_inside_and_no_resultant(distorted):
    quads, x = distorted
    gradient = np.array([[1.0, -2.0], [0.5, 3.0]])
    v = np.einsum("ij,jrc->irc", gradient, x)
    force = quads.forces(np.concatenate([x, v]), 1e-5)
    assert np.abs(force).max() > 1
    np.testing.assert_allclose(force[:, 1:-1, 1:-1], 0, atol=1e-3)  # not 0: cells differ in size, so in thickness
    np.testing.assert_allclose(force.sum((1, 2)), 0, atol=1e-12)
    assert (x[0] * force[1] - x[1] * force[0]).sum() == pytest.approx(0, abs=1e-10)
    assert quads.hourglass_work < 1e-20
    quads = PlasticQuads(x, **STEEL)
    spin = quads.forces(np.concatenate([x, np.stack([-x[1], x[0]])]), 1e-5)
    np.testing.assert_allclose(spin, 0, atol=1e-9)


def test_the_work_of_the_forces_is_that_of_the_stresses(distorted):
    quads, x = distorted
    v = np.random.default_rng(2).normal(size=x.shape)
    force = quads.forces(np.concatenate([x, v]), 1e-6)
    elastic = np.vdot(quads.material.elastic_energy(), quads.volume)
    assert quads.hourglass_work > 1e-6 * elastic
    assert -1e-6 * np.vdot(force, v) == pytest.approx(2 * elastic + quads.hourglass_work, rel=1e-8)


def test_an_impact_sends_the_stress_of_a_plane_wave():
    speed, wave = 1000.0, np.sqrt(YOUNGS / (1 - POISSON**2) / STEEL["density"])
    time = 0.6 * HEIGHT / wave
    forging = solve_forging(np.zeros(2), 21, 61, speed=speed, stroke=speed * time, frames=1)
    s11, s22, s12 = forging.stress[:, 9:11].mean(1)  # in the middle, [60] from below
    pressure = STEEL["density"] * wave * speed
    np.testing.assert_allclose(s22[40:], -pressure, rtol=0.02)
    np.testing.assert_allclose(s11[40:], -POISSON * pressure, rtol=0.02)
    np.testing.assert_allclose(s22[:16], 0, atol=0.01 * pressure)
    assert s22[24] == pytest.approx(-0.5 * pressure, rel=0.3)  # the front
    assert np.abs(s12).max() < 1e-6 * pressure
    assert displacement(forging, 21, 61)[0, 10, -1, 1] == pytest.approx(-speed * time, rel=0.01)


def test_a_slow_elastic_press_equals_static_finite_elements():
    stroke = 0.003
    forging = solve_forging(np.zeros(2), 51, 16, speed=30.0, stroke=stroke, yield_stress=1e9, **QUICK)
    mesh = skfem.MeshQuad.init_tensor(np.linspace(0, LENGTH, 51), np.linspace(0, HEIGHT, 16))
    basis = skfem.Basis(mesh, skfem.ElementVector(skfem.ElementQuad2()))
    lame = YOUNGS * POISSON / (1 - POISSON**2), YOUNGS / (2 * (1 + POISSON))  # of plane stress
    stiffness = linear_elasticity(*lame).assemble(basis)
    bottom = basis.get_dofs(lambda p: p[1] < 1e-9).all()
    top = basis.get_dofs(lambda p: p[1] > HEIGHT - 1e-9).all(["u^2"])
    u = np.zeros(basis.N)
    u[top] = -stroke
    u = skfem.solve(*skfem.condense(stiffness, np.zeros(basis.N), x=u, D=np.concatenate([bottom, top])))
    reaction = -(stiffness @ u)[top].sum()
    done = (np.arange(20) + 0.5) / 20
    assert np.mean(forging.force[10:] / done[10:]) == pytest.approx(reaction, rel=0.02)
    assert forging.elastic == pytest.approx(0.5 * reaction * stroke, rel=0.05)
    assert forging.plastic == 0


def test_energy_is_balanced_and_stress_capped(forged):
    assert abs(forged.energy_error) < 5e-4
    assert 0 < forged.hourglass < 0.01 * forged.plastic
    assert 0 < forged.elastic < 0.01 * forged.plastic
    assert von_mises(forged.stress).max() == pytest.approx(YIELD, rel=1e-9)
    assert (forged.plastic_strain > 0).mean() > 0.5


def test_volume_is_kept_the_bottom_clamped_and_the_die_not_passed(forged):
    end = forged.positions[-1]
    one, two = end[1:, 1:] - end[:-1, :-1], end[:-1, 1:] - end[1:, :-1]
    areas = 0.5 * (one[..., 0] * two[..., 1] - one[..., 1] * two[..., 0])
    assert areas.min() > 0.4
    np.testing.assert_allclose(areas * forged.thickness, 1, atol=1e-3)  # a millimetre squared each
    moved = displacement(forged, 51, 16)
    assert not moved[:, :, 0].any()
    die = random_die(np.random.default_rng(0))
    for frame, top in enumerate(forged.positions[:, :, -1]):
        inside = (top[:, 0] > 0) & (top[:, 0] < LENGTH)
        gap = np.interp(top[:, 0], np.linspace(0, LENGTH, len(die)), die) + HEIGHT - 0.15 * (frame + 1) - top[:, 1]
        assert -0.01 < gap[inside].min() < 0.01


def test_steps_and_grids_converge():
    die = random_die(np.random.default_rng(3))

    def solve(columns, **options):
        rows = 3 * (columns - 1) // 10 + 1
        moved = displacement(solve_forging(die, columns, rows, frames=5, **QUICK, **options), columns, rows)
        return moved[:, :: (columns - 1) // 10, :: (columns - 1) // 10]

    def difference(one, two):
        return np.linalg.norm(one - two) / np.linalg.norm(two)

    coarse, middle, fine = solve(11), solve(21), solve(41)
    assert difference(coarse, fine) > 1.5 * difference(middle, fine)
    assert difference(middle, fine) < 0.06
    assert difference(middle, solve(21, courant=0.4)) < 0.01


def test_samples_depend_on_their_seed_and_the_arguments_alone():
    size = {"columns": 21, "rows": 7, "density_scale": 25.0}
    one, again, other = (sample_plasticity(seed, **size) for seed in ((0, 0, 1), [0, 0, 1], (0, 0, 2)))
    np.testing.assert_array_equal(one.trajectory, again.trajectory)
    assert np.abs(one.die - other.die).max() > 0.1
    assert one.trajectory.shape == (21, 7, 20, 4)
    assert one.die.shape == (21,)
    assert 0 <= one.die.min() < 0.05
    start = one.trajectory[..., :2] - one.trajectory[..., 2:]
    np.testing.assert_allclose(start[:, :, 7, 0], np.linspace(0, 50, 21)[:, None] + np.zeros(7), atol=1e-12)
    np.testing.assert_allclose(start[:, :, 7, 1], np.linspace(0, 15, 7) + np.zeros((21, 1)), atol=1e-12)
    coarse = sample_plasticity((0, 0, 1), 11, 4, 100.0, frames=2)
    np.testing.assert_array_equal(coarse.die, one.die[::2])
    assert coarse.trajectory.shape == (11, 4, 2, 4)


def test_wrong_arguments_and_failures_are_told():
    with pytest.raises(ValueError, match="rows=1"):
        sample_plasticity(0, rows=1)
    with pytest.raises(ValueError, match=r"density_scale=0\.0"):
        sample_plasticity(0, density_scale=0.0)
    with pytest.raises(ValueError, match=r"speed=-1\.0; it must be positive"):
        solve_forging(np.zeros(2), 5, 5, speed=-1.0)
    with pytest.raises(ValueError, match=r"shape \(2, 2\)"):
        solve_forging(np.zeros((2, 2)), 5, 5)
    with pytest.raises(RuntimeError, match=r"10 steps reach frame 1 of 20 only"):
        solve_forging(np.zeros(2), 11, 4, max_steps=10)
    with pytest.raises(RuntimeError, match=r"sample with seed \(0, 7\): 10 steps"):
        sample_plasticity((0, 7), 11, 4, max_steps=10)
