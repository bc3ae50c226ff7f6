import math

import pytest
import torch
from torch_geometric.data import Batch

from pyg_neuralops.data import MeshData, mesh_loader
from pyg_neuralops.engine import (
    NextFrame,
    SteadyField,
    SteadyGradient,
    TimeQuery,
    evaluate,
    make_task,
    predict,
    rollout,
    task_of,
)
from pyg_neuralops.engine.steady_gradient import difference
from pyg_neuralops.engine.task import all_metrics, scores, selecting, targets
from pyg_neuralops.metrics import defined_mean, relative_l2
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


class Weighted(torch.nn.Module):
    def forward(self, data):
        return data.x[:, :1] * data.x[:, 1:3]  # a fixed column times the oldest of two frames of two columns


def weighted_trajectories():
    return [
        MeshData(pos=torch.rand(n, 2), x=torch.rand(n, 4), y=torch.rand(n, 4), permeability=torch.rand(n))
        for n in (3, 6)
    ]


def test_static_fields_stand_before_the_frames_and_every_sample_is_scored():
    samples = weighted_trajectories()
    static = ("permeability",)
    both = rollout(Weighted(), Batch.from_data_list(samples), 2, channels=2, static=static)
    for index, sample in enumerate(samples):
        alone = rollout(Weighted(), sample, 2, channels=2, static=static)
        torch.testing.assert_close(both.errors[index], alone.errors[0])
        torch.testing.assert_close(alone.frames, sample.permeability[:, None] * sample.x)
        torch.testing.assert_close(alone.errors[0, 1:], relative_l2(alone.frames[:, 2:], sample.y[:, 2:]))
    task = NextFrame(channels=2, static=static)
    torch.testing.assert_close(predict(Weighted(), mesh_loader(samples, 2), task)[1], alone.frames)
    film = torch.cat([samples[0].x, samples[0].y], 1)
    for step, item in enumerate(task.items(samples[:1])):
        torch.testing.assert_close(item.x[:, 0], samples[0].permeability)
        torch.testing.assert_close(item.x[:, 1:], film[:, 2 * step : 2 * step + 4])
    assert repr(task) == "NextFrame(channels=2, frames=10, static=('permeability',))"
    assert make_task("next-frame", channels=2, static=["permeability"]).static == static


def test_columns_that_are_no_frame_are_not_taken_for_static():
    sample = weighted_trajectories()[0]
    sample.x = torch.rand(3, 5)
    for ask in (lambda: NextFrame(2).items([sample]), lambda: rollout(Weighted(), sample, 2, 2)):
        with pytest.raises(ValueError, match=r"5 columns, which are not whole frames of 2.*name it: static="):
            ask()
    sample.x = torch.rand(3, 4)
    with pytest.raises(ValueError, match=r"static names 'porosity', which is None; a node field \[3, ...\]"):
        NextFrame(2, static=("porosity",)).items([sample])
    with pytest.raises(ValueError, match="static='permeability'; give a list of names"):
        NextFrame(2, static="permeability")


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
    found = evaluate(Fibonacci(), mesh_loader(samples, batch_size=2), NextFrame()).first
    expected = torch.cat([relative_l2(rollout(Fibonacci(), s, 4).frames, s.y) for s in samples])
    torch.testing.assert_close(found, expected)


class Clock(torch.nn.Module):
    """A time's own value, and the time."""

    def forward(self, data):
        time = data.time[data.get("batch", torch.zeros(data.num_nodes, dtype=torch.long))][:, None]
        return torch.cat([data.x * time, time], 1)


def test_a_time_query_asks_for_one_time_at_a_time():
    x = torch.rand(4, 1)
    times = torch.arange(1.0, 6) / 5
    y = torch.stack([x * times, times.expand(4, -1)], 2).flatten(1)  # [N, T * 2]
    data = MeshData(pos=torch.rand(4, 2), x=x, y=y)
    task = TimeQuery(times=5)
    items = task.items([data])
    assert [round(item.time.item(), 6) for item in items] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert torch.equal(items[2].x, x)
    torch.testing.assert_close(items[2].y, y[:, 4:6])
    scores = evaluate(Clock(), mesh_loader([data, data], 2), task)
    assert scores.first.max() < 1e-6
    assert {"relative_l2/0", "relative_l2/1"} <= set(scores.by_name)
    torch.testing.assert_close(predict(Clock(), [MeshData(pos=data.pos, x=x)], task)[0], y)
    with pytest.raises(ValueError, match="a time of its own"):
        task.item(MeshData(pos=data.pos, x=x, time=torch.ones(1)), 0)
    with pytest.raises(ValueError, match="do not divide into times=3"):
        TimeQuery(times=3).items([data])[0]
    data.time = torch.zeros(1)
    with pytest.raises(ValueError, match="a time of its own"):
        task.items([data])[0]


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_the_loss_of_a_time_query_is_the_square_of_what_is_scored(scale):
    """Of a field that decays by 1e4, the answer that halves its small times and is right at the first is a good one."""
    decay = torch.tensor([1.0, 1e-1, 1e-2, 1e-3, 1e-4])
    samples = [MeshData(pos=torch.rand(n, 2), y=scale * torch.rand(n, 1) * decay) for n in (4, 7)]
    task = TimeQuery(times=5)
    items = Batch.from_data_list(list(task.items(samples)))
    answers = [s.y * torch.tensor([1.01, 0.9, 0.5, 0.5, 0.0]) for s in samples]
    prediction = torch.cat([answer[:, time : time + 1] for answer in answers for time in range(5)])
    scored = torch.cat([relative_l2(a, s.y) for a, s in zip(answers, samples, strict=True)])
    torch.testing.assert_close(task.loss(prediction, items).mean(), scored.square().mean(), rtol=1e-5, atol=0)
    alone = task.loss(prediction[:4], items[0])  # one item, at the first time, of its sample's five
    torch.testing.assert_close(alone[0], 5 * scored.new_tensor(0.01**2) / decay.square().sum(), rtol=1e-4, atol=0)
    torch.testing.assert_close(
        TimeQuery(5, each_time=True).loss(prediction, items).mean(), torch.tensor((0.01 + 0.1 + 0.5 + 0.5 + 1) / 5)
    )
    # A sample that is zero at all times has no part in the loss.
    samples[1].y = torch.zeros_like(samples[1].y)
    items = Batch.from_data_list(list(task.items(samples)))
    prediction.requires_grad_()
    loss = defined_mean(task.loss(prediction, items))
    torch.testing.assert_close(loss, scored[0].square(), rtol=1e-5, atol=0)
    loss.backward()
    assert prediction.grad.isfinite().all()
    assert prediction.grad[20:].abs().max() == 0


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
    torch.testing.assert_close(gradient.loss(scaled, batch).mean(), torch.tensor(0.5 + 0.1 * (0.5 + 0.5)))
    torch.testing.assert_close(gradient.loss(1.5 * samples[0].y, samples[0]), torch.tensor([0.6]))
    torch.testing.assert_close(gradient.metrics(scaled, batch)["relative_l2"], torch.tensor([0.5, 0.5]))
    for sample in samples:  # constant along the second axis: no relative error of that derivative
        sample.y = torch.rand(6, 1).expand(6, 5).reshape(30, 1)
    level = Batch.from_data_list(samples)
    torch.testing.assert_close(gradient.loss(1.5 * level.y, level), torch.full([2], 0.5 + 0.1 * 0.5))
    del batch.grid_shape
    with pytest.raises(ValueError, match="needs samples on structured grids"):
        gradient.loss(offset, batch)


class Constant(torch.nn.Module):
    """Half of what is true in the first channel, everything in the others."""

    def forward(self, data):
        return data.y * torch.tensor([0.5] + [1.0] * (data.y.shape[1] - 1))


def test_metrics_of_a_field_joint_by_channel_and_as_an_integral():
    y = torch.tensor([[1.0, 1e5], [2.0, -1e5]])
    sample = MeshData(pos=torch.rand(2, 2), y=y, weight=torch.tensor([3.0, 1.0]))
    found = evaluate(Constant(), [sample])
    want = {
        "relative_l2": math.sqrt(1.25 / (5 + 2e10)),
        "relative_l2_integral": math.sqrt((3 * 0.25 + 1) / (7 + 4e10)),
        "relative_max": 1 / 1e5,
        "mean_absolute": 1.5 / 4,
        "r2": 1 - 1.25 / (0.5 + 2e10),
        "relative_l2/0": 0.5,
        "relative_l2/1": 0.0,
        "mean_absolute/0": 0.75,
        "mean_absolute/1": 0.0,
    }
    assert list(found.by_name) == list(want)
    for name, value in want.items():
        assert found[name].tolist() == pytest.approx([value], rel=1e-5)
    del sample.weight
    assert "relative_l2_integral" not in evaluate(Constant(), [sample]).by_name
    with pytest.raises(ValueError, match=r"no metric 'rmse'; choose from \['relative_l2', "):
        found["rmse"]


def test_a_sample_without_error_is_said_and_has_no_part_in_the_loss():
    samples = [MeshData(pos=torch.rand(3, 2), y=torch.rand(3, 1) + 1) for _ in range(3)]
    samples[1].y = torch.zeros(3, 1)
    found = evaluate(Constant(), mesh_loader(samples, 2))
    assert found.first.isnan().tolist() == [False, True, False]
    batch = Batch.from_data_list(samples)
    assert SteadyField().loss(0.5 * batch.y, batch).tolist() == pytest.approx([0.5, math.nan, 0.5], nan_ok=True)


def largest(prediction, target, batch, weight, num_samples):
    """A user's own metric."""
    return torch.stack([(prediction - target)[batch == b].abs().max() for b in range(num_samples)])


def broken(prediction, target, batch, weight, num_samples):
    return (prediction - target).abs().mean()


class Half(SteadyField):
    """A user's own task."""

    def __init__(self, part):
        self.part = part

    def metrics(self, answer, sample):
        return {"halved": self.part * super().metrics(answer, sample)["relative_l2"]}


def test_a_users_own_metric_and_task_join_by_import_path():
    samples = [MeshData(pos=torch.rand(3, 2), y=torch.tensor([[1.0], [-4.0], [2.0]])) for _ in range(2)]
    loader = mesh_loader(samples, 2)
    own = f"{__name__}:largest"
    found = evaluate(Constant(), loader, metrics=(own, "relative_l2"))
    assert found[own].tolist() == [2.0, 2.0]
    with pytest.raises(ValueError, match=r"'.*:broken' gave \[\] for 2 samples"):
        evaluate(Constant(), loader, metrics=(f"{__name__}:broken",))
    name = f"{__name__}:Half"
    task = make_task(name, part=0.5)
    assert evaluate(Constant(), loader, task).first.tolist() == [0.25, 0.25]
    with pytest.raises(ValueError, match="that is not of this library"):
        task_of({"task": {"name": name, "part": 0.5}})
    assert isinstance(task_of({"task": {"name": name, "part": 0.5}}, trust_import=True), Half)
    with pytest.raises(ValueError, match=r"task '.*:Half' needs the argument 'part'"):
        make_task(name)
    with pytest.raises(ValueError, match=r"makes a Clock, which lacks a method of pyg_neuralops\.engine\.Task"):
        make_task(f"{__name__}:Clock")


class Silent(Half):
    """Its metrics say nothing of what is not a number: the first leaves it undefined, the second reads it as zero."""

    def metrics(self, answer, sample):
        y, batch, _, count = targets(answer, sample)
        error = torch.zeros(count).index_add(0, batch, (answer - y)[:, 0].abs())
        return {
            "plain": error,
            "hidden": error.nan_to_num(0.0),
            **all_metrics(answer, sample, ("relative_l2", "r2"), 2),
        }


@pytest.mark.parametrize("whole", [False, True])
def test_an_answer_that_is_not_finite_is_infinitely_wrong_whatever_a_metric_says(whole):
    """Of three samples the second's answer is NaN at one place of the second channel."""
    sizes = [1, 1, 1] if whole else [2, 3, 4]
    y = [torch.arange(1.0, 1 + 2 * n).view(n, 2) for n in sizes]
    batch = Batch.from_data_list([MeshData(pos=torch.rand(n + whole, 2), y=v) for n, v in zip(sizes, y, strict=True)])
    answer = batch.y + 1
    answer[sizes[0], 1] = math.nan
    found = scores(Silent(1), answer, batch)
    inf, rows = math.inf, [float(size) for size in sizes]
    assert found["plain"].tolist() == found["hidden"].tolist() == [rows[0], inf, rows[2]]
    assert selecting(Silent(1), answer, batch).tolist() == [rows[0], inf, rows[2]]
    assert found["relative_l2"].isinf().tolist() == [False, True, False]
    # A channel that is right stays what it is, so that the worst one is named.
    assert found["relative_l2/0"].isfinite().all()
    assert found["relative_l2/1"].isinf().tolist() == [False, True, False]
    if not whole:
        assert found["r2"][1] == -inf
    assert scores(Silent(1), answer[: sizes[0]], batch[0])["plain"].tolist() == [rows[0]]


def test_tasks_by_name():
    assert repr(task_of({"task": {"name": "time-query", "times": 20}})) == "TimeQuery(times=20)"
    # Keys of what was made hold the text of a task, so it tells all arguments.
    for name, arguments in (
        ("steady-gradient", {"strength": (0.1, 0.5)}),
        ("next-frame", {"channels": (1, 2), "frames": (10, 4), "static": ((), ("a",))}),
        ("time-query", {"times": (20, 5), "each_time": (False, True)}),
        ("graph-value", {"pool": ("mean", "max")}),
    ):
        usual = {argument: values[0] for argument, values in arguments.items()}
        for argument, (one, two) in arguments.items():
            texts = [repr(make_task(name, **{**usual, argument: value})) for value in (one, two)]
            assert texts[0] != texts[1]
    assert repr(SteadyGradient(0.5)) == "SteadyGradient(strength=0.5)"
    assert repr(task_of({})) == "SteadyField()"
    with pytest.raises(ValueError, match=r"unknown task 'stedy'; choose from \[.*'steady', "):
        make_task("stedy")
    with pytest.raises(ValueError, match=r"task 'time-query' needs the argument 'times'"):
        make_task("time-query")
    with pytest.raises(ValueError, match="times=0; it must be an integer of at least 1"):
        make_task("time-query", times=0)
    with pytest.raises(ValueError, match=r"names the task \['steady'\]"):
        task_of({"task": ["steady"]})


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
    assert evaluate(Growth(), mesh_loader(samples, 2), task).first.max() < 1e-6
