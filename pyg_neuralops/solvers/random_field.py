"""A Gaussian random field on the unit square, drawn from its cosine series."""

from __future__ import annotations

import numpy as np
from scipy.fft import idctn


def gaussian_random_field(rng: np.random.Generator, size: int, tau: float = 3.0, alpha: float = 2.0) -> np.ndarray:
    r"""A sample of :math:`N(0, \tau^{2(\alpha-1)} (-\Delta + \tau^2 I)^{-\alpha})`, zero Neumann, zero mean.

    Cosine mode :math:`k` has the coefficient :math:`s\,\tau^{\alpha-1} (\pi^2 |k|^2 + \tau^2)^{-\alpha/2}
    \xi_k` with :math:`\xi_k \sim N(0, 1)`; mode 0 is zero. This is the field of the Darcy set of Li et al.,
    "Fourier Neural Operator for Parametric Partial Differential Equations" (arXiv:2010.08895), A.3.2.

    Args:
        rng: source of the ``size * size`` normal numbers.
        size: s, cells per side.
        tau: inverse correlation length.
        alpha: decay; at 2 a sample is rough, Hölder continuous with every exponent below 1.

    Returns:
        ``[s, s]`` float64, axes (x, y), values at the cell centres ``(i + 1/2) / s``; no unit.
    """
    if size < 2:
        raise ValueError(f"size={size}; it must be at least 2")
    if tau <= 0 or alpha <= 1:
        raise ValueError(f"tau={tau}, alpha={alpha}; tau must be above 0 and alpha above 1")
    k = np.pi * np.arange(size)
    scale = size * tau ** (alpha - 1) * (k[:, None] ** 2 + k**2 + tau**2) ** (-alpha / 2)  # [s, s]
    modes = scale * rng.standard_normal((size, size))
    modes[0, 0] = 0.0
    return idctn(modes, norm="ortho")
