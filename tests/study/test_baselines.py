"""Trivial baselines are what their names say."""

from __future__ import annotations

import pytest
import torch

from pyg_neuralops.data import MeshData
from pyg_neuralops.engine import NextFrame, TimeQuery
from pyg_neuralops.metrics import relative_l2
from pyg_neuralops.study.baselines import mean_field, nearest_sample, ridge, same_points, trivial_baselines
from pyg_neuralops.testing import random_mesh


def test_ridge_finds_a_linear_operator(grid_samples):
    predict = ridge(grid_samples[:20], grid_samples[20:25])
    errors = torch.cat([relative_l2(predict(sample), sample.y) for sample in grid_samples[25:]])
    assert errors.max() < 1e-3


def test_ridge_without_val_and_with_noise_chooses_a_penalty(grid_samples):
    generator = torch.Generator().manual_seed(1)
    for sample in grid_samples:
        sample.y = torch.randn(12, 1, generator=generator) + 5  # nothing to learn: the mean is best
    predict = ridge(grid_samples[:20], None)
    mean = mean_field(grid_samples[:20], shared=True)
    for sample in grid_samples[20:]:
        assert relative_l2(predict(sample), mean(sample)) < 0.1


def test_mean_on_shared_nodes_is_the_mean(grid_samples):
    predict = mean_field(grid_samples, shared=True)
    torch.testing.assert_close(predict(grid_samples[0]), torch.stack([s.y for s in grid_samples]).mean(0))


def test_mean_on_other_nodes_is_a_function_of_position():
    samples = [random_mesh(200, seed=seed) for seed in range(20)]
    for sample in samples:
        sample.y = 2 + sample.pos.sum(1, keepdim=True)
    predict = mean_field(samples[:15], shared=False)
    errors = torch.cat([relative_l2(predict(sample), sample.y) for sample in samples[15:]])
    assert errors.max() < 0.02


def test_nearest_sample_knows_a_training_sample_again():
    samples = [random_mesh(40, seed=seed) for seed in range(10)]
    predict = nearest_sample(samples)
    for sample in samples:
        torch.testing.assert_close(predict(sample), sample.y)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_nearest_sample_tells_inputs_apart_whatever_the_mesh(dim):
    def wave(seed: int, frequency: float) -> MeshData:
        data = random_mesh(400, seed=seed, pos_dim=dim, cells=False)
        data.x = (frequency * data.pos[:, :1]).sin()
        data.y = torch.full_like(data.x, frequency)
        return data

    predict = nearest_sample([wave(0, 1.0), wave(1, 3.0), wave(2, 5.0)])
    for seed, frequency in ((3, 1.0), (4, 3.0), (5, 5.0)):
        assert predict(wave(seed, frequency)).unique().item() == frequency


def test_nearest_sample_sees_a_hole_without_any_input():
    def holed(seed: int, centre: float) -> MeshData:
        data = random_mesh(800, seed=seed, cells=False)
        kept = (data.pos - torch.tensor([centre, 0.5])).norm(dim=1) > 0.15
        return MeshData(pos=data.pos[kept], y=torch.full((int(kept.sum()), 1), centre))

    predict = nearest_sample([holed(0, 0.25), holed(1, 0.5), holed(2, 0.75)])
    for seed, centre in ((3, 0.25), (4, 0.5), (5, 0.75)):
        assert predict(holed(seed, centre)).unique().item() == centre


def test_baselines_read_parameters_and_time_too(grid_samples):
    """y is linear in one parameter and in the time, and there is no field."""
    generator = torch.Generator().manual_seed(1)
    pattern = torch.rand(2, 12, 1, generator=generator)
    for sample in grid_samples:
        sample.x, sample.theta, sample.time = None, torch.rand(1, 1, generator=generator), torch.rand(1)
        sample.y = sample.theta * pattern[0] + sample.time * pattern[1] + 1
    predict = ridge(grid_samples[:20], grid_samples[20:25])
    assert torch.cat([relative_l2(predict(sample), sample.y) for sample in grid_samples[25:]]).max() < 1e-3
    nearest = nearest_sample(grid_samples)
    for sample in grid_samples:
        torch.testing.assert_close(nearest(sample), sample.y)


def test_baselines_see_the_static_fields_that_models_see(grid_samples):
    """y is linear in a field beside ``x``, which says nothing of it."""
    generator = torch.Generator().manual_seed(1)
    for sample in grid_samples:
        sample.x = torch.ones(12, 1)
        sample.permeability = torch.rand(12, generator=generator)
        sample.y = 1 + torch.stack([sample.permeability, sample.permeability.flip(0)], 1)
    task = NextFrame(static=("permeability",))
    train, val, test = grid_samples[:20], grid_samples[20:25], grid_samples[25:]
    predict = ridge(train, val, task)
    assert torch.cat([relative_l2(predict(sample), sample.y) for sample in test]).max() < 1e-3
    nearest = nearest_sample(train, task)
    for sample in train:
        torch.testing.assert_close(nearest(sample), sample.y)
    found = {b.name: b for b in trivial_baselines(train, val, test, task)}
    assert found["ridge"].scores.first.max() < 1e-3
    # A time that is asked for is no input: with nothing else there is nothing to regress on.
    shapes = [MeshData(pos=s.pos, y=s.y) for s in grid_samples]
    found = {b.name: b for b in trivial_baselines(shapes[:20], None, shapes[20:], TimeQuery(times=2))}
    assert "no input field" in found["ridge"].reason


def test_table_says_why_a_baseline_does_not_apply(grid_samples):
    assert same_points(grid_samples)
    found = {b.name: b for b in trivial_baselines(grid_samples[:20], grid_samples[20:25], grid_samples[25:])}
    assert all(b.scores is not None and b.scores.first.shape == (5,) for b in found.values())
    ragged = [random_mesh(20 + seed, seed=seed) for seed in range(6)]
    found = {b.name: b for b in trivial_baselines(ragged[:4], None, ragged[4:])}
    assert found["ridge"].scores is None
    assert "do not share their points" in found["ridge"].reason
    shapes = [MeshData(pos=s.pos, y=s.y) for s in grid_samples]
    found = {b.name: b for b in trivial_baselines(shapes[:20], None, shapes[20:])}
    assert "no input field" in found["ridge"].reason
