import math

import pytest
import torch
from torch_geometric.data import Batch

from pyg_neuralops.data import MeshData, mesh_loader
from pyg_neuralops.engine import NextFrame, SteadyGradient, TimeQuery, evaluate, make_task, predict, rollout, task_of
from pyg_neuralops.engine.steady_gradient import difference
from pyg_neuralops.metrics import relative_l2
from pyg_neuralops.models import NeuralOperator


def trajectory(nodes=5, window=3, steps=4, channels=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    film = torch.rand(nodes, (window + steps) * channels, generator=generator)
    cut = window * channels
    return MeshData(pos=torch.rand(nodes, 2, generator=generator), x=film[:, :cut], y=film[:, cut:])


class Fibonacci(torch.nn.Module):
    """The next frame is the sum of the last two."""

    def __init__(self, channels=1):
        super().__init__()
        self.channels = channels

    def forward(self, data):
        return data.x[:, -2 * self.channels : -self.channels or None] + data.x[:, -self.channels :]


@pytest.mark.parametrize("channels", [1, 2])
def test_a_rollout_feeds_frames_back(channels):
    data = trajectory(channels=channels)
    frames = [*data.x.split(channels, 1)[-2:]]
    for _ in range(4):
        frames.append(frames[-2] + frames[-1])
    data.y = torch.cat(frames[2:], 1)
    free = rollout(Fibonacci(channels), data, 4, channels)
    torch.testing.assert_close(free.frames, data.y)
    assert free.errors.shape == (1, 4)
    assert free.errors.max() < 1e-6
    torch.testing.assert_close(rollout(Fibonacci(channels), data, 2, channels).frames, data.y[:, : 2 * channels])


def test_a_rollout_keeps_what_is_not_a_frame_and_scores_every_sample():
    class Weighted(torch.nn.Module):
        def forward(self, data):
            return data.x[:, :1] * data.x[:, 1:3]  # a fixed column times the oldest of two frames of two columns

    one, two = (MeshData(pos=torch.rand(n, 2), x=torch.rand(n, 5), y=torch.rand(n, 4)) for n in (3, 6))
    both = rollout(Weighted(), Batch.from_data_list([one, two]), 2, channels=2)
    for index, sample in enumerate((one, two)):
        alone = rollout(Weighted(), sample, 2, channels=2)
        torch.testing.assert_close(both.errors[index], alone.errors[0])
        torch.testing.assert_close(alone.frames, sample.x[:, :1] * sample.x[:, 1:])
        torch.testing.assert_close(alone.errors[0, 1:], relative_l2(alone.frames[:, 2:], sample.y[:, 2:]))


def test_steps_of_a_trajectory_are_its_true_windows():
    data = trajectory(window=3, steps=4, channels=2)
    film = torch.cat([data.x, data.y], 1)
    items = NextFrame(channels=2).items([data, data])
    assert len(items) == 8
    for step, item in enumerate(items[:4]):
        torch.testing.assert_close(item.x, film[:, 2 * step : 2 * step + 6])
        torch.testing.assert_close(item.y, film[:, 2 * step + 6 : 2 * step + 8])
    assert data.x.shape[1] == 6
    with pytest.raises(ValueError, match="8 columns, which are not whole frames of 3"):
        NextFrame(channels=3).items([data])


def test_trajectories_are_scored_on_free_runs():
    samples = [trajectory(seed=seed) for seed in range(3)]
    found = evaluate(Fibonacci(), mesh_loader(samples, batch_size=2), NextFrame())
    expected = torch.cat([relative_l2(rollout(Fibonacci(), s, 4).frames, s.y) for s in samples])
    torch.testing.assert_close(found, expected)


def test_a_time_query_asks_for_one_time_at_a_time():
    class Clock(torch.nn.Module):
        def forward(self, data):
            time = data.time.expand(data.num_nodes, 1) if data.get("batch") is None else data.time[data.batch, None]
            return torch.cat([data.x * time, time], 1)

    x = torch.rand(4, 1)
    times = torch.arange(1.0, 6) / 5
    y = torch.stack([x * times, times.expand(4, -1)], 2).flatten(1)  # [N, T * 2]
    data = MeshData(pos=torch.rand(4, 2), x=x, y=y)
    task = TimeQuery(times=5)
    items = task.items([data])
    assert [item.in_channels for item in items] == [1 + 9] * 5
    assert [float(item.time) for item in items] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert items[0].x is data.x
    torch.testing.assert_close(items[2].y, y[:, 4:6])
    assert evaluate(Clock(), [data], task).item() < 1e-6
    torch.testing.assert_close(predict(Clock(), [MeshData(pos=data.pos, x=x)], task)[0], y)
    assert evaluate(Clock(), mesh_loader([data, data], 2), task).max() < 1e-6
    with pytest.raises(ValueError, match="a time of its own"):
        task.item(MeshData(pos=data.pos, x=x, time=torch.ones(1)), 0)
    with pytest.raises(ValueError, match="do not divide into times=3"):
        TimeQuery(times=3).items([data])[0]


def test_differences_are_exact_on_quadratics_and_see_both_axes():
    a, b = torch.meshgrid(torch.linspace(0, 1, 6), torch.linspace(0, 1, 5), indexing="ij")
    field = (a.square() + 3 * a * b)[..., None]
    inner = (slice(1, -1), slice(1, -1))
    torch.testing.assert_close(difference(field, 0)[:, 0], (2 * 0.2 * (2 * a + 3 * b))[inner].flatten())
    torch.testing.assert_close(difference(field, 1)[:, 0], (2 * 0.25 * 3 * a)[inner].flatten())


def test_the_gradient_loss_adds_what_a_constant_offset_does_not_change():
    grid = torch.rand(2, 6 * 5, 1)
    samples = [MeshData(pos=torch.rand(30, 2), y=y, grid_shape=(6, 5)) for y in grid]
    batch = Batch.from_data_list(samples)
    steady, gradient = make_task("steady"), SteadyGradient(0.1)
    offset = batch.y + 0.3
    torch.testing.assert_close(gradient.loss(offset, batch), steady.loss(offset, batch))
    scaled = 1.5 * batch.y  # every relative error is 0.5
    torch.testing.assert_close(gradient.loss(scaled, batch), torch.tensor(0.5 + 0.1 * (0.5 + 0.5)))
    torch.testing.assert_close(gradient.loss(1.5 * samples[0].y, samples[0]), torch.tensor(0.6))
    torch.testing.assert_close(gradient.metric(scaled, batch), torch.tensor([0.5, 0.5]))
    del batch.grid_shape
    with pytest.raises(ValueError, match="needs samples on structured grids"):
        gradient.loss(offset, batch)


def test_the_integral_error_weighs_nodes():
    class Zero(torch.nn.Module):
        def forward(self, data):
            return data.y * torch.tensor([[0.0], [1.0]])

    sample = MeshData(pos=torch.rand(2, 2), y=torch.tensor([[1.0], [2.0]]), weight=torch.tensor([3.0, 1.0]))
    assert math.isclose(evaluate(Zero(), [sample]).item(), math.sqrt(1 / 5), rel_tol=1e-6)
    assert math.isclose(evaluate(Zero(), [sample], weighted=True).item(), math.sqrt(3 / 7), rel_tol=1e-6)
    del sample.weight
    with pytest.raises(ValueError, match="no quadrature weights"):
        evaluate(Zero(), [sample], weighted=True)


def test_tasks_by_name():
    assert repr(task_of({"task": {"name": "time-query", "times": 20}})) == "TimeQuery(times=20)"
    assert repr(task_of({})) == "SteadyField()"
    with pytest.raises(ValueError, match=r"unknown task 'stedy'; choose from \['steady', "):
        make_task("stedy")
    with pytest.raises(ValueError, match=r"task 'time-query': .*missing"):
        make_task("time-query")
    with pytest.raises(ValueError, match="times=0; it must be an integer of at least 1"):
        make_task("time-query", times=0)


@pytest.mark.parametrize(
    ("change", "steps", "message"),
    [({}, 0, "steps=0; it must be at least 1"), ({}, 5, "steps=5; y holds 4"), ({"x": None}, 1, "x has 0 columns")],
)
def test_rollouts_that_make_no_sense_are_refused(change, steps, message):
    data = trajectory()
    for name, value in change.items():
        data[name] = value
    with pytest.raises(ValueError, match=message):
        rollout(Fibonacci(), data, steps)


def test_trajectories_without_truth_can_be_answered():
    data = trajectory()
    answer = predict(Fibonacci(), [data], NextFrame())[0]
    data.y = None
    torch.testing.assert_close(predict(Fibonacci(), [data], NextFrame(frames=4))[0], answer)
    assert NextFrame().items([data])[0].x.shape == data.x.shape


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NextFrame(channels=0), "channels=0, frames=10; they must be at least 1"),
        (lambda: TimeQuery(times=2.5), "times=2.5; it must be an integer"),
        (lambda: SteadyGradient(-1.0), "strength=-1.0; it must be at least 0"),
        (lambda: NextFrame().items([MeshData(pos=torch.rand(3, 2), y=torch.rand(3, 4))]), "x has 0 columns; a window"),
    ],
)
def test_tasks_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_parameters_stand_beside_the_frames_and_do_not_move_the_window():
    """A model of x, theta and time: the next frame is the last one times the parameter."""

    class Growth(NeuralOperator):
        in_channels, out_channels, pos_dim = 3 + 1 + 9, 1, 2

        def core(self, x, mesh):
            return x[:, 2:3] * x[:, 3:4] + 0 * x[:, 4:5]

    samples = []
    for seed, growth in enumerate((2.0, 0.5)):
        first = trajectory(nodes=4 + seed, seed=seed).x
        frames = first[:, -1:] * growth ** torch.arange(1.0, 5)
        data = MeshData(pos=torch.rand(4 + seed, 2), x=first, y=frames)
        data.theta, data.time = torch.tensor([[growth]]), torch.tensor([0.25])
        samples.append(data)
    task = NextFrame()
    for item in task.items(samples):
        assert item.in_channels == 13
        torch.testing.assert_close(task.predict(Growth(), item), item.y)
    assert evaluate(Growth(), mesh_loader(samples, 2), task).max() < 1e-6
