"""What single models promise beyond what all of them do."""

import pytest
import torch
from torch_geometric.data import Batch

from pyg_neuralops.checkpoint import load_model, save_model
from pyg_neuralops.data import Mesh
from pyg_neuralops.models import LA2Former, build_model, model_name, with_defaults
from pyg_neuralops.normalize import normalized
from pyg_neuralops.testing import (
    assert_batch_invariant,
    assert_gradients,
    assert_permutation_equivariant,
    random_grid,
    random_mesh,
)

SIZE = {"in_channels": 2, "out_channels": 1, "hidden_channels": 16, "num_layers": 1}


def count(model, part="") -> int:
    return sum(p.numel() for name, p in model.named_parameters() if name.startswith(part))


def test_published_sizes():
    """Counts of the authors' code at its published setting (a position and at most one field in, one out)."""
    assert count(build_model("lrsa", in_channels=1, out_channels=1), "blocks") == 3_099_392
    assert count(build_model("transolver", in_channels=0, out_channels=1)) == 713_665
    assert count(build_model("flare", in_channels=0, out_channels=1)) == 592_641
    assert count(build_model("fno", in_channels=1, out_channels=1)) == 2_368_001


def test_time_of_transolver_goes_through_its_own_mlp():
    """Two layers of C x C beside the rest, an encoder that is nine inputs narrower, and t alone is read."""
    torch.manual_seed(0)
    sizes = {**SIZE, "in_channels": 11}
    features = build_model("transolver", **sizes)
    model = build_model("transolver", **sizes, time="embedding")
    c = SIZE["hidden_channels"]
    assert count(model) - count(features) == 2 * (c * c + c) - 9 * 2 * c

    def timed(n):
        data = random_mesh(n, seed=n)
        data.time = torch.tensor([n / 40])
        return data

    data = timed(20)
    mesh = Mesh.from_data(data)
    inputs = model.inputs(data)
    fields, time = inputs[:, :2], inputs[:, 2]
    without = build_model("transolver", **{**SIZE, "in_channels": 2})
    without.load_state_dict({name: value for name, value in model.state_dict().items() if "time_" not in name})
    encoded = without.encode(fields, mesh) + model.time_embedding(time)
    torch.testing.assert_close(model.encode(inputs, mesh), encoded)
    others = torch.cat([inputs[:, :3], torch.full_like(inputs[:, 3:], 7.0)], 1)
    torch.testing.assert_close(model.encode(others, mesh), encoded, rtol=0, atol=0)
    expected = model(data)
    data.time += 0.1
    assert (model(data) - expected).abs().max() > 1e-6
    assert_batch_invariant(model, [timed(n) for n in (30, 12)])
    assert_gradients(model, timed(12))
    del data.time
    with pytest.raises(ValueError, match="the data have no time"):
        model(data)
    assert model.config["time"] == "embedding"
    assert model.config["in_channels"] == 11


def test_wrong_times_of_transolver_are_named():
    with pytest.raises(ValueError, match="time='both'; choose from"):
        build_model("transolver", **SIZE, time="both")
    with pytest.raises(ValueError, match="in_channels=2 with time='embedding'; time alone has 9"):
        build_model("transolver", **SIZE, time="embedding")


def test_kernels_of_gno_see_the_inputs_at_both_ends():
    """With encoder and values cut off from the inputs, what is left of them comes through the kernels."""
    torch.manual_seed(0)
    model, data = build_model("gno", **SIZE, patches=6, coords=False), random_mesh(30)
    first = model.blocks[0].mixer.kernel[0]
    assert first.in_features == 2 + 2 * 2
    with torch.no_grad():
        model.encoder[0].weight.zero_()
    x = data.x.requires_grad_()
    gradient = torch.autograd.grad(model(data)[4].sum(), x)[0].abs().sum(1) > 0
    patch = model.prepare(data).patch_index
    assert set(gradient.nonzero().flatten().tolist()) == set(patch[0, patch[1] == 4].tolist())
    for columns in ((2, 3), (4, 5)):  # of the target and of the source
        with torch.no_grad():
            before = model(data)
            first.weight[:, columns] += 0.1
            assert (model(data) - before).abs().max() > 1e-6


@pytest.mark.parametrize(
    "global_", ["lrsa", "galerkin", ("efficient", "lrsa"), ["galerkin", "efficient", "lrsa"], ("lrsa",)]
)
def test_every_global_path(global_, tmp_path):
    torch.manual_seed(0)
    model = build_model("la2former", **SIZE, global_=global_, num_latents=4, patches=6)
    assert_permutation_equivariant(model, random_mesh(40))
    assert_batch_invariant(model, [random_mesh(n, seed=n) for n in (30, 12)])
    again = load_model(save_model(tmp_path / "m.safetensors", model)).model
    assert again.config == model.config
    torch.testing.assert_close(again(random_mesh(40)), model(random_mesh(40)), rtol=0, atol=0)


def test_wrong_global_paths_are_named():
    for global_ in ("linear", (), ("none", "lrsa"), ["efficient", "x"]):
        with pytest.raises(ValueError, match=r"global_=.*choose from"):
            build_model("la2former", **SIZE, global_=global_)
    with pytest.raises(ValueError, match="leaves no path"):
        build_model("la2former-global", **SIZE, global_="none")
    with pytest.raises(ValueError, match="'gate' takes 2"):
        build_model("la2former-lrsa", **SIZE, global_=("lrsa", "efficient"), fusion="gate")


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("la2former-lrsa", {"global_": "lrsa"}),
        ("la2former-local", {"global_": "none"}),
        ("la2former-global", {"local": False}),
    ],
)
def test_variants_are_la2former_with_other_defaults(name, same, tmp_path):
    models = []
    for build in (lambda: build_model(name, **SIZE), lambda: LA2Former(**SIZE, **same)):
        torch.manual_seed(0)
        models.append(build())
    variant, plain = models
    assert isinstance(variant, LA2Former)
    assert model_name(variant) == name
    assert variant.config == plain.config
    data = random_mesh(40)
    torch.testing.assert_close(variant(data), plain(data), rtol=0, atol=0)
    loaded = load_model(save_model(tmp_path / "m.safetensors", normalized(variant, [data]))).model
    assert type(loaded) is type(variant)
    changed = build_model(name, **SIZE, global_="galerkin", local=True, patches=7)
    assert (changed.global_, changed.local, changed.patches.k) == ("galerkin", True, 7)


def test_defaults_that_do_not_exist_are_named():
    with pytest.raises(ValueError, match=r"Odd takes no \['depth'\]"):

        @with_defaults(depth=3)
        class Odd(LA2Former):
            pass


@pytest.mark.parametrize("settings", [{"tied": True}, {"latent": "mlp"}, {"num_latents": 1, "ratio": 1}])
def test_ablations_of_lrsa(settings):
    torch.manual_seed(0)
    model = build_model("lrsa", **SIZE, **settings)
    assert_batch_invariant(model, [random_mesh(n, seed=n) for n in (30, 12)])
    assert_gradients(model, random_mesh(12))


@pytest.mark.parametrize("name", ["lrsa", "transolver", "fno"])
def test_grid_models(name):
    torch.manual_seed(0)
    model = build_model(name, **SIZE, **({} if name == "fno" else {"structured": True}))
    assert_batch_invariant(model, [random_grid((5, 6), seed=seed) for seed in range(3)])
    assert_gradients(model, random_grid((4, 4)))
    with pytest.raises(ValueError, match="no common grid_shape"):
        model(random_mesh(30))


def test_structured_feed_forward_of_lrsa_is_the_stated_one():
    """Convolution, LayerNorm, linear without bias, GELU, linear: 9 C² + C, 2 C, 2 C², 2 C² + C."""
    c, layers = SIZE["hidden_channels"], SIZE["num_layers"]
    dense = build_model("lrsa", **SIZE, structured=True)
    plain = build_model("lrsa", **SIZE)
    assert count(dense) - count(plain) == layers * (9 * c**2 + 3 * c - 2 * c)


def test_fno_commutes_with_shifts_of_a_periodic_grid_and_keeps_constants():
    torch.manual_seed(0)
    model = build_model("fno", **{**SIZE, "num_layers": 3}, modes=4, coords=False).double()
    data = random_grid((10, 12), dtype=torch.float64)
    moved = data.clone()
    moved.x = data.x.view(10, 12, 2).roll((3, 5), (0, 1)).flatten(0, 1)
    expected = model(data).view(10, 12, 1).roll((3, 5), (0, 1)).flatten(0, 1)
    torch.testing.assert_close(model(moved), expected)
    data.x = torch.ones_like(data.x)
    out = model(data)
    torch.testing.assert_close(out, out[:1].expand_as(out))


def test_fno_padding_and_modes():
    data = random_grid((5, 6))
    padded = build_model("fno", **SIZE, modes=[3, 4], padding=2)
    assert padded(data).shape == (30, 1)
    assert list(padded.config["modes"]) == [3, 4]
    assert build_model("fno", **SIZE, pos_dim=3, modes=20)(random_grid((2, 3, 4))).shape == (24, 1)
    for wrong in ({"modes": [3]}, {"modes": 0}, {"padding": -1}):
        with pytest.raises(ValueError, match="modes of at least 1"):
            build_model("fno", **SIZE, **wrong)


def test_full_attention_refuses_what_would_take_hours():
    model = build_model("transformer", **SIZE, max_nodes=20)
    assert model(random_mesh(20)).shape == (20, 1)
    batch = Batch.from_data_list([random_mesh(n) for n in (20, 15)])
    assert model(batch).shape == (35, 1)
    for data in (random_mesh(21), Batch.from_data_list([random_mesh(n) for n in (10, 21)])):
        with pytest.raises(ValueError, match=r"a sample has 21 nodes, 441 pairs.*max_nodes=20"):
            model(data)


def test_one_latent_of_lno_gives_every_node_the_same():
    model = build_model("lno", **SIZE, num_latents=1)
    out = model(random_mesh(20))
    torch.testing.assert_close(out, out[:1].expand_as(out))


def test_wrong_sizes_are_named():
    with pytest.raises(ValueError, match="num_latents=0"):
        build_model("lno", **SIZE, num_latents=0)
    with pytest.raises(ValueError, match=r"pool_ratio=1\.5"):
        build_model("graph-unet", **SIZE, pool_ratio=1.5)


@pytest.mark.parametrize("name", ["lrsa", "transolver", "flare", "lno", "transformer", "la2former-lrsa", "gno", "fno"])
def test_bfloat16_autocast_trains(name):
    torch.manual_seed(0)
    model = build_model(name, **SIZE)
    data = random_grid((6, 7)) if name == "fno" else random_mesh(42)
    with torch.autocast("cpu", torch.bfloat16):
        out = model(data)
    out.float().square().mean().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    reference = model(data)
    assert (out.float() - reference).norm() < 0.1 * reference.norm()
