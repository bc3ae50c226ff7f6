"""Numbers of whole samples."""

import pytest
import torch
from torch_geometric.data import Batch
from toy import Toy

from pyg_neuralops.data import MeshData, mesh_loader
from pyg_neuralops.engine import GraphValue, SteadyField, evaluate, fit, predict
from pyg_neuralops.normalize import normalized


class Field(torch.nn.Module):
    def forward(self, data):
        return data.x


def drag(count, seed=0, scale=1.0):
    """The mean of x^2 over the nodes."""
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.randint(8, 15, (count,), generator=generator).tolist()
    fields = [torch.rand(1, generator=generator) + torch.rand(n, 1, generator=generator) for n in sizes]
    return [
        MeshData(pos=torch.rand(len(x), 2, generator=generator), x=x, y=scale * x.square().mean(0)[None])
        for x in fields
    ]


def test_a_value_is_the_mean_of_the_field_by_area():
    x = torch.tensor([[1.0, 4.0], [3.0, 0.0]])
    sample = MeshData(pos=torch.rand(2, 2), x=x, y=torch.zeros(1, 2))
    other = MeshData(pos=torch.rand(3, 2), x=torch.ones(3, 2), y=torch.ones(1, 2))
    for weights, value in (
        ((None, None), [[2.0, 2.0], [1.0, 1.0]]),
        (([3e-30, 1e-30], [1e-30] * 3), [[1.5, 3], [1, 1]]),
    ):
        for part, weight in zip((sample, other), weights, strict=True):
            part.weight = None if weight is None else torch.tensor(weight)
        assert GraphValue().predict(Field(), sample).tolist() == [pytest.approx(value[0])]
        torch.testing.assert_close(
            GraphValue().predict(Field(), Batch.from_data_list([sample, other])), torch.tensor(value)
        )
    assert GraphValue("max").predict(Field(), Batch.from_data_list([sample, other])).tolist() == [[3, 4], [1, 1]]


def test_metrics_of_values():
    samples = [MeshData(pos=torch.rand(n, 2), x=torch.full((n, 2), 3.0), y=torch.tensor([[2.0, 3e5]])) for n in (2, 3)]
    samples[1].y = torch.tensor([[0.0, 0.0]])
    found = evaluate(Field(), mesh_loader(samples, 2), GraphValue())
    assert list(found.by_name)[:2] == ["mean_absolute", "relative_l2"]
    assert found["mean_absolute/0"].tolist() == [1.0, 3.0]
    assert found["relative_l2/0"].nan_to_num(-1).tolist() == [0.5, -1]
    torch.testing.assert_close(found["relative_l2/1"][0], torch.tensor(1 - 1e-5))
    for one, two in zip(predict(Field(), mesh_loader(samples, 2), GraphValue()), samples, strict=True):
        assert one.shape == two.y.shape


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_the_loss_counts_in_standard_deviations_of_the_training_set(scale):
    samples = [MeshData(pos=torch.rand(n, 2), y=scale * torch.tensor([[v, 1e5 * v]])) for n, v in ((3, 1.0), (4, 3.0))]
    batch = Batch.from_data_list(list(GraphValue().items(samples)))
    wrong = batch.y + scale * torch.tensor([[0.5, 0.0], [0.0, 1e5]])  # the standard deviations are 1 and 1e5
    torch.testing.assert_close(GraphValue().loss(wrong, batch).mean(), torch.tensor((0.25 + 1) / 4))
    for constant in (0.0, 5.0):
        items = GraphValue().items([MeshData(pos=torch.rand(3, 2), y=torch.full((1, 1), constant))] * 2)
        assert items[0].y_scale.item() == (constant or 1.0)


def test_a_model_learns_a_value(tmp_path):
    train, val = drag(60), drag(20, seed=1)
    torch.manual_seed(0)
    task = GraphValue()
    items = task.items(train)
    model = normalized(Toy(1, 1), items)
    start = evaluate(model, mesh_loader(val, 8), task)["relative_l2"].mean()
    result = fit(
        model, mesh_loader(items, 8, shuffle=True), mesh_loader(val, 8), out=tmp_path, task=task, epochs=30, lr=1e-2,
        progress=False, accelerator="cpu",
    )  # fmt: skip
    found = evaluate(model, mesh_loader(val, 8), task)
    assert found.first.mean().item() == pytest.approx(result.best_val, rel=1e-5)
    assert found["relative_l2"].mean() < 0.3 * start


def test_values_and_fields_are_not_taken_for_each_other():
    samples = drag(3)
    with pytest.raises(ValueError, match="what the task 'graph-value' predicts"):
        evaluate(Field(), mesh_loader(samples, 3), SteadyField())
    field = MeshData(pos=torch.rand(3, 2), y=torch.rand(3, 1))
    with pytest.raises(ValueError, match=r"sample 1: y has shape \[3, 1\]; a graph-level target is \[1, O\]"):
        GraphValue().items([samples[0], field])
    with pytest.raises(ValueError, match="pool='sum'; choose from"):
        GraphValue("sum")
