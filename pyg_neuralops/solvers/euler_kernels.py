"""Compiled loops of the Euler solver: HLLC fluxes of limited states, and one LU-SGS step after another.

Needs numba; :mod:`.euler` imports it when it solves, so that the package imports without it. One file, as numba's
cache on disk does not notice that a compiled function calls one in another file that has changed.

``states [I + 4, J + 4, 4]`` are density, velocity and pressure in the cells and in two rings of ghosts around them,
``u [I, J, 4]`` the conserved density, momentum and energy, ``across_i [I + 1, J, 2]`` and ``across_j [I, J + 1, 2]``
the normals of the faces, as long as these.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from .gas import GAMMA

SLACK = 1.01  # the implicit operator takes slightly more than the spectral radius, as is usual for LU-SGS


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """``numba.njit`` with a cache on disk, so that a worker does not compile again, where there is a place for it."""
    # Without nnan: the test for positive states has to see a nan.
    options: dict[str, Any] = {"fastmath": {"contract", "arcp", "nsz", "reassoc"}, "error_model": "numpy"}
    try:
        return numba.njit(function, cache=True, **options)
    except RuntimeError:  # neither the package's folder nor the user's can be written
        return numba.njit(function, **options)


@compiled
def limited(a, b):
    """Van Albada mean of two neighbouring differences; 0 at an extremum."""
    return a * b * (a + b) / (a * a + b * b) if a * b > 0 else 0.0


@compiled
def hllc(left, right, nx, ny):
    """HLLC flux of mass, momentum and energy through a unit normal, from the left and the right state."""
    rl, ul, vl, pl = left
    rr, ur, vr, pr = right
    ql, qr = ul * nx + vl * ny, ur * nx + vr * ny
    el, er = pl / (GAMMA - 1) + 0.5 * rl * (ul * ul + vl * vl), pr / (GAMMA - 1) + 0.5 * rr * (ur * ur + vr * vr)
    root = math.sqrt(rr / rl)
    wl, wr = 1 / (1 + root), root / (1 + root)  # Roe's weights
    u, v = wl * ul + wr * ur, wl * vl + wr * vr
    enthalpy = wl * (el + pl) / rl + wr * (er + pr) / rr
    q, c = u * nx + v * ny, math.sqrt(max((GAMMA - 1) * (enthalpy - 0.5 * (u * u + v * v)), 1e-12))
    sl, sr = min(ql - math.sqrt(GAMMA * pl / rl), q - c), max(qr + math.sqrt(GAMMA * pr / rr), q + c)
    contact = (pr - pl + rl * ql * (sl - ql) - rr * qr * (sr - qr)) / (rl * (sl - ql) - rr * (sr - qr))
    # F = F_K + S_K (U*_K - U_K) on the contact's side K, and F_K alone where the whole fan is on the other side.
    if contact >= 0:
        r, u, v, p, q, e, s, active = rl, ul, vl, pl, ql, el, sl, min(sl, 0.0)
    else:
        r, u, v, p, q, e, s, active = rr, ur, vr, pr, qr, er, sr, max(sr, 0.0)
    jump, ratio = contact - q, (s - q) / (s - contact)
    star = r * ratio
    pushed = (contact * (p + r * (s - q) * jump) - p * q) / (s - contact)
    return (
        r * q + active * (star - r),
        r * u * q + p * nx + active * (star * (u + jump * nx) - r * u),
        r * v * q + p * ny + active * (star * (v + jump * ny) - r * v),
        (e + p) * q + active * (ratio * e + pushed - e),
    )


@compiled
def face(states, i, j, di, dj, nx, ny):
    """Flux through the face between the cells (i - di, j - dj) and (i, j); its normal is as long as the face."""
    left, right = (0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0)
    length = math.sqrt(nx * nx + ny * ny)
    for k in range(4):
        before, here = states[i - di, j - dj, k], states[i, j, k]
        step = here - before
        value = before + 0.5 * limited(before - states[i - 2 * di, j - 2 * dj, k], step)
        left = (left[1], left[2], left[3], value)
        value = here - 0.5 * limited(step, states[i + di, j + dj, k] - here)
        right = (right[1], right[2], right[3], value)
    flux = hllc(left, right, nx / length, ny / length)
    return flux[0] * length, flux[1] * length, flux[2] * length, flux[3] * length


@compiled
def move(out, i, j, flux, rows, columns, back_i, back_j):
    """Take ``flux`` out of the cell behind the face and put it into the cell (i, j), where there are such cells."""
    for k in range(4):
        if back_i >= 0 and back_j >= 0:
            out[back_i, back_j, k] += flux[k]
        if i < rows and j < columns:
            out[i, j, k] -= flux[k]


@compiled
def residual(states, across_i, across_j, wake, out):
    """Net flux out of every cell into ``out [I, J, 4]``; ``across_*`` are the normals of the faces."""
    rows, columns = out.shape[0], out.shape[1]
    out[:] = 0.0
    for i in range(rows + 1):
        for j in range(columns):
            flux = face(states, i + 2, j + 2, 1, 0, across_i[i, j, 0], across_i[i, j, 1])
            move(out, i, j, flux, rows, columns, i - 1, j)
    for i in range(rows):
        for j in range(columns + 1):
            nx, ny = across_j[i, j, 0], across_j[i, j, 1]
            if j == 0 and wake <= i < rows - wake:  # at a wall only the pressure acts
                near, second, third = states[i + 2, 2, 3], states[i + 2, 3, 3], states[i + 2, 4, 3]
                pressure = near - 0.5 * limited(second - near, third - second)
                flux = (0.0, pressure * nx, pressure * ny, 0.0)
            else:
                flux = face(states, i + 2, j + 2, 0, 1, nx, ny)
            move(out, i, j, flux, rows, columns, i, j - 1)


@compiled
def primitives(u, states):
    """Fill the inner ``states [I + 4, J + 4, 4]`` (rho, u, v, p) from ``u [I, J, 4]``; False if not positive."""
    positive = True
    for i in range(u.shape[0]):
        for j in range(u.shape[1]):
            r = u[i, j, 0]
            states[i + 2, j + 2, 0] = r
            states[i + 2, j + 2, 1] = u[i, j, 1] / r
            states[i + 2, j + 2, 2] = u[i, j, 2] / r
            p = (GAMMA - 1) * (u[i, j, 3] - 0.5 * (u[i, j, 1] ** 2 + u[i, j, 2] ** 2) / r)
            states[i + 2, j + 2, 3] = p
            positive = positive and r > 1e-4 and p > 1e-4
    return positive


@compiled
def ghosts(states, wake):
    """Fill the ghosts of the inner side; those of the far field hold the free stream from the start.

    Beyond the cut lie the cells of the other half. Beyond the wall lies what the first two cells extrapolate to: it
    only serves the slope in the first one, which a mirror would flatten, to first order.
    """
    rows = states.shape[0] - 4
    for i in range(rows):
        cut = i < wake or i >= rows - wake
        for k in range(4):
            if cut:
                states[i + 2, 1, k] = states[rows + 1 - i, 2, k]
                states[i + 2, 0, k] = states[rows + 1 - i, 3, k]
            else:
                states[i + 2, 1, k] = 2 * states[i + 2, 2, k] - states[i + 2, 3, k]


@compiled
def flux(r, ru, rv, e, nx, ny):
    """Flux of a conserved state through a normal."""
    q = (ru * nx + rv * ny) / r
    p = (GAMMA - 1) * (e - 0.5 * (ru * ru + rv * rv) / r)
    return r * q, ru * q + p * nx, rv * q + p * ny, (e + p) * q


@compiled
def pull(u, change, i, j, nx, ny, radius, sign):
    """What the change of the cell (i, j) adds to the implicit equation of its neighbour, across a face."""
    a, b, c, d = u[i, j, 0], u[i, j, 1], u[i, j, 2], u[i, j, 3]
    da, db, dc, dd = change[i, j, 0], change[i, j, 1], change[i, j, 2], change[i, j, 3]
    before, after = flux(a, b, c, d, nx, ny), flux(a + da, b + db, c + dc, d + dd, nx, ny)
    radius *= SLACK
    return (
        0.5 * (sign * (after[0] - before[0]) + radius * da),
        0.5 * (sign * (after[1] - before[1]) + radius * db),
        0.5 * (sign * (after[2] - before[2]) + radius * dc),
        0.5 * (sign * (after[3] - before[3]) + radius * dd),
    )


@compiled
def radii(states, across, di, dj, out):
    """Spectral radius of the flux Jacobian across each cell, along i (1, 0) or j (0, 1), into ``out [I, J]``."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            nx = 0.5 * (across[i, j, 0] + across[i + di, j + dj, 0])
            ny = 0.5 * (across[i, j, 1] + across[i + di, j + dj, 1])
            normal = states[i + 2, j + 2, 1] * nx + states[i + 2, j + 2, 2] * ny
            sound = math.sqrt(GAMMA * states[i + 2, j + 2, 3] / states[i + 2, j + 2, 0])
            out[i, j] = abs(normal) + sound * math.sqrt(nx * nx + ny * ny)


@compiled
def sweep(u, change, across_i, across_j, lam_i, lam_j, cfl, sign):
    """One sweep of LU-SGS, forward (sign 1) or backward (-1).

    ``change [I, J, 4]`` comes into the forward sweep as the residual and leaves the backward one as the update.
    """
    rows, columns = lam_i.shape
    ahead = 0 if sign > 0 else 1
    for m in range(rows):
        i = m if sign > 0 else rows - 1 - m
        for n in range(columns):
            j = n if sign > 0 else columns - 1 - n
            total = (0.0, 0.0, 0.0, 0.0)
            if m > 0:
                o = i - sign
                total = pull(u, change, o, j, across_i[i + ahead, j, 0], across_i[i + ahead, j, 1], lam_i[o, j], sign)
            if n > 0:
                o = j - sign
                more = pull(u, change, i, o, across_j[i, j + ahead, 0], across_j[i, j + ahead, 1], lam_j[i, o], sign)
                total = (total[0] + more[0], total[1] + more[1], total[2] + more[2], total[3] + more[3])
            diagonal = (SLACK + 1 / cfl) * (lam_i[i, j] + lam_j[i, j])
            for k in range(4):
                if sign > 0:
                    change[i, j, k] = (total[k] - change[i, j, k]) / diagonal
                else:
                    change[i, j, k] += total[k] / diagonal


@compiled
def march(u, states, wake, across_i, across_j, area, cfl_max, tolerance, history):
    """Pseudo-time steps on ``u [I, J, 4]``, in place, until the residual is small or ``history`` is full.

    ``history`` receives the root mean square of the mass residual over its greatest value so far.

    Returns:
        Steps done; -1 if a state is no longer positive.
    """
    rows, columns = area.shape
    change, lam_i, lam_j = np.empty_like(u), np.empty_like(area), np.empty_like(area)
    greatest = 1e-300
    for step in range(len(history)):
        if not primitives(u, states):
            return -1
        ghosts(states, wake)
        residual(states, across_i, across_j, wake, change)
        square = 0.0
        for i in range(rows):
            for j in range(columns):
                square += change[i, j, 0] ** 2 / area[i, j]
        greatest = max(greatest, math.sqrt(square))
        history[step] = math.sqrt(square) / greatest
        if history[step] < tolerance:
            return step
        radii(states, across_i, 1, 0, lam_i)
        radii(states, across_j, 0, 1, lam_j)
        cfl = min(cfl_max, 2.0 * 1.05**step)
        sweep(u, change, across_i, across_j, lam_i, lam_j, cfl, 1)
        sweep(u, change, across_i, across_j, lam_i, lam_j, cfl, -1)
        for i in range(rows):
            for j in range(columns):
                for k in range(4):
                    u[i, j, k] += change[i, j, k]
    return len(history)
