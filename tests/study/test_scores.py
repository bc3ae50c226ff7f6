"""Summaries of metrics are plain numbers, whatever the metrics hold."""

import json
import math

import pytest
import torch

from pyg_neuralops.data import MeshData
from pyg_neuralops.engine import GraphValue, Scores, collect
from pyg_neuralops.study.provenance import read_json, write_json
from pyg_neuralops.study.scores import summaries, summary


def test_a_summary_is_that_of_the_defined_errors():
    found = summary(torch.tensor([4.0, math.nan, 1.0, 2.0, 3.0, math.nan]))
    assert (found["mean"], found["median"]) == (2.5, 2.5)  # torch's median would be 2
    assert found["std"] == pytest.approx(math.sqrt(5 / 3), rel=1e-7)
    assert found["quantiles"]["0.25"] == 1.75
    assert found["undefined"] == {"count": 2, "indices": [1, 5]}
    assert found["per_sample"] == [4, None, 1, 2, 3, None]


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_numbers_keep_eight_digits_at_every_scale(scale):
    found = summary(scale * torch.tensor([1 / 3, 2 / 3], dtype=torch.double))
    assert found["per_sample"] == pytest.approx([scale / 3, 2 * scale / 3], rel=1e-7)
    assert found["mean"] == pytest.approx(scale / 2, rel=1e-7)
    assert found["std"] == pytest.approx(scale / 3 / math.sqrt(2), rel=1e-7)


@pytest.mark.parametrize("values", [[math.nan], [math.inf, 1.0, 2.0], [1.0], [], [math.inf, math.inf, math.nan]])
def test_results_are_json(values, tmp_path):
    found = summary(torch.tensor(values))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    write_json(tmp_path / "found.json", found)
    assert read_json(tmp_path / "found.json") == found
    assert found["infinite"]["count"] == sum(map(math.isinf, values))
    assert (found["mean"] is None) == (values != [1.0])


def test_metrics_are_called_by_their_channels():
    scores = Scores({"relative_l2": torch.ones(2), "relative_l2/0": torch.ones(2), "relative_l2/1": torch.zeros(2)})
    samples = [MeshData(pos=torch.rand(3, 2), y=torch.rand(3, 4))] * 2

    def names(*given):
        found = summaries(scores, given, samples)
        return [found["test"]["metric"], *found["metrics"]]

    assert names("u", "p") == ["relative_l2", "relative_l2/u", "relative_l2/p"]
    assert names("u@1", "p@1", "u@2", "p@2") == ["relative_l2", "relative_l2/u", "relative_l2/p"]
    for unknown in ((), ("u",), ("u", "u"), ("u", "v", "w", "p")):
        assert names(*unknown) == ["relative_l2", "relative_l2/0", "relative_l2/1"]


def test_r2_of_numbers_of_whole_samples_is_over_the_set():
    y = torch.tensor([[1.0, 1e5], [2.0, 3e5], [6.0, 2e5]])
    wrong = y + torch.tensor([[1.0, 0.0], [0.0, 0.0], [-1.0, 1e5]])
    samples = [MeshData(pos=torch.rand(3, 2), y=row[None]) for row in y]
    scores = collect(GraphValue(), zip(wrong.split(1), samples, strict=True))
    found = summaries(scores, ("lift", "drag"), samples)["metrics"]
    assert found["r2/lift"]["mean"] == pytest.approx(1 - 2 / 14)
    assert found["r2/drag"]["mean"] == pytest.approx(1 - 1 / 2)
    assert found["r2"]["mean"] == pytest.approx((12 / 14 + 1 / 2) / 2)
    assert found["mean_absolute/lift"]["per_sample"] == [1, 0, 1]
    same = [MeshData(pos=torch.rand(3, 2), y=torch.full((1, 1), 0.1)) for _ in range(3)]
    scores = collect(GraphValue(), ((torch.zeros(1, 1), sample) for sample in same))
    assert summaries(scores, (), same)["metrics"]["r2"]["mean"] is None


class Joint(GraphValue):
    """A user's own task on two numbers a sample, which gives one absolute error of both."""

    def metrics(self, answer, sample):
        return {"mean_absolute": (answer - sample.y).abs().mean(1)}


def test_a_users_task_on_numbers_needs_no_metric_of_each_channel():
    samples = [MeshData(pos=torch.rand(3, 2), y=torch.tensor([[1.0, value]])) for value in (2.0, 4.0)]
    scores = collect(Joint(), ((torch.zeros(1, 2), sample) for sample in samples))
    found = summaries(scores, ("lift", "drag"), samples)
    assert found["metrics"] == {}
    assert found["test"]["per_sample"] == [1.5, 2.5]


def test_a_users_numbered_metrics_are_not_called_by_channels():
    names = ["relative_l2", "relative_l2/0", "relative_l2/1", "band/0", "band/1", "band/2"]
    scores = Scores({name: torch.full((2,), float(index)) for index, name in enumerate(names)})
    samples = [MeshData(pos=torch.rand(3, 2), y=torch.rand(3, 2))] * 2
    found = summaries(scores, ("u", "p"), samples)["metrics"]
    want = {"relative_l2/u": 1, "relative_l2/p": 2, "band/0": 3, "band/1": 4, "band/2": 5}
    assert {name: one["mean"] for name, one in found.items()} == want
