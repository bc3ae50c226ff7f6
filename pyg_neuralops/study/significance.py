"""Paired tests between two models on the same samples, or with the same seeds."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import ttest_1samp, wilcoxon

FEWEST = 6
"""Differing samples below which Wilcoxon's p cannot fall under 0.05: 2 / 2^5 = 0.0625."""


def signed_rank(one: ArrayLike, two: ArrayLike) -> float | None:
    """p of Wilcoxon's two-sided signed-rank test of paired errors.

    Pairs without a value (NaN) are left out, and so are equal ones, as Wilcoxon did. None with fewer than six that
    differ, unless six or more are there and all are equal, which is p = 1.
    """
    a, b = np.asarray(one, float), np.asarray(two, float)
    there = ~(np.isnan(a) | np.isnan(b))
    a, b = a[there], b[there]
    unequal = a != b  # before the difference: two infinite errors are equal
    if len(a) >= FEWEST and not unequal.any():
        return 1.0
    return float(wilcoxon(a[unequal] - b[unequal]).pvalue) if unequal.sum() >= FEWEST else None


def paired_t(one: ArrayLike, two: ArrayLike) -> float | None:
    """p of the two-sided paired t test of mean errors over seeds; None with fewer than three pairs, or where the
    differences are not finite or equal but not 0 (nothing is left to chance then)."""
    difference = np.asarray(one, float) - np.asarray(two, float)
    if len(difference) < 3 or not np.isfinite(difference).all():
        return None
    if not difference.any():
        return 1.0
    scale = np.abs(difference).max()
    if np.ptp(difference) <= 1e-12 * scale:
        return None
    return float(ttest_1samp(difference / scale, 0).pvalue)
