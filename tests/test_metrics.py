import pytest
import torch

from pyg_neuralops.metrics import relative_l2


def test_relative_l2_is_the_ratio_of_norms_per_sample():
    torch.manual_seed(0)
    pred, target = torch.randn(9, 2), torch.randn(9, 2)
    batch = torch.tensor([0] * 4 + [1] * 5)
    want = [(pred[s] - target[s]).norm() / target[s].norm() for s in (slice(4), slice(4, 9))]
    torch.testing.assert_close(relative_l2(pred, target, batch), torch.stack(want))
    torch.testing.assert_close(relative_l2(pred, target)[0], (pred - target).norm() / target.norm())
    torch.testing.assert_close(relative_l2(3 * pred, 3 * target, batch), relative_l2(pred, target, batch))
    weight = torch.ones(9)
    weight[2] = 0
    kept = [0, 1, 3]
    want = (pred[kept] - target[kept]).norm() / target[kept].norm()
    torch.testing.assert_close(relative_l2(pred, target, batch, weight)[0], want)


def test_exact_predictions_have_error_and_gradient_zero():
    target = torch.randn(5, 1)
    pred = target.clone().requires_grad_()
    error = relative_l2(pred, target)
    error.sum().backward()
    assert error.item() == 0
    assert torch.equal(pred.grad, torch.zeros(5, 1))
    assert relative_l2(torch.zeros(3, 1), torch.zeros(3, 1)).item() == 0
    assert relative_l2(torch.ones(3, 1), torch.zeros(3, 1)).item() == float("inf")


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"\[3\].*\[3, 1\]"):
        relative_l2(torch.zeros(3), torch.zeros(3, 1))
