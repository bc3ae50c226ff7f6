import math

import pytest
import torch

from pyg_neuralops.metrics import METRICS, defined_mean, integral_l2, per_channel, r2, relative_l2

BATCH = torch.tensor([0] * 4 + [1] * 5)


def fields(dtype=torch.float32, channels=2):
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(9, channels, generator=generator).to(dtype) for _ in range(2))


def closed_form(name, prediction, target, weight):
    """The formula on one sample, in float64 on values of about 1."""
    e, y, w = prediction - target, target, weight[:, None]
    return {
        "relative_l2": lambda: e.norm() / y.norm(),
        "relative_l2_integral": lambda: ((w * e**2).sum() / (w * y**2).sum()).sqrt(),
        "relative_max": lambda: e.abs().max() / y.abs().max(),
        "mean_absolute": lambda: e.abs().mean(),
        "r2": lambda: 1 - (e**2).sum() / ((y - y.mean(0)) ** 2).sum(),
    }[name]()


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", METRICS)
def test_values_at_every_scale_and_type(name, dtype, scale):
    if dtype == torch.float16:
        scale = {1e-30: 1e-3, 1.0: 1.0, 1e30: 1e4}[scale]  # what half precision can hold
    prediction, target = (scale * v.double() for v in fields())
    prediction, target = prediction.to(dtype), target.to(dtype)
    weight = torch.rand(9, generator=torch.Generator().manual_seed(1))
    found = METRICS[name](prediction, target, BATCH, weight, 2)
    assert found.shape == (2,)
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    for index, part in enumerate((slice(4), slice(4, 9))):
        parts = (prediction[part].double() / scale, target[part].double() / scale, weight[part].double())
        want = closed_form(name, *parts) * (scale if name == "mean_absolute" else 1)
        torch.testing.assert_close(found[index].double(), want, rtol=1e-5, atol=0)
        alone = METRICS[name](prediction[part], target[part], None, weight[part], None)
        torch.testing.assert_close(alone[0], found[index], rtol=1e-6, atol=0)


def test_what_a_float32_square_would_lose():
    target = torch.full((3, 1), 1e-21)
    assert relative_l2(2 * target, target).item() == pytest.approx(1, rel=1e-6)
    assert relative_l2(-1e19 * torch.ones(3, 1), 1e19 * torch.ones(3, 1)).item() == pytest.approx(2, rel=1e-6)
    # Wrong by far more than the target is large, and in sums of many nodes.
    assert relative_l2(torch.ones(3, 1), 1e-30 * torch.ones(3, 1)).item() == pytest.approx(1e30, rel=1e-5)
    many = torch.full((2_000_001, 1), 0.1)
    assert relative_l2(1.1 * many, many, torch.zeros(len(many), dtype=torch.long)).item() == pytest.approx(
        0.1, rel=1e-5
    )


def test_integers_do_not_wrap():
    one, two = torch.tensor([[1], [2]], dtype=torch.uint8), torch.tensor([[2], [2]], dtype=torch.uint8)
    assert METRICS["mean_absolute"](one, two, None, None, None).item() == 0.5


def test_a_small_channel_beside_a_large_one_is_seen():
    u, p = torch.rand(50, 1), 1e5 * torch.rand(50, 1)
    target, prediction = torch.cat([u, p], 1), torch.cat([-0.09 * u, 1.01 * p], 1)
    assert relative_l2(prediction, target).item() == pytest.approx(0.01, rel=1e-3)
    found = per_channel(relative_l2, prediction, target)
    torch.testing.assert_close(found, torch.tensor([[1.09, 0.01]]), rtol=1e-4, atol=0)
    # In a batch, with weights, and with the columns of two times one after the other.
    prediction, target = fields(channels=4)
    weight = torch.rand(9)
    found = per_channel(relative_l2, prediction, target, BATCH, weight, 2, channels=2)
    want = [relative_l2(prediction[:, c::2], target[:, c::2], BATCH, weight) for c in range(2)]
    torch.testing.assert_close(found, torch.stack(want, 1))


def test_an_error_has_the_gradient_of_its_formula_at_every_scale():
    for scale in (1e-30, 1.0, 1e30):
        prediction, target = (scale * v for v in fields(torch.float64))
        error = prediction - target
        for dtype, rtol in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
            pred = prediction.to(dtype).clone().requires_grad_()
            relative_l2(pred, target.to(dtype)).sum().backward()
            want = error / (error.norm() * target.norm())
            torch.testing.assert_close(pred.grad.double() * scale, want * scale, rtol=rtol, atol=rtol)


def test_exact_predictions_have_error_and_gradient_zero():
    _, target = fields()
    pred = target.clone().requires_grad_()
    error = relative_l2(pred, target)
    error.sum().backward()
    assert error.item() == 0
    assert torch.equal(pred.grad, torch.zeros(9, 2))
    assert r2(target, target).item() == 1
    assert r2(target.mean(0).expand_as(target), target).item() == pytest.approx(0, abs=1e-6)


def test_where_the_target_is_zero_an_error_is_undefined_and_kept_out():
    prediction, target = fields()
    target[BATCH == 1] = 0
    for name in ("relative_l2", "relative_l2_integral", "relative_max", "r2"):
        found = METRICS[name](prediction, target, BATCH, torch.ones(9), 2)
        assert found.isnan().tolist() == [False, True]
        assert METRICS[name](target, target, BATCH, torch.ones(9), 2).isnan().tolist() == [False, True]
    assert METRICS["mean_absolute"](prediction, target, BATCH, None, 2).isfinite().all()
    assert per_channel(relative_l2, prediction, target * torch.tensor([0.0, 1.0])).isnan().tolist() == [[True, False]]
    pred = prediction.requires_grad_()
    errors = relative_l2(pred, target, BATCH)
    mean = defined_mean(errors)
    mean.backward()
    assert mean.item() == errors[0].item() > 0
    assert torch.equal(pred.grad[4:], torch.zeros(5, 2))
    assert pred.grad[:4].isfinite().all()
    assert pred.grad[:4].abs().sum() > 0
    nothing = defined_mean(relative_l2(pred, torch.zeros(9, 2)))
    nothing.backward()
    assert nothing.item() == 0
    # 0.1 is not a binary number: its mean over seven nodes is another, yet the field is constant.
    assert r2(torch.rand(7, 1), torch.full((7, 1), 0.1)).isnan().all()


def test_a_prediction_that_is_not_finite_is_wrong_and_not_undefined():
    prediction, target = fields()
    for value in (math.nan, math.inf):
        prediction[5, 1] = value
        for name in METRICS:
            found = METRICS[name](prediction, target, BATCH, torch.ones(9), 2)
            assert found.isfinite().tolist() == [True, False]
            assert found[1].item() == (-math.inf if name == "r2" else math.inf)


def test_a_batch_may_be_long_and_have_an_empty_sample():
    prediction, target = fields()
    found = relative_l2(prediction, target, BATCH, num_samples=3)
    assert found.isnan().tolist() == [False, False, True]
    order = torch.tensor([8, 0, 4, 1, 5, 2, 6, 3, 7])
    torch.testing.assert_close(relative_l2(prediction[order], target[order], BATCH[order]), found[:2])


def test_shapes_must_agree():
    field = torch.zeros(3, 1)
    with pytest.raises(ValueError, match=r"\[3\].*\[3, 1\]"):
        relative_l2(torch.zeros(3), field)
    with pytest.raises(ValueError, match=r"weight has shape \[3, 1\]; with 3 nodes it must be \[N\]"):
        relative_l2(field, field, weight=torch.ones(3, 1))
    with pytest.raises(ValueError, match=r"batch has shape \[2\]"):
        relative_l2(field, field, torch.zeros(2, dtype=torch.long))
    with pytest.raises(ValueError, match="no quadrature weights"):
        integral_l2(field, field)
    with pytest.raises(ValueError, match="complex"):
        relative_l2(field + 1j, field)
