import math

import pytest
import torch
from torch import nn
from torch_geometric.data import Batch, Data

from pyg_neuralops.checkpoint import load_model, save_model
from pyg_neuralops.data import MeshData, mesh_loader
from pyg_neuralops.data.prepared import settled
from pyg_neuralops.models import build_model
from pyg_neuralops.normalize import Normalizer, normalized
from pyg_neuralops.testing import assert_batch_invariant, random_mesh


def blocks():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(n, 3, generator=generator) * torch.tensor([1.0, 5.0, 0.0]) + 100 for n in (7, 1, 30)]


def test_streamed_moments_are_the_moments():
    values = torch.cat(blocks()).double()
    normalizer = Normalizer.fit(blocks())
    torch.testing.assert_close(normalizer.mean.double(), values.mean(0), rtol=1e-6, atol=0)
    std = values.std(0, unbiased=False)
    torch.testing.assert_close(normalizer.std[:2].double(), std[:2], rtol=1e-5, atol=0)
    scalar = Normalizer.fit(blocks(), "scalar")  # one mean and std for what varies, the constant beside it
    torch.testing.assert_close(scalar.mean[:2], values[:, :2].mean().float().expand(2), rtol=1e-6, atol=0)
    torch.testing.assert_close(scalar.std[:2], values[:, :2].std(unbiased=False).float().expand(2), rtol=1e-6, atol=0)
    assert scalar.mean[2] == 100
    assert scalar.std[2] == 0


def test_decode_inverts_encode_and_constant_channels_survive():
    normalizer, value = Normalizer.fit(blocks()), torch.cat(blocks())
    torch.testing.assert_close(normalizer.decode(normalizer.encode(value)), value)
    assert torch.equal(normalizer.encode(value)[:, 2], torch.zeros(38))
    assert torch.equal(normalizer.decode(torch.randn(38, 3))[:, 2], value[:, 2])


def test_none_is_the_identity_and_unknown_modes_are_named():
    value = torch.cat(blocks())
    assert torch.equal(Normalizer.fit(blocks(), "none").encode(value), value)
    with pytest.raises(ValueError, match="choose from"):
        Normalizer.fit(blocks(), "minmax")
    with pytest.raises(ValueError, match="no value"):
        Normalizer.fit([])


@pytest.mark.parametrize("name", ["la2former", "mesh-graph-net"])
def test_the_wrapped_model_is_equivariant_to_units(name):
    """Data in other units (affine per channel) give the same prediction in those units."""
    samples = [random_mesh(30, seed=s) for s in range(3)]
    torch.manual_seed(0)
    model = build_model(name, in_channels=2, out_channels=1, hidden_channels=16, num_layers=1)
    here = normalized(model, samples)(samples[0])
    for s in samples:
        s.x = s.x * torch.tensor([10.0, 0.1]) - 3
        s.y = s.y * 7 + 2
    torch.testing.assert_close(normalized(model, samples)(samples[0]), here * 7 + 2, rtol=1e-4, atol=1e-4)


def test_other_channels_than_trained_on_are_named():
    samples = [random_mesh(20, seed=s) for s in range(2)]
    model = normalized(build_model("graph-sage", in_channels=2, out_channels=1, hidden_channels=16), samples)
    with pytest.raises(ValueError, match=r"5 channels.*trained on 2"):
        model(random_mesh(20, in_channels=5))


@pytest.mark.parametrize("mode", ["channel", "scalar"])
@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1.0, 1e30])
def test_a_constant_beside_a_field_of_any_size_is_decoded_exactly(scale, mode):
    """u of size ``scale`` beside w = 0 and a v that is constant up to rounding."""
    generator = torch.Generator().manual_seed(0)
    u = scale * torch.randn(50, 1, generator=generator)
    v = 7 * scale * (1 + torch.tensor([0.0, 1.2e-7]).repeat(25)[:, None])
    y = torch.cat([u, torch.zeros(50, 1), v], 1)
    normalizer = Normalizer.fit([y[:20], y[20:]], mode)
    out = normalizer.decode(torch.randn(50, 3, generator=generator))
    assert torch.equal(out[:, 1], torch.zeros(50))
    torch.testing.assert_close(out[:, 2:], v, rtol=3e-7, atol=0)
    torch.testing.assert_close(normalizer.encode(y)[:, 0].std(correction=0).item(), 1.0, rtol=1e-5, atol=0)
    torch.testing.assert_close(normalizer.decode(normalizer.encode(y)), y, rtol=1e-5, atol=1e-6 * scale)
    assert normalizer.encode(y).abs().max() < 10


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.float16])
def test_counts_flags_and_halves_are_normalised_as_the_numbers_that_they_are(dtype):
    values = (torch.arange(40).reshape(20, 2) % 3 > 0).to(dtype) if dtype == torch.bool else torch.arange(200, 240)
    values = values.reshape(20, 2).to(dtype)
    normalizer = Normalizer.fit([values])
    assert normalizer.mean.dtype == torch.float32
    torch.testing.assert_close(normalizer.mean.double(), values.double().mean(0), rtol=1e-6, atol=0)
    torch.testing.assert_close(normalizer.std.double(), values.double().std(0, correction=0), rtol=1e-6, atol=0)
    torch.testing.assert_close(normalizer.decode(normalizer.encode(values)), values.float())


def test_counts_are_trained_on_as_if_they_were_floats():
    samples, floats = ([random_mesh(20, seed=s) for s in range(2)] for _ in range(2))
    for one, two in zip(samples, floats, strict=True):
        one.x, two.x = (one.x > 0).to(torch.uint8), (one.x > 0).float()
        one.y, two.y = (10 * one.y).long(), (10 * one.y).long().float()
    found = []
    for group in (samples, floats):
        torch.manual_seed(0)
        model = normalized(build_model("lrsa", in_channels=2, out_channels=1, hidden_channels=16), group)
        found += [model(group[0]), model(next(iter(mesh_loader(group, 2))))[:20]]
    assert torch.equal(found[0], found[2])
    assert torch.equal(found[1], found[3])


@pytest.mark.parametrize("name", ["mesh-graph-net", "gatv2"])
def test_a_sample_without_edges_does_not_touch_the_rest(name):
    meshes = [random_mesh(20, seed=s) for s in range(3)]
    torch.manual_seed(0)
    inner = build_model(name, in_channels=2, out_channels=1, hidden_channels=16, num_layers=1)
    model = normalized(inner, [*meshes, random_mesh(1)])
    expected = torch.cat([inner.prepare(mesh).edge_attr for mesh in meshes])
    torch.testing.assert_close(model.edge_attr.mean, expected.mean(0), rtol=1e-5, atol=1e-7)
    assert model(random_mesh(1)).isfinite().all()
    alone = normalized(inner, [random_mesh(1, seed=s) for s in range(3)])
    assert torch.equal(alone.edge_attr.std, torch.ones_like(alone.edge_attr.std))
    assert alone(random_mesh(1)).isfinite().all()


class ReadsEdges(nn.Module):
    """A user's own module that adds up what the edges of a node carry, where there are any."""

    def __init__(self, in_channels):
        super().__init__()
        self.in_channels, self.net = in_channels, nn.Linear(in_channels, 1)

    def forward(self, data):
        out = self.net(data.x)
        edges = data.get("edge_attr")
        return out if edges is None else out.index_add(0, data.edge_index[1], edges[:, :1])


def with_edges(seed):
    data = random_mesh(20, seed=seed)
    data.edge_index, data.edge_attr = torch.randint(20, (2, 40)), 5 + torch.randn(40, 3)
    return data


@pytest.mark.parametrize("name", ["mesh-graph-net", "own"])
def test_edges_of_ones_own_are_there_in_training_and_after_or_never(name, tmp_path):
    torch.manual_seed(0)
    owns, bare = [with_edges(seed) for seed in range(3)], [random_mesh(20, seed=seed) for seed in range(3)]
    sizes = {"in_channels": 2, "out_channels": 1, "hidden_channels": 16, "num_layers": 1}

    def fitted(samples):
        return normalized(ReadsEdges(2) if name == "own" else build_model(name, **sizes), samples)

    model = fitted(owns)
    edges = torch.cat([sample.edge_attr for sample in owns])
    torch.testing.assert_close(model.own_edge_attr.mean, edges.mean(0))
    assert model.edge_attr is None
    encoded = owns[0].clone()
    encoded.x, encoded.edge_attr = model.x.encode(encoded.x), (encoded.edge_attr - edges.mean(0)) / edges.std(0, False)
    encoded.coords = model.pos.encode(encoded.pos)
    torch.testing.assert_close(model(owns[0]), model.y.decode(model.model(encoded)), rtol=1e-4, atol=1e-5)
    assert_batch_invariant(model, owns)
    with pytest.raises(ValueError, match="the data have no edge_attr of their own; the model was trained with it"):
        model(bare[0])
    without = fitted(bare)
    assert without(bare[0]).isfinite().all()
    for sample in (owns[0], next(iter(mesh_loader(owns, 3)))):
        with pytest.raises(ValueError, match="the data have an edge_attr of their own; the model was trained without"):
            without(sample)
    if name != "own":
        again = load_model(save_model(tmp_path / "m.safetensors", model))
        assert torch.equal(again(owns[0]), model(owns[0]))
        with pytest.raises(ValueError, match="no edge_attr of their own"):
            again(bare[0])


def test_edges_that_a_model_does_not_read_change_nothing():
    torch.manual_seed(0)
    model = build_model("lrsa", in_channels=2, out_channels=1, hidden_channels=16, num_layers=1)
    owns, bare = [with_edges(seed) for seed in range(3)], [random_mesh(20, seed=seed) for seed in range(3)]
    for samples in (owns, bare):
        wrapped = normalized(model, samples)
        assert torch.equal(wrapped(owns[0]), wrapped(bare[0]))


def with_globals(seed, nodes=20):
    data = random_mesh(nodes, seed=seed)
    data.theta, data.time = torch.tensor([[10.0 + seed, -3e5 * seed]]), torch.tensor([100.0 + seed])
    return data


@pytest.mark.parametrize("name", ["la2former", "mesh-graph-net", "graph-sage", "lno"])
def test_theta_and_time_are_read_by_every_sample_of_a_batch(name):
    samples = [with_globals(seed, 20 + seed) for seed in range(3)]
    assert samples[0].in_channels == 2 + 2 + 9
    torch.manual_seed(0)
    inner = build_model(name, in_channels=13, out_channels=1, hidden_channels=16, num_layers=1)
    model = normalized(inner, samples)
    torch.testing.assert_close(model.time.encode(torch.tensor([100.0, 101.0, 102.0])), torch.tensor([0.0, 0.5, 1.0]))
    torch.testing.assert_close(model.theta.mean, torch.tensor([11.0, -3e5]))
    assert_batch_invariant(model, samples)
    before = model(samples[0])
    for field in ("theta", "time"):
        changed = samples[0].clone()
        changed[field] = samples[2][field]
        assert not torch.allclose(model(changed), before, atol=1e-5)


def test_the_inputs_are_x_then_theta_then_time_at_the_nodes_of_their_sample():
    samples = [with_globals(seed, 3 + seed) for seed in range(2)]
    for sample in samples:
        sample.time = sample.time / 200
    model = build_model("lrsa", in_channels=13, out_channels=1, hidden_channels=16)
    got = model.inputs(Batch.from_data_list(samples))
    rows = []
    for sample in samples:
        t = float(sample.time)
        angles = [2**k * torch.pi * t for k in range(4)]
        features = torch.tensor([t, *map(math.sin, angles), *map(math.cos, angles)])
        rows += [torch.cat([x, sample.theta[0], features]) for x in sample.x]
    torch.testing.assert_close(got, torch.stack(rows))


def test_what_the_model_does_not_read_is_an_error_by_name():
    samples, plain = [with_globals(seed) for seed in range(3)], [random_mesh(20, seed=seed) for seed in range(3)]
    few = build_model("graph-sage", in_channels=2, out_channels=1, hidden_channels=16)
    with pytest.raises(ValueError, match=r"2 channels of x, 2 of theta, 9 of time: 13 inputs; .* in_channels=2"):
        few(samples[0])
    with pytest.raises(ValueError, match="the data have a field theta; the model was trained without it"):
        normalized(few, plain)(samples[0])
    many = normalized(build_model("graph-sage", in_channels=13, out_channels=1, hidden_channels=16), samples)
    with pytest.raises(ValueError, match="the data have no theta; the model was trained with it"):
        many(plain[0])
    samples[1].theta = None
    with pytest.raises(ValueError, match="sample 1: theta is missing"):
        normalized(few, samples)


def test_a_constant_time_or_parameter_is_no_division_by_zero():
    samples = [with_globals(0) for _ in range(2)]
    model = normalized(build_model("lrsa", in_channels=13, out_channels=1, hidden_channels=16), samples)
    assert model(samples[0]).isfinite().all()
    assert torch.equal(model.time.encode(samples[0].time), torch.zeros(1))
    assert torch.equal(model.theta.encode(samples[0].theta), torch.zeros(1, 2))


class Plain(nn.Module):
    """A user's own module: all inputs in ``data.x``, and nothing of this library."""

    def __init__(self, in_channels, width=8):
        super().__init__()
        self.in_channels, self.width = in_channels, width
        self.net = nn.Sequential(nn.Linear(in_channels, width), nn.Tanh(), nn.Linear(width, 1))

    def forward(self, data):
        assert data.get("theta") is None
        assert data.get("time") is None
        return self.net(data.x)


def test_a_plain_module_gets_all_inputs_encoded_in_x():
    samples = [with_globals(seed) for seed in range(3)]
    plain = Plain(13)
    model = normalized(plain, samples)
    assert_batch_invariant(model, samples)
    x, theta, time = (getattr(model, n).encode(samples[1][n]) for n in ("x", "theta", "time"))
    inputs = MeshData(pos=samples[1].pos, x=x, theta=theta, time=time)
    expected = model.y.decode(plain.net(build_model("lrsa", in_channels=13, out_channels=1).inputs(inputs)))
    torch.testing.assert_close(model(samples[1]), expected)
    with pytest.raises(ValueError, match="13 inputs; the model was built with in_channels=2"):
        normalized(Plain(2), samples)(samples[0])


def test_a_plain_module_of_another_shape_is_named():
    class Flat(nn.Module):
        def forward(self, data):
            return data.x[:, 0]

    sample = random_mesh(20)
    with pytest.raises(ValueError, match=r"Flat returned \[20\]; expected a tensor \[N, 1\]"):
        normalized(Flat(), [sample])(sample)


@pytest.mark.parametrize("field", ["x", "y", "pos", "theta"])
def test_what_is_not_a_number_is_named_at_the_door(field):
    samples = [with_globals(seed) for seed in range(3)]
    samples[2][field] = samples[2][field].clone()
    samples[2][field][0, 0] = float("nan")
    with pytest.raises(ValueError, match=rf"sample 2: {field} holds nan at row 0"):
        normalized(build_model("lrsa", in_channels=13, out_channels=1), samples)
    model = normalized(build_model("lrsa", in_channels=13, out_channels=1), samples[:2])
    with pytest.raises(ValueError, match=rf"{field} holds nan at row 0"):
        model(samples[2])


def test_plain_data_is_taken_at_the_door():
    sample = random_mesh(20)
    plain = Data(**{name: value.numpy() for name, value in sample.to_dict().items()})
    torch.manual_seed(0)
    model = normalized(build_model("mesh-graph-net", in_channels=2, out_channels=1, num_layers=1), [plain])
    assert torch.equal(model(plain), model(sample))


def test_positions_have_three_scales():
    """Of a plate 10 long and 1 high: standardised to a square, kept in shape, or raw."""
    generator = torch.Generator().manual_seed(0)
    samples = [random_mesh(n, seed=n) for n in (20, 30)]
    for sample in samples:
        sample.pos = torch.rand(sample.num_nodes, 2, generator=generator) * torch.tensor([10.0, 1.0]) + 3
    pos = torch.cat([sample.pos for sample in samples])
    mean, std = pos.mean(0), pos.std(0, correction=0)
    assert 8 < std[0] / std[1] < 12
    for mode, shift, scale in (
        ("channel", mean, std),
        ("scalar", mean, std.square().mean().sqrt()),
        ("none", torch.zeros(2), torch.ones(2)),
    ):
        torch.manual_seed(0)
        model = build_model("transolver", in_channels=2, out_channels=1, hidden_channels=16, num_layers=1)
        wrapped = normalized(model, samples, pos=mode)
        torch.testing.assert_close(wrapped.pos.encode(pos), (pos - shift) / scale)
        data = settled(samples[0])
        data.x, data.coords = wrapped.x.encode(data.x), (data.pos - shift) / scale
        torch.testing.assert_close(wrapped(samples[0]), wrapped.y.decode(model(data)))
    with pytest.raises(ValueError, match="choose from"):
        normalized(model, samples, pos="unit")


@pytest.mark.parametrize(
    "block", [torch.tensor(1.0), torch.rand(3), torch.rand(3, 0), torch.rand(2, 3, 4), torch.zeros(3, 1).cfloat()]
)
def test_what_are_no_rows_of_channels_is_refused(block):
    with pytest.raises(ValueError, match="a block has shape"):
        Normalizer.fit([block])
    with pytest.raises(ValueError, match=r"expected real \[rows, 2\]"):
        Normalizer.fit([torch.rand(4, 2), torch.rand(4, 3)])
