"""Patches of a length of the domain: the same window on every mesh of it."""

import copy
import itertools

import pytest
import torch
from torch_geometric.data import Batch

from pyg_neuralops.checkpoint import load_model, save_model
from pyg_neuralops.data import MeshData, nodal_weights
from pyg_neuralops.models import build_model
from pyg_neuralops.nn import KNNAttention
from pyg_neuralops.normalize import normalized
from pyg_neuralops.ops import EdgeTiles, ball_graph, incoming_reach
from pyg_neuralops.testing import random_mesh
from pyg_neuralops.transforms import KNNPatches, Upwind

SIZE = {"in_channels": 2, "out_channels": 1, "hidden_channels": 8, "num_layers": 1, "heads": 2}


def graded(n=600, ratio=6.0, dtype=torch.float64):
    """Points of the unit square whose spacing varies by ``ratio``, fine at a corner, as the weights say."""
    generator = torch.Generator().manual_seed(0)
    pos = torch.rand(20 * n, 2, generator=generator, dtype=torch.float64)
    spacing = 1 + (ratio - 1) * pos.norm(dim=1) / 2**0.5
    keep = torch.rand(20 * n, generator=generator, dtype=torch.float64) < spacing**-2
    pos, spacing = pos[keep][:n].to(dtype), spacing[keep][:n].to(dtype)
    return MeshData(pos=pos, x=torch.randn(n, 2, generator=generator).to(dtype), weight=spacing.square())


def test_the_window_stays_where_k_neighbours_shrink():
    sizes = (400, 1600)
    reach = {
        name: [KNNPatches(**settings)(random_mesh(n, cells=False)).patch_reach.median().item() for n in sizes]
        for name, settings in {"k": {"k": 24}, "radius": {"k": 400, "radius": 0.14}}.items()
    }
    assert reach["k"][1] < 0.6 * reach["k"][0]
    assert reach["radius"] == pytest.approx([0.14, 0.14], rel=0.05)


def test_patches_are_the_balls_and_the_scale_is_theirs():
    data = random_mesh(80, dtype=torch.float64)
    data.pos = data.pos * torch.tensor([2.0, 1.0])
    side = (data.pos.amax(0) - data.pos.amin(0)).max()
    out = KNNPatches(20, radius=0.2, least=5)(data)
    assert torch.equal(out.patch_index, ball_graph(data.pos, 0.2, 20, 5))
    torch.testing.assert_close(out.patch_reach, incoming_reach(data.pos, out.patch_index))
    fixed = KNNPatches(20, radius=0.2, least=5, scale="domain")(copy.copy(data))
    torch.testing.assert_close(fixed.patch_reach, (0.2 * side).expand(80))
    torus = KNNPatches(20, radius=0.2, scale="domain", period=(0, 3))(copy.copy(data))
    torch.testing.assert_close(torus.patch_reach, torch.full((80,), 0.6).double())
    across = KNNPatches(80, radius=0.2, period=2)(copy.copy(data)).patch_index
    assert torch.equal(across, ball_graph(data.pos, 0.2, 80, 8, period=torch.tensor([2.0, 2.0]).double()))


@pytest.mark.parametrize("scale", ["reach", "domain"])
def test_a_batch_is_prepared_as_its_samples_are(scale):
    patches = KNNPatches(16, radius=0.3, scale=scale, tiles=True)
    samples = [random_mesh(n, seed=n) for n in (30, 50)]
    samples[1].pos = 3 * samples[1].pos
    together = patches(Batch.from_data_list([copy.copy(sample) for sample in samples]))
    alone = Batch.from_data_list([patches(copy.copy(sample)) for sample in samples])
    for name in ("patch_index", "patch_reach", "patch_key"):
        one, other = together[name], alone[name]
        assert torch.equal(one, other) if torch.is_tensor(one) else one == other
    model = build_model("la2former", **SIZE, patches=patches)
    expected = torch.cat([model(sample) for sample in samples])
    for batch in (together, alone):
        torch.testing.assert_close(model(batch), expected, rtol=1e-4, atol=1e-5)


def test_settings_come_back_from_text_and_from_a_checkpoint(tmp_path):
    settings = {"k": 12, "radius": 0.25, "least": 4, "scale": "domain"}
    patches = KNNPatches.from_config(settings)
    full = {"period": None, "through_solid": True, "metric": None, **settings}
    assert patches.to_config() == full
    assert KNNPatches.from_config(full).key == patches.key
    assert patches.key == "knn(k=12, radius=0.25, least=4, scale='domain')"
    assert KNNPatches(5, radius=1).to_config()["least"] == 5
    assert "radius" not in KNNPatches(5).to_config()
    data = random_mesh(40)
    model = normalized(build_model("la2former", **SIZE, patches=settings), [data]).eval()
    again = load_model(save_model(tmp_path / "model.safetensors", model))
    assert again.model.config["patches"] == full
    torch.testing.assert_close(again(data), model(data), rtol=0, atol=0)
    with pytest.raises(ValueError, match=r"radius=0.25.*this model needs knn\(k=12\)"):
        build_model("la2former", **SIZE, patches=12)(patches(data))


def test_moved_samples_get_new_patches():
    patches, data = KNNPatches(12, radius=0.2, scale="domain", tiles=True), random_mesh(40)
    moved = patches(copy.copy(data))
    moved.pos = data.pos * torch.tensor([1.0, 2.0])
    fresh = MeshData(pos=moved.pos.clone())
    moved, fresh = patches(moved), patches(fresh)
    assert torch.equal(moved.patch_index, fresh.patch_index)
    torch.testing.assert_close(moved.patch_reach, fresh.patch_reach)
    plain = KNNPatches(6)
    assert "patch_radius" not in plain(copy.copy(data))
    assert "patch_radius" in fresh


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("direction", [False, True])
@pytest.mark.parametrize("settings", [{"radius": 0.12}, {"radius": 0.02}, {"radius": 0.5}])
def test_with_one_scale_tiles_are_edges_on_a_graded_mesh(dtype, direction, settings):
    """Also where the radius is far below the spacing, so that the nearest are many scales away."""
    data = KNNPatches(40, **settings, scale="domain")(graded(dtype=dtype))
    torch.manual_seed(0)
    attention = KNNAttention(16, heads=4, direction=direction, scales=(1.0, 0.5)).to(dtype)
    with torch.no_grad():
        attention.mask.fill_(1.0)
        if direction:
            attention.direction.normal_()
    x = torch.randn(len(data.pos), 16).to(dtype)
    log_weight = (data.weight / data.weight.mean()).log()
    tiles = EdgeTiles.from_edge_index(data.patch_index, data.pos)
    outs = []
    for adj in (data.patch_index, tiles):
        x.requires_grad_()
        out = attention(x, data.pos, adj, data.patch_reach, None, log_weight)
        gradients = torch.autograd.grad(out.square().sum(), [x, attention.mask])
        outs.append((out, *gradients))
    tolerance = 1e-11 if dtype == torch.float64 else 2e-4
    for one, other in zip(*outs, strict=True):
        assert (one - other).abs().max() < tolerance * other.abs().max()


def grid(side):
    """Nodes of a square grid with a smooth input and their areas; every second node is one of the coarser grid."""
    line = torch.linspace(0, 1, side, dtype=torch.float64)
    pos = torch.cartesian_prod(line, line)
    index = torch.arange(side * side).view(side, side)
    quad = torch.stack([index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]]).flatten(1)
    data = MeshData(pos=pos, x=torch.stack([(5 * pos[:, 0]).sin(), (3 * pos[:, 1]).cos()], 1), quad=quad)
    data.weight = nodal_weights(data)
    return data


def test_a_model_with_windows_in_space_has_a_limit_on_finer_meshes():
    """With a radius, one scale and the measure it is one operator: meshes differ ever less. With K points it is not."""

    def outputs(patches):
        torch.manual_seed(0)
        model = build_model("la2former-local", **SIZE, patches=patches, measure=True, coords=False).double()
        for module in model.modules():
            if isinstance(module, KNNAttention):
                torch.nn.init.constant_(module.mask, 4.0)  # the edge of the window weighs exp(-4)
        sides = (13, 25, 49)
        with torch.no_grad():
            outs = [model(grid(side)).view(side, side) for side in sides]
        coarse = [out[:: (side - 1) // 12, :: (side - 1) // 12] for out, side in zip(outs, sides, strict=True)]
        return [(one - other).abs().mean().item() for one, other in itertools.pairwise(coarse)]

    far, near = outputs({"k": 2000, "radius": 0.25, "scale": "domain"})
    assert near < 0.5 * far
    few, fewer = outputs({"k": 21})
    assert few > 3 * far
    assert fewer > 3 * near


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: KNNPatches(5, radius=0), "radius=0;"),
        (lambda: KNNPatches(5, radius=float("nan")), "radius=nan"),
        (lambda: KNNPatches(5, radius="0.1"), "radius='0.1'"),
        (lambda: KNNPatches(5, radius=True), "radius=True"),
        (lambda: KNNPatches(5, radius=0.1, least=6), "least=6; it must be an integer from 1 to k=5"),
        (lambda: KNNPatches(5, least=3), "least=3 needs a radius"),
        (lambda: KNNPatches(5, scale="domain"), "scale='domain' needs a radius"),
        (lambda: KNNPatches(5, radius=0.1, scale="mesh"), "scale='mesh'; choose from"),
        (lambda: KNNPatches(5, radius=0.1, through_solid=False), "radius=0.1 cannot be combined"),
        (lambda: KNNPatches(5, radius=0.1, metric=Upwind("wind")), "radius=0.1 cannot be combined"),
        (lambda: build_model("gatv2", in_channels=2, out_channels=1, patches={"k": 6, "radius": 0.1}), "radius=0.1"),
    ],
)
def test_wrong_settings_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
