"""One cycle is torch's, as a function of progress."""

from __future__ import annotations

import pytest
import torch

from pyg_neuralops.engine import OneCycle


@pytest.mark.parametrize("steps", [10, 37, 200])
@pytest.mark.parametrize(("pct_start", "div"), [(0.3, 25.0), (0.5, 25.0), (0.5, 1e4)])
def test_equals_torch(steps, pct_start, div):
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 3e-3, total_steps=steps, pct_start=pct_start, div_factor=div
    )
    # torch puts the peak at step pct_start * steps - 1 of the steps 0 ... steps - 1.
    cycle = OneCycle(3e-3, (pct_start * steps - 1) / (steps - 1), div)
    for step in range(steps):
        lr, beta1 = cycle(step / (steps - 1))
        group = optimizer.param_groups[0]
        assert lr == pytest.approx(group["lr"], rel=1e-9)
        assert beta1 == pytest.approx(group["betas"][0], rel=1e-12)
        optimizer.step()
        if step < steps - 1:
            scheduler.step()


def test_ends_and_peak():
    cycle = OneCycle(1.0)
    assert cycle(0.0) == pytest.approx((1 / 25, 0.95))
    assert cycle(0.3) == pytest.approx((1.0, 0.85))
    assert cycle(1.0) == pytest.approx((1 / 25 / 1e4, 0.95))
    assert cycle(1.5) == cycle(1.0)
