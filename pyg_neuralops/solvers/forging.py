"""Forging of a block by a rigid die: explicit dynamics, finite strain, perfect plasticity, frictionless contact."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .plastic_quads import PlasticQuads

LENGTH, HEIGHT = 50.0, 15.0
"""Of the block, mm."""
SPEED, STROKE = 3000.0, 3.0
"""Of the die, mm/s and mm."""
STEEL = {"youngs": 2e5, "poisson": 0.3, "yield_stress": 70.0, "density": 7.85e-9}
"""MPa, 1, MPa and tonne/mm³."""


@dataclass(frozen=True)
class Forging:
    """What a block does below a die that comes down; mm, MPa, N and mJ per mm of thickness.

    Shapes:
        ``positions [T, C, R, 2]`` of the nodes at the ends of the T frames, columns from the left and rows from
        below; ``force [T]`` of the die on the block, mean over each frame. At the end: ``stress [3, C - 1,
        R - 1]`` (s11, s22, s12), ``plastic_strain [C - 1, R - 1]``, ``thickness [C - 1, R - 1]`` relative to the
        initial one, and energies: ``work`` of the die, and where it went (``elastic``, ``plastic``, ``kinetic``,
        ``viscous``, ``hourglass``, ``impact``). ``steps`` of time.
    """

    positions: np.ndarray
    force: np.ndarray
    stress: np.ndarray
    plastic_strain: np.ndarray
    thickness: np.ndarray
    work: float
    elastic: float
    plastic: float
    kinetic: float
    viscous: float
    hourglass: float
    impact: float
    steps: int

    @property
    def energy_error(self) -> float:
        """What the parts of the energy sum up to over the work of the die, less 1."""
        parts = (self.elastic, self.plastic, self.kinetic, self.viscous, self.hourglass, self.impact)
        return sum(parts) / self.work - 1


def solve_forging(
    die: np.ndarray,
    columns: int,
    rows: int,
    *,
    length: float = LENGTH,
    height: float = HEIGHT,
    speed: float = SPEED,
    stroke: float = STROKE,
    frames: int = 20,
    youngs: float = STEEL["youngs"],
    poisson: float = STEEL["poisson"],
    yield_stress: float = STEEL["yield_stress"],
    density: float = STEEL["density"],
    courant: float = 0.8,
    max_steps: int = 200_000,
) -> Forging:
    """Press a die into the top of the block ``[0, length] x [0, height]``, whose bottom is clamped.

    Central differences in time. The die does not yield and has no friction: a node of the top that has passed it
    gets the normal force that stops it relative to the die and takes back a tenth of the passed distance a step.
    Between its points, equally spaced over the block, the die is straight; it goes on straight beyond them.

    Args:
        die: ``[n]`` heights above the top of the block at the start, mm.
        columns, rows: C and R, nodes along x and y.
        speed, stroke: of the die, mm/s and mm.
        frames: T, equal parts of the stroke.
        youngs, poisson, yield_stress, density: MPa, 1, MPa and tonne/mm³.
        courant: time step over the time in which a wave crosses the thinnest cell.
        max_steps: time steps after which it gives up.

    Raises:
        ValueError: for fewer than 2 points, columns, rows, or 1 frame, or numbers that are not positive.
        RuntimeError: if a cell is crushed, or ``max_steps`` are not enough.
    """
    die = np.asarray(die, float)
    if die.ndim != 1 or min(len(die), columns, rows) < 2 or frames < 1:
        raise ValueError(
            f"die of shape {die.shape}, columns={columns}, rows={rows}, frames={frames}; "
            "expected [n], n, columns and rows at least 2, frames at least 1"
        )
    numbers = {"speed": speed, "stroke": stroke, "youngs": youngs, "density": density, "courant": courant}
    for name, value in {**numbers, "yield_stress": yield_stress, "length": length, "height": height}.items():
        if not value > 0:
            raise ValueError(f"{name}={value}; it must be positive")
    motion = np.zeros((4, rows, columns))
    x, v = motion[:2], motion[2:]
    x[0], x[1] = np.meshgrid(np.linspace(0, length, columns), np.linspace(0, height, rows))
    quads = PlasticQuads(x, youngs, poisson, yield_stress, density)
    inverse_mass = 1 / quads.mass
    inverse_mass[0] = 0  # clamped
    contact = _Contact(die + height, length, speed, quads.mass[-1])
    positions, force = np.empty((frames, columns, rows, 2)), np.empty(frames)
    steps, frame_time = 0, stroke / (speed * frames)
    for frame in range(frames):
        left, before = frame_time, contact.impulse
        while left:
            limit = courant * quads.critical_step(x)
            if not limit > 0:
                raise RuntimeError(f"a cell is crushed in frame {frame + 1} of {frames}")
            count = math.ceil(left / limit)
            dt = left / count  # equal steps up to the end of the frame: a last short one would upset the contact
            for _ in range(min(count, 10)):
                shift = (0.5 * dt) * v
                x += shift
                forces = quads.forces(motion, dt)
                x += shift
                contact.apply(x[:, -1], v[:, -1], forces[:, -1], dt)
                forces *= dt * inverse_mass
                v += forces
            steps += min(count, 10)
            left = left - 10 * dt if count > 10 else 0.0
            if steps > max_steps:
                raise RuntimeError(f"{max_steps} steps reach frame {frame + 1} of {frames} only")
        positions[frame] = x.T
        force[frame] = (contact.impulse - before) / frame_time
    material = quads.material
    return Forging(
        positions,
        force,
        stress=material.cartesian().transpose(0, 2, 1),
        plastic_strain=material.plastic_strain.T,
        thickness=material.thickness.T,
        work=speed * contact.impulse,
        elastic=float(np.vdot(material.elastic_energy(), quads.volume)),
        # The volume of a cell changes by its elastic strain only, so that of the end serves for the whole path.
        plastic=yield_stress * float(np.vdot(material.plastic_strain, quads.volume)),
        kinetic=0.5 * float((quads.mass * v**2).sum()),
        viscous=quads.viscous_work,
        hourglass=quads.hourglass_work,
        impact=contact.loss,
        steps=steps,
    )


class _Contact:
    """A rigid die without friction that comes down on a row of nodes; its impulse, and what impacts cost."""

    def __init__(self, heights: np.ndarray, length: float, speed: float, mass: np.ndarray):
        self.heights, self.scale, self.speed, self.mass = heights, (len(heights) - 1) / length, speed, mass
        self.slopes = np.diff(heights) * self.scale
        self.time = self.impulse = self.loss = 0.0

    def apply(self, x: np.ndarray, v: np.ndarray, force: np.ndarray, dt: float) -> None:
        """Add the die's force on the nodes to ``force``; all ``[2, C]``, positions after the step."""
        self.time += dt
        piece = np.minimum(np.maximum((self.scale * x[0]).astype(int), 0), len(self.slopes) - 1)
        slope = self.slopes[piece]
        depth = x[1] - self.heights[piece] - slope * (x[0] - piece / self.scale) + self.speed * self.time
        passed = depth > 0
        if not passed.any():
            return
        upward = 1 / np.sqrt(1 + slope * slope)  # of the unit normal into the die
        approach = upward * (v[1] - slope * v[0] + self.speed)
        free = approach + dt / self.mass * upward * (force[1] - slope * force[0])  # at the next step, without contact
        kick = passed * np.maximum(free + 0.1 / dt * depth * upward, 0)
        push = kick * self.mass * upward / dt
        force[0] += slope * push
        force[1] -= push
        self.impulse += dt * float(push.sum())
        self.loss += 0.5 * float(np.vdot(kick * self.mass, approach + free - kick))
