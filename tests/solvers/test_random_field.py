import numpy as np
import pytest

from pyg_neuralops.solvers import gaussian_random_field


def test_the_field_has_zero_mean_and_the_energy_of_its_spectrum():
    size, tau, draws = 32, 3.0, 400
    rng = np.random.default_rng(0)
    fields = np.stack([gaussian_random_field(rng, size, tau) for _ in range(draws)])
    np.testing.assert_allclose(fields.mean(axis=(1, 2)), 0, atol=1e-14)
    k = np.pi * np.arange(size)
    variance = (tau / (k[:, None] ** 2 + k**2 + tau**2)) ** 2
    variance[0, 0] = 0
    # The transform is orthonormal: mean square in space = sum of the modes' squares / size², s² cancels.
    deviation = np.sqrt(2 * (variance**2).sum() / draws)
    assert abs((fields**2).mean() - variance.sum()) < 4 * deviation


def test_one_mode_is_a_cosine_at_the_cell_centres():
    class OneMode:
        def standard_normal(self, shape):
            draw = np.zeros(shape)
            draw[2, 1] = 1.0
            return draw

    size, tau = 16, 3.0
    x = (np.arange(size) + 0.5) / size
    wave = 2 * np.cos(2 * np.pi * x)[:, None] * np.cos(np.pi * x)
    expected = tau / (np.pi**2 * 5 + tau**2) * wave
    np.testing.assert_allclose(gaussian_random_field(OneMode(), size, tau), expected, atol=1e-15)


@pytest.mark.parametrize("arguments", [{"size": 1}, {"size": 8, "tau": 0.0}, {"size": 8, "alpha": 1.0}])
def test_wrong_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match="must be"):
        gaussian_random_field(np.random.default_rng(0), **arguments)
