"""The inside view against what the numbers must be."""

import math

import pytest
import torch
from matplotlib.collections import EllipseCollection
from torch_geometric.data import Batch
from torch_geometric.explain import AttentionExplainer, Explainer

from pyg_neuralops.data import Mesh
from pyg_neuralops.inside import (
    EdgeModel,
    attention_maps,
    effective_rank,
    effective_window,
    gate_means,
    influence,
    jacobian,
    learned_metrics,
    operator_spectrum,
    patch_attention,
)
from pyg_neuralops.models import build_model
from pyg_neuralops.nn import KNNAttention
from pyg_neuralops.normalize import normalized
from pyg_neuralops.plotting import attention_on_mesh, metric_on_mesh
from pyg_neuralops.testing import random_grid, random_mesh

N, K, H = 60, 12, 4


def la2former(**kwargs):
    torch.manual_seed(0)
    sizes = {"in_channels": 2, "out_channels": 1, "hidden_channels": 16, "num_layers": 2}
    return build_model("la2former", **sizes, heads=H, patches=kwargs.pop("patches", K), **kwargs)


def set_mask(model, value):
    for module in model.modules():
        if isinstance(module, KNNAttention):
            torch.nn.init.constant_(module.mask, value)


SETTINGS = [{}, {"direction": True}, {"patches": {"k": K, "period": 1.0}}, {"soft_mask": "metric"}]


@pytest.mark.parametrize("kwargs", SETTINGS)
@pytest.mark.parametrize("wrapped", [False, True])
def test_attention_sums_to_one_and_is_what_the_model_uses(kwargs, wrapped):
    data = random_mesh(N)
    model = la2former(**kwargs)
    model = normalized(model, [data]) if wrapped else model
    before = model(data)
    layers = patch_attention(model, data)
    assert len(layers) == 2
    for layer in layers:
        assert layer.weight.shape == layer.mask.shape == (N * K, H)
        for weight in (layer.weight, layer.mask):
            total = torch.zeros(N, H).index_add(0, layer.edge_index[1], weight)
            torch.testing.assert_close(total, torch.ones(N, H))
        assert layer.distance.max() <= 1 + 1e-5
    torch.testing.assert_close(model(data), before, rtol=0, atol=0)  # the hooks are gone


def test_weights_times_values_are_the_layers_output():
    data = random_mesh(N)
    model = la2former()
    attention = model.blocks[0].mixer.mixers[0].attention
    seen = {}
    handle = attention.register_forward_hook(lambda module, args, out: seen.update(x=args[0], out=out))
    layer = patch_attention(model, data)[0]
    handle.remove()
    v = attention.qkv(seen["x"])[:, -16:].view(N, H, 4)
    source, target = layer.edge_index
    out = torch.zeros(N, H, 4).index_add(0, target, layer.weight[..., None] * v[source])
    torch.testing.assert_close(out.flatten(1), seen["out"])


def test_window_shrinks_with_the_mask_and_is_uniform_without():
    data = random_mesh(400, cells=False)
    wide, narrow, point = la2former(soft_mask="none"), la2former(), la2former()
    set_mask(narrow, 3.0)
    set_mask(point, 1e6)
    windows = [effective_window(model, data)[0] for model in (wide, narrow, point)]
    # Points fill the disc evenly: the mean of r / l is about 2 / 3, and a quarter of them is the nearest quarter.
    torch.testing.assert_close(windows[0].distance, torch.full((H,), windows[0].distance[0].item()))
    assert 0.55 < windows[0].distance[0] < 0.7
    assert (windows[1].distance < windows[0].distance - 0.1).all()
    for value, expected in ((windows[2].distance, 0.0), (windows[2].attended, 0.0), (windows[2].near, 1.0)):
        torch.testing.assert_close(value, torch.full((H,), expected))
    equal = la2former(soft_mask="none")
    torch.nn.init.zeros_(equal.blocks[0].mixer.mixers[0].attention.qkv.weight)
    torch.nn.init.zeros_(equal.blocks[0].mixer.mixers[0].attention.qkv.bias)
    torch.testing.assert_close(effective_window(equal, data)[0].near, torch.full((H,), 0.25))
    assert len(effective_window(wide, Batch.from_data_list([random_mesh(N), random_mesh(30)]))) == 2


def set_metric(model, a11, a22):
    for module in model.modules():
        if isinstance(module, KNNAttention):
            factor = torch.tensor([a11**0.5, 0.0, a22**0.5])
            module.metric.bias.data = factor.repeat(H)


def test_a_metric_makes_the_window_of_its_mean_strength_and_narrow_in_its_direction():
    data = random_mesh(400, cells=False)
    round_, masked, flat = la2former(soft_mask="metric"), la2former(), la2former(soft_mask="metric")
    set_metric(round_, 3.0, 3.0)
    set_mask(masked, torch.tensor(3.0).expm1().log())  # softplus^-1
    set_metric(flat, 1e6, 0.0)
    windows = [effective_window(model, data)[0] for model in (round_, masked)]
    torch.testing.assert_close(windows[0].distance, windows[1].distance)
    layer = patch_attention(flat, data)[0]
    offset = (data.pos[layer.edge_index[0]] - data.pos[layer.edge_index[1]]).abs()  # only what is beside it in x
    assert (layer.mask * offset[:, :1]).sum() < 1e-2 * (layer.mask * offset[:, 1:]).sum()


def test_learned_metrics_are_those_of_the_layers():
    data, model = random_mesh(N), la2former(soft_mask="metric")
    set_metric(model, 4.0, 1.0)
    found = learned_metrics(model, data)
    assert list(found) == [f"blocks.{layer}.mixer.mixers.0.attention" for layer in range(2)]
    for matrix in found.values():
        torch.testing.assert_close(matrix, torch.tensor([4.0, 1.0]).diag().expand(N, H, 2, 2))
    weight = model.blocks[1].mixer.mixers[0].attention.metric.weight
    torch.nn.init.normal_(weight)
    first, second = learned_metrics(normalized(model, [data]), data).values()
    assert (first == first[0]).all()
    assert (second != second[0]).any()
    assert torch.linalg.eigvalsh(second).min() > -1e-4
    with pytest.raises(ValueError, match="LA2Former has no learned metric"):
        learned_metrics(la2former(), data)


def test_a_metric_is_drawn_with_its_long_axis_where_it_looks_far(tmp_path):
    data = random_mesh(N)
    way = torch.tensor([0.6, 0.8])
    narrow = torch.eye(2) - way.outer(way) + 0.04 * way.outer(way)  # five times as far along the way
    metric = torch.stack([narrow, torch.eye(2)]).expand(N, 2, 2, 2)
    figure = metric_on_mesh(data, metric, values=data.y, wind=way.expand(N, 2), titles=["one", "other"])
    panels = [ax for ax in figure.axes if ax.get_title()]
    assert [ax.get_title() for ax in panels] == ["one: strength 0.52, axes 5.0", "other: strength 1, axes 1.0"]
    ellipses = [next(item for item in ax.collections if isinstance(item, EllipseCollection)) for ax in panels]
    assert len(ellipses[0].get_offsets()) > N // 4
    assert ellipses[0].get_widths() == pytest.approx(5 * ellipses[0].get_heights())
    assert ellipses[0].get_angles() % 180 == pytest.approx(math.degrees(math.atan2(0.8, 0.6)))
    figure.savefig(tmp_path / "metric.png", dpi=40)
    for wrong in (metric[1:], metric[..., :1], metric[:, 0]):
        with pytest.raises(ValueError, match=r"\[60, H, 2, 2\] are needed"):
            metric_on_mesh(data, wrong)
    with pytest.raises(ValueError, match="1 titles for 2 heads"):
        metric_on_mesh(data, metric, titles=["one"])


def test_maps_are_rows_of_the_attention():
    data, nodes = random_mesh(N), [3, 41]
    model = la2former()
    maps = attention_maps(model, data, nodes)
    assert list(maps) == [f"blocks.{layer}.mixer.mixers.0.attention" for layer in range(2)]
    for rows in maps.values():
        assert rows.shape == (2, H, N)
        torch.testing.assert_close(rows.sum(-1), torch.ones(2, H))
        assert ((rows > 0).sum(-1) <= K).all()
    with pytest.raises(ValueError, match=r"nodes \[60\] are not there; the data have 60"):
        attention_maps(model, data, [60])
    with pytest.raises(ValueError, match="LRSA has no patch attention"):
        attention_maps(build_model("lrsa", in_channels=2, out_channels=1), data, nodes)


def test_influence_stays_in_the_patch_of_a_local_model():
    data = random_mesh(N)
    sizes = {"in_channels": 2, "out_channels": 2, "hidden_channels": 16, "num_layers": 1}
    model = build_model("la2former-local", **sizes, patches=K)
    rows = influence(model, data, [5, 20])
    prepared = model.prepare(data)
    for node, row in zip((5, 20), rows, strict=True):
        patch = prepared.patch_index[0, prepared.patch_index[1] == node]
        assert set(row.nonzero().flatten().tolist()) == set(patch.tolist())
    everywhere = influence(build_model("lrsa", **sizes), data, [5])
    assert (everywhere > 0).all()
    with pytest.raises(ValueError, match="no input field"):
        influence(model, random_mesh(N, in_channels=0), [5])


class Smooth(torch.nn.Module):
    """A linear map between fields, of two input and two output channels."""

    def __init__(self, matrix):
        super().__init__()
        self.matrix = matrix

    def forward(self, data):
        return torch.stack([data.x[:, 0], self.matrix @ data.x[:, 1].square() / 2], 1)


def test_the_jacobian_of_a_known_map():
    data, matrix = random_mesh(12, in_channels=2), torch.randn(12, 12)
    found = jacobian(Smooth(matrix), data, input_channel=1, output_channel=1)
    torch.testing.assert_close(found, matrix * data.x[:, 1])
    torch.testing.assert_close(jacobian(Smooth(matrix), data), torch.eye(12))
    model = la2former()
    full = torch.autograd.functional.jacobian(lambda x: _with_x(model, random_mesh(N), x), random_mesh(N).x)
    torch.testing.assert_close(jacobian(model, random_mesh(N), input_channel=1), full[:, 0, :, 1], rtol=1e-4, atol=1e-6)
    for wrong in ({"input_channel": 2}, {"output_channel": 2}, {"input_channel": -1}):
        with pytest.raises(ValueError, match="channel="):
            jacobian(Smooth(matrix), data, **wrong)


def _with_x(model, data, x):
    data.x = x
    return model(data)


def test_the_spectrum_of_an_operator_does_not_depend_on_the_mesh():
    """u(x) = integral of k(x, y) f(y): on a graded mesh its matrix is K W, and its singular values stay."""
    spectra = []
    for count, power in ((200, 1.0), (300, 1.7)):
        edges = torch.linspace(0, 1, count + 1, dtype=torch.double) ** power
        pos, weight = (edges[1:] + edges[:-1]) / 2, edges.diff()
        kernel = torch.minimum(pos[:, None], pos) * (1 - torch.maximum(pos[:, None], pos))
        spectra.append(operator_spectrum(kernel * weight, weight)[:5])
    exact = 1 / (math.pi * torch.arange(1, 6, dtype=torch.double)) ** 2
    for found in spectra:
        torch.testing.assert_close(found, exact, rtol=2e-3, atol=0)
    assert effective_rank(torch.tensor([3.0, 1.0, 0.0]), 0.9) == 1
    assert effective_rank(torch.tensor([3.0, 1.0, 0.0]), 0.95) == 2
    assert effective_rank(torch.ones(10), 1.0 - 1e-9) == 10
    with pytest.raises(ValueError, match="node 1 has weight"):
        operator_spectrum(torch.eye(2), torch.tensor([1.0, 0.0]))


def test_gates_are_reported_by_layer():
    model = la2former(fusion="gate")
    for number, block in enumerate(model.blocks):
        torch.nn.init.zeros_(block.mixer.gate.weight)
        torch.nn.init.constant_(block.mixer.gate.bias, number)
    gates = gate_means(model, random_mesh(N))
    assert list(gates) == ["blocks.0.mixer", "blocks.1.mixer"]
    assert list(gates.values()) == pytest.approx([0.5, torch.tensor(1.0).sigmoid().item()])
    assert gate_means(la2former(), random_mesh(N)) == {}


def test_learned_numbers_weigh_the_paths():
    model, data = la2former(fusion="scalar"), random_mesh(N)
    assert list(gate_means(model, data).values()) == [0.5, 0.5]
    mixer = model.blocks[1].mixer
    with torch.no_grad():
        mixer.balance.copy_(torch.tensor([3.0, -1.0]))
        data = model.prepare(data)
        x, mesh = torch.randn(N, mixer.out.in_features), Mesh.from_data(data)
        local, wide = (part(x, mesh) for part in mixer.mixers)
        torch.testing.assert_close(mixer(x, mesh), mixer.out(3 * local - wide))
    assert list(gate_means(model, data).values()) == [0.5, 0.75]


@pytest.mark.parametrize("name", ["la2former", "gatv2", "la2former-lrsa"])
def test_pygs_attention_explainer_explains_our_models(name):
    torch.manual_seed(0)
    data = random_mesh(N)
    inner = build_model(name, in_channels=2, out_channels=1, hidden_channels=16, num_layers=2)
    model = EdgeModel(normalized(inner, [data]), data)
    torch.testing.assert_close(model(data.x, model.edge_index), model.model(data))
    explainer = Explainer(
        model,
        AttentionExplainer(),
        explanation_type="model",
        edge_mask_type="object",
        model_config={"mode": "regression", "task_level": "node", "return_type": "raw"},
    )
    explanation = explainer(data.x, model.edge_index, index=7)
    mask = explanation.edge_mask
    assert mask.shape == (model.edge_index.shape[1],)
    assert mask.min() >= 0
    into = model.edge_index[1] == 7
    assert mask[into].max() > 0
    if name != "gatv2":
        layers = patch_attention(model.model, data)
        expected = torch.stack([layer.weight.amax(1) for layer in layers]).amax(0)
        torch.testing.assert_close(mask[into], expected[into])


def test_a_model_without_attention_has_nothing_to_explain():
    data = random_mesh(N)
    model = EdgeModel(build_model("graph-sage", in_channels=2, out_channels=1), data)
    with pytest.raises(ValueError, match="attention"):
        AttentionExplainer()._collect_attention_coefficients(model, data.x, model.edge_index)


@pytest.mark.parametrize("data", [random_mesh(N), random_grid((6, 7)), *(random_mesh(N, pos_dim=d) for d in (1, 3))])
def test_attention_is_drawn_on_the_mesh(data, tmp_path):
    weights = torch.rand(2, data.num_nodes)
    figure = attention_on_mesh(data, weights, [1, 5], titles=["first", "second"])
    pictures = [ax for ax in figure.axes if ax.get_title()]
    assert [ax.get_title() for ax in pictures] == ["first", "second"]
    figure.savefig(tmp_path / "attention.png", dpi=40)
    with pytest.raises(ValueError, match=r"weights has shape \(2, \d+\); \[1, \d+\] is needed"):
        attention_on_mesh(data, weights, [1])
