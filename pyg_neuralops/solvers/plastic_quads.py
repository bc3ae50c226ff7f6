"""Quadrilaterals of a perfectly plastic sheet in plane stress: stress update and nodal forces at finite strain."""

from __future__ import annotations

import math

import numpy as np


class PlaneStressJ2:
    r"""Stress of cells under increments of strain: elastic, perfectly plastic (J2), in plane stress.

    A stress is stored as its mean :math:`m = (s_{11} + s_{22})/2`, half difference
    :math:`p = (s_{11} - s_{22})/2` and shear :math:`t = s_{12}`. Three things are simple in them: a rotation turns
    (p, t) by twice its angle, Hooke's law is diagonal, and the yield condition reads
    :math:`m^2 + 3 (p^2 + t^2) \le \sigma_y^2`. In a step the midpoint rule of Hughes and Winget (1980) rotates the
    old stress, exactly keeping its length; then the return of Simo and Taylor (1986) scales m by
    :math:`1/(1 + \lambda E/(3 (1-\nu)))` and (p, t) by :math:`1/(1 + 2 \lambda G)` back onto the yield surface.

    Args:
        shape: of the cells.
        youngs, yield_stress: MPa.
        poisson: Poisson's ratio.

    Shapes:
        ``stress [3, *shape]`` (m, p, t) in MPa; ``thickness [*shape]`` relative to the initial one;
        ``plastic_strain [*shape]``, the equivalent one.
    """

    def __init__(self, shape: tuple[int, ...], youngs: float, poisson: float, yield_stress: float):
        self.youngs, self.poisson, self.yield_stress = youngs, poisson, yield_stress
        self.stress, self.thickness, self.plastic_strain = np.zeros((3, *shape)), np.ones(shape), np.zeros(shape)

    def advance(self, growth: np.ndarray, stretch: np.ndarray, shear: np.ndarray, spin: np.ndarray) -> None:
        """One step under the increments ``e11 + e22``, ``e11 - e22``, ``2 e12`` and the angle of rotation.

        Raises:
            RuntimeError: if the return to the yield surface does not converge.
        """
        before, half, cross = self.stress
        mean = before + self.youngs / (2 * (1 - self.poisson)) * growth
        turn = 2 * spin / (1 + spin * spin)
        half, cross = half - turn * (spin * half + cross), cross + turn * (half - spin * cross)
        shear_modulus = self.youngs / (2 * (1 + self.poisson))
        half += shear_modulus * stretch
        cross += shear_modulus * shear
        across = self._return(mean, half, cross)
        across += (self.poisson / self.youngs) * (mean - before)
        self.thickness *= (1 - across) / (1 + across)  # the exponential of -2 across, to third order
        self.stress[0], self.stress[1], self.stress[2] = mean, half, cross

    def _return(self, mean: np.ndarray, half: np.ndarray, cross: np.ndarray) -> np.ndarray:
        """Bring a trial stress back onto the yield surface, in place; minus half the plastic strain across."""
        square, deviator = mean * mean, 3 * (half * half + cross * cross)
        total = square + deviator
        if not total.max() > self.yield_stress**2:
            return np.zeros_like(mean)
        rate, rate2 = self.youngs / (3 * (1 - self.poisson)), self.youngs / (1 + self.poisson)
        excess = np.maximum(np.sqrt(total) / self.yield_stress - 1, 0)
        # Newton's method for one over the equivalent stress, which is concave and nearly linear in the multiplier:
        # it comes from below, in one or two passes, and leaves cells that do not yield alone.
        multiplier = excess * total / (rate * square + rate2 * deviator + 1e-300)
        for _ in range(20):
            scale, scale2 = 1 / (1 + rate * multiplier), 1 / (1 + rate2 * multiplier)
            one, two = square * scale * scale, deviator * scale2 * scale2
            total = one + two
            excess = np.maximum(np.sqrt(total) / self.yield_stress - 1, 0)
            if excess.max() < 1e-5:
                break
            multiplier += excess * total / (rate * one * scale + rate2 * two * scale2 + 1e-300)
        else:
            raise RuntimeError(f"the return to the yield surface left an excess of {excess.max():.1e}")
        rest = 1 / (1 + excess)  # a radial return for what is left
        mean *= scale * rest
        scale2 *= rest
        half *= scale2
        cross *= scale2
        self.plastic_strain += (2 / 3 * self.yield_stress) * multiplier
        multiplier *= mean
        return multiplier / 3

    def cartesian(self) -> np.ndarray:
        """Stress as (s11, s22, s12) in MPa, ``[3, *shape]``."""
        mean, half, cross = self.stress
        return np.stack([mean + half, mean - half, cross])

    def elastic_energy(self) -> np.ndarray:
        """Per volume, mJ/mm³, ``[*shape]``."""
        mean, half, cross = self.stress
        return ((1 - self.poisson) * mean**2 + (1 + self.poisson) * (half**2 + cross**2)) / self.youngs


class PlasticQuads:
    r"""A grid of one-point quadrilaterals of such a material: nodal forces, and the work they do.

    With one quadrature point a quadrilateral does not resist its hourglass mode; a stiffness of ``hourglass`` times
    Young's modulus against that mode alone does (Flanagan and Belytschko 1981). A linear bulk viscosity, with
    ``viscosity`` the share of critical damping, smooths the waves that the grid cannot carry. Lengths in mm, masses
    in tonnes and times in s, so that stresses are in MPa, forces in N (a mm of thickness) and energies in mJ.

    Args:
        x: initial positions of the nodes ``[2, R, C]``: x and y of the node in row r from below, column c.
        youngs, poisson, yield_stress: see :class:`PlaneStressJ2`.
        density: tonne/mm³.

    Shapes:
        ``mass [R, C]`` of the nodes, ``volume [R - 1, C - 1]`` of the cells, whose ``material`` it holds;
        ``hourglass_work`` and ``viscous_work`` until now.
    """

    def __init__(
        self,
        x: np.ndarray,
        youngs: float,
        poisson: float,
        yield_stress: float,
        density: float,
        hourglass: float = 0.002,
        viscosity: float = 0.06,
    ):
        one, two = _diagonals(x)
        twice_area = _cross(one, two)
        self.material = PlaneStressJ2(twice_area.shape, youngs, poisson, yield_stress)
        self.wave_speed = math.sqrt(youngs / ((1 - poisson**2) * density))
        self.damping = viscosity * density * self.wave_speed
        self.stiffness = 2 * hourglass * youngs * ((one * one).sum(0) + (two * two).sum(0)) / twice_area
        self.hourglass_force = np.zeros((2, *twice_area.shape))
        self.volume = 0.5 * twice_area
        self.hourglass_work = self.viscous_work = 0.0
        self.mass = np.zeros(x.shape[1:])
        for rows in (slice(1, None), slice(-1)):
            for columns in (slice(1, None), slice(-1)):
                self.mass[rows, columns] += density * twice_area / 8

    def forces(self, motion: np.ndarray, dt: float) -> np.ndarray:
        """Advance the material by a step of length dt, s; the forces on the nodes at its end ``[2, R, C]``, N.

        Args:
            motion: positions in the middle of the step and velocities during it, ``[4, R, C]``; in one array,
                as numpy's calls would else take longer than the sums.
        """
        one, two = _diagonals(motion)
        (a, b), (c, d), moved_one, moved_two = one[:2], two[:2], one[2:], two[2:]  # each [R - 1, C - 1] or [2, ...]
        twice_area = a * d - b * c
        inverse = 1 / twice_area
        part = dt * inverse
        by_x, by_y = part * (d * moved_one - b * moved_two), part * (a * moved_two - c * moved_one)  # dt dv_i/dx_j
        growth = by_x[0] + by_y[1]
        material = self.material
        material.advance(growth, by_x[0] - by_y[1], by_x[1] + by_y[0], 0.5 * (by_x[1] - by_y[0]))
        # A cell's volume over twice its area; forces need the stress times no more than that.
        half_thickness = 0.5 * material.thickness
        mean, half, shear = material.stress * half_thickness
        viscous = (self.damping / dt * math.sqrt(0.5)) * np.sqrt(twice_area) * growth * half_thickness
        mean += viscous
        self.viscous_work += float(np.vdot(viscous * twice_area, growth))
        # The hourglass mode is what of the corners' motion is not linear in x.
        pattern = _alternating(motion)
        pattern *= 0.25
        bent = dt * pattern[2:] - by_x * pattern[0] - by_y * pattern[1]
        self.hourglass_force += self.stiffness * bent
        self.hourglass_work += float(np.vdot(self.hourglass_force, bent))
        rest = -inverse * self.hourglass_force
        flux_x, flux_y = rest * pattern[0], rest * pattern[1]
        flux_x[0] += mean + half
        flux_x[1] += shear
        flux_y[0] += shear
        flux_y[1] += mean - half
        force_one, force_two = d * flux_x - c * flux_y, a * flux_y - b * flux_x
        quarter = 0.25 * self.hourglass_force
        total = np.zeros_like(motion[:2])
        total[:, :-1, :-1] += force_one - quarter
        total[:, 1:, 1:] -= force_one + quarter
        total[:, :-1, 1:] += force_two + quarter
        total[:, 1:, :-1] -= force_two - quarter
        self.volume = half_thickness * twice_area
        return total

    def critical_step(self, x: np.ndarray) -> float:
        """The time in which a wave crosses the thinnest cell, s; not above 0, or not a number, if one is crushed."""
        along, across = (x[:, :, 1:] - x[:, :, :-1]) ** 2, (x[:, 1:] - x[:, :-1]) ** 2
        along, across = along.sum(0), across.sum(0)
        longest = np.maximum(np.maximum(along[1:], along[:-1]), np.maximum(across[:, 1:], across[:, :-1]))
        return float((0.5 * _cross(*_diagonals(x)) / np.sqrt(longest)).min()) / self.wave_speed


def _diagonals(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each cell: from lower left to upper right, from lower right to upper left. ``[n, R, C]`` to two of
    ``[n, R - 1, C - 1]``."""
    return x[:, 1:, 1:] - x[:, :-1, :-1], x[:, 1:, :-1] - x[:, :-1, 1:]


def _cross(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Twice the signed area of the cells with these diagonals, ``[2, ...]`` both."""
    return one[0] * two[1] - one[1] * two[0]


def _alternating(x: np.ndarray) -> np.ndarray:
    """Sum over each cell's corners with signs + - + - around it. ``[n, R, C] -> [n, R - 1, C - 1]``"""
    along = x[:, :, 1:] - x[:, :, :-1]
    return along[:, 1:] - along[:, :-1]
