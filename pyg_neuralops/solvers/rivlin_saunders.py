"""The Rivlin-Saunders material in plane stress."""

from __future__ import annotations

import numpy as np

C1, C2 = 1.863e5, 9.79e3
"""Constants of the Rivlin-Saunders material of Li et al. (arXiv:2207.05209), in Pa."""


def rivlin_saunders(strain: np.ndarray, c1: float = C1, c2: float = C2) -> tuple[np.ndarray, np.ndarray]:
    r"""Second Piola-Kirchhoff stress and its derivative by the Green strain, plane stress, incompressible.

    :math:`W = c_1 (I_1 - 3) + c_2 (I_2 - 3)` of the three-dimensional C = 1 + 2 E, whose out-of-plane component
    is :math:`C_{33} = 1 / J` with :math:`J = C_{11} C_{22} - C_{12}^2`. With :math:`t = C_{11} + C_{22}`,
    :math:`W = c_1 (t + 1/J - 3) + c_2 (J + t/J - 3)`: the pressure is gone, and the stress 33 is zero.

    Args:
        strain: Green strain in the plane ``[3, ...]``: E11, E22, 2 E12.
        c1, c2: constants in Pa; at small strain the shear modulus is 2 (c1 + c2).

    Returns:
        S11, S22, S12 ``[3, ...]``, and the derivative by E11, E22, 2 E12 ``[3, 3, ...]``, both in Pa.
    """
    one, two, shear = strain
    j = 2 * (one + two) + 4 * one * two - shear**2  # J - 1
    trace, det, square = 2 + 2 * (one + two), 1 + j, j * (2 + j)  # square = J² - 1
    by_det = c2 - (c1 + c2 * trace) / det**2  # dW/dJ
    # 2 (dW/dt + dW/dJ C22) and so on, without the difference of numbers near 1 that spoils small strains.
    stress = np.empty_like(strain)
    for k, (e, other) in enumerate(((one, two), (two, one))):
        second = j * (3 + j) - 2 * e - 4 * other + 2 * other * (square - 2 * (one + two))
        stress[k] = 2 * (c1 * (square - 2 * other) + c2 * second) / det**2
    stress[2] = -2 * by_det * shear
    cofactor = np.stack([1 + 2 * two, 1 + 2 * one, -shear])  # dJ/dC
    unit = np.zeros_like(cofactor)
    unit[:2] = 1  # dt/dC
    cross = unit[:, None] * cofactor
    twice_by_det = 2 * (c1 + c2 * trace) / det**3  # d2W/dJ2
    tangent = (-c2 / det**2) * (cross + cross.swapaxes(0, 1)) + twice_by_det * cofactor[:, None] * cofactor
    tangent[0, 1] += by_det
    tangent[1, 0] += by_det
    tangent[2, 2] -= by_det / 2
    return stress, 4 * tangent


def von_mises(stress: np.ndarray) -> np.ndarray:
    """Von Mises stress of s11, s22, s12 ``[..., 3]`` in plane stress, ``[...]``."""
    one, two, shear = np.moveaxis(stress, -1, 0)
    return np.sqrt(one**2 - one * two + two**2 + 3 * shear**2)
