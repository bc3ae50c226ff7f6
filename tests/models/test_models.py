import copy
import inspect
import json

import pytest
import torch
from torch_geometric.data import Batch, Data

from pyg_neuralops.data import MeshData
from pyg_neuralops.models import MODELS, build_model
from pyg_neuralops.testing import (
    assert_batch_invariant,
    assert_gradients,
    assert_permutation_equivariant,
    assert_resets_parameters,
    assert_translation_invariant,
    random_grid,
    random_mesh,
)
from pyg_neuralops.transforms import MeshEdges

SMALL = {"hidden_channels": 16, "num_layers": 2}
ANYWHERE = [name for name in MODELS if name != "fno"]  # FNO numbers its nodes by their place in a grid
# Models whose only view of positions is relative, once the encoder is told not to look.
RELATIVE = [name for name in ANYWHERE if "coords" in inspect.signature(MODELS[name].__init__).parameters]
GRIDS = {1: (1,), 12: (3, 4), 20: (4, 5), 30: (5, 6)}


def sample(name, num_nodes, pos_dim=2, **kwargs):
    """A random mesh, or a grid of as many nodes where the model takes grids only."""
    if name != "fno":
        return random_mesh(num_nodes, pos_dim=pos_dim, wind=name == "upwind-gnn", **kwargs)
    shape = {1: (num_nodes,), 2: GRIDS[num_nodes], 3: (1, *GRIDS[num_nodes])}[pos_dim]
    return random_grid(shape + (1,) * (pos_dim - len(shape)), **kwargs)


def small(name, **kwargs):
    torch.manual_seed(0)
    heads = {"heads": 8} if "heads" in inspect.signature(MODELS[name].__init__).parameters else {}
    return build_model(name, **{"in_channels": 2, "out_channels": 3, **SMALL, **heads, **kwargs})


@pytest.mark.parametrize(("channels", "heads"), [(8, 1), (32, 2), (48, 3), (50, 2), (96, 6), (128, 8), (256, 8)])
def test_heads_of_lrsa_are_as_wide_as_the_papers(channels, heads):
    config = build_model("lrsa", in_channels=1, out_channels=1, hidden_channels=channels, num_layers=1).config
    assert config["heads"] == heads


@pytest.mark.parametrize("name", ANYWHERE)
def test_models_respect_renumbering(name):
    assert_permutation_equivariant(small(name), sample(name, 60))


@pytest.mark.parametrize("cells", [True, False])
@pytest.mark.parametrize("name", ANYWHERE)
def test_models_respect_their_batch(name, cells):
    assert_batch_invariant(small(name), [sample(name, n, seed=n, cells=cells) for n in (40, 12, 25)])


@pytest.mark.parametrize("name", RELATIVE)
def test_models_without_coordinates_do_not_know_the_origin(name):
    assert_translation_invariant(small(name, coords=False), sample(name, 50))


def test_positions_in_double_precision_leave_features_as_they_are():
    data = random_mesh(20)
    data.pos = data.pos.double()
    for coords in (False, True, "reference-grid"):
        assert small("lrsa", coords=coords)(data).dtype == data.x.dtype


@pytest.mark.parametrize("name", [*RELATIVE, "fno"])
def test_models_take_distances_to_a_reference_grid(name):
    """In place of coordinates; the origin matters then."""
    data = sample(name, 30)
    model = small(name, coords="reference-grid")
    assert model.config["coords"] == "reference-grid"
    assert_batch_invariant(model, [data, sample(name, 30, seed=1)])
    moved = copy.copy(data)
    moved.pos = data.pos + 0.3
    assert not torch.allclose(model(moved), model(data), atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_gradients_equal_finite_differences(name):
    model = small(name)
    if name == "graph-unet":
        # Biases of zero leave nodes without a signal on the kink of the ReLU.
        for parameter_name, parameter in model.unet.named_parameters():
            if parameter_name.endswith("bias"):
                torch.nn.init.uniform_(parameter, -0.1, 0.1)
    assert_gradients(model, sample(name, 12))


@pytest.mark.parametrize("pos_dim", [1, 2, 3])
@pytest.mark.parametrize("name", MODELS)
def test_models_take_every_dimension_and_no_input_field(name, pos_dim):
    data = sample(name, 30, pos_dim, in_channels=0)
    assert small(name, in_channels=0, pos_dim=pos_dim)(data).shape == (30, 3)
    del data.x
    assert small(name, in_channels=0, pos_dim=pos_dim)(data).shape == (30, 3)


@pytest.mark.parametrize("name", MODELS)
def test_one_point_is_a_mesh_and_prepared_data_are_kept(name):
    model = small(name)
    assert model(sample(name, 1)).isfinite().all()
    prepared = model.prepare(sample(name, 30))
    again = model.prepare(prepared)
    for key, value in prepared.to_dict().items():
        assert again[key] is value
    torch.testing.assert_close(model(prepared), model(sample(name, 30)))


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_learns(name):
    model = small(name)
    sizes = (30, 30) if name == "fno" else (20, 30)
    model(Batch.from_data_list([sample(name, n) for n in sizes])).square().sum().backward()
    assert [n for n, p in model.named_parameters() if p.numel() and p.grad is None] == []


@pytest.mark.parametrize("name", MODELS)
def test_resetting_is_constructing(name):
    sizes = {"in_channels": 2, "out_channels": 3, **SMALL}
    assert_resets_parameters(lambda: build_model(name, **sizes))


def test_resetting_where_the_constructor_has_choices():
    sizes = {"in_channels": 10, "out_channels": 1, **SMALL}
    assert_resets_parameters(lambda: build_model("la2former", **sizes, fusion="gate", direction=True))
    assert_resets_parameters(lambda: build_model("la2former", **sizes, fusion="scalar"))
    assert_resets_parameters(lambda: build_model("lrsa", **sizes, structured=True, coords="reference-grid"))
    assert_resets_parameters(lambda: build_model("transolver", **sizes, time="embedding", structured=True))
    assert_resets_parameters(lambda: build_model(f"{__name__}:Own", **sizes))


class Own(torch.nn.Sequential):
    """A user's own module, as such."""

    def __init__(self, in_channels, out_channels, pos_dim, hidden_channels, num_layers):
        super().__init__(torch.nn.Linear(in_channels, hidden_channels), torch.nn.Linear(hidden_channels, out_channels))


def test_a_model_that_was_changed_cannot_be_reset():
    model = small("transolver")
    model.decoder = torch.nn.Linear(16, 5)
    with pytest.raises(ValueError, match=r"Transolver is not as its constructor made it; .*'decoder.weight'"):
        model.reset_parameters()


def test_wrong_use_is_named():
    with pytest.raises(ValueError, match=r"unknown model 'lrs'.*la2former"):
        build_model("lrs", in_channels=1, out_channels=1)
    with pytest.raises(ValueError, match="width"):
        build_model("la2former", in_channels=1, out_channels=1, width=3)
    with pytest.raises(ValueError, match=r"channels=30 is not a multiple"):
        build_model("la2former", in_channels=1, out_channels=1, hidden_channels=30, heads=8)
    with pytest.raises(ValueError, match="num_layers=0"):
        build_model("graph-sage", in_channels=1, out_channels=1, num_layers=0)
    with pytest.raises(ValueError, match=r"2 channels of x, no of theta, no time: 2 inputs; .*in_channels=5"):
        small("la2former", in_channels=5)(random_mesh(20))
    with pytest.raises(ValueError, match="cannot import"):
        build_model("no.such.module:Thing", in_channels=1, out_channels=1)
    model = small("la2former", patches=8)
    with pytest.raises(ValueError, match=r"k=32.*k=8"):
        model(small("la2former").prepare(random_mesh(50)))


WRONG = [
    ("la2former", {"heads": "abc"}, "heads='abc'; an integer is needed"),
    ("la2former-lrsa", {"num_latents": 6.5}, "num_latents=6.5; an integer is needed"),
    ("la2former-local", {"direction": "false"}, "direction='false'; true or false is needed"),
    ("la2former-global", {"global_": 3}, "global_=3; text or a list is needed"),
    ("lrsa", {"heads": "8"}, "heads='8'; an integer is needed"),
    ("lrsa", {"tied": 1}, "tied=1; true or false is needed"),
    ("fno", {"modes": [3, "4"]}, r"modes=\[3, '4'\]; .* is needed"),
    ("graph-unet", {"pool_ratio": "half"}, "pool_ratio='half'; a finite number is needed"),
    ("gatv2", {"graph": None}, "graph=None; text is needed"),
    ("transformer", {"max_nodes": True}, "max_nodes=True; an integer is needed"),
    ("mesh-graph-net", {"k": 6.0}, "k=6.0; an integer is needed"),
    ("transolver", {"coords": None}, "coords=None; true or false or text is needed"),
    ("gno", {"patches": "5"}, "k='5'"),
]


@pytest.mark.parametrize(("name", "given", "message"), WRONG)
def test_values_of_another_kind_are_named(name, given, message):
    start = "" if "patches" in given else f"^cannot build model '{name}': "
    with pytest.raises(ValueError, match=start + message):
        build_model(name, in_channels=1, out_channels=1, **given)


OF_LISTS = {
    "fno": {"modes": (4, 5)},
    "la2former": {"scales": (1.0, 0.5), "global_": ("efficient", "laplacian")},
    "mesh-graph-net": {"edge_fields": ("wind",)},
    "gatv2": {"edge_fields": ("wind", "conductivity")},
}


@pytest.mark.parametrize("given", [{}, OF_LISTS])
@pytest.mark.parametrize("name", MODELS)
def test_settings_are_what_a_file_gives_back(name, given):
    """A tuple would be a list after JSON, and a finished run one of other settings."""
    config = small(name, **given.get(name, {})).config
    assert json.loads(json.dumps(config)) == config


@pytest.mark.parametrize("name", MODELS)
def test_sizes_of_another_kind_are_named(name):
    sizes = {"in_channels": 1, "out_channels": 1, "pos_dim": 2, "hidden_channels": 8, "num_layers": 1}
    for size in sizes:
        for wrong in ("8", 8.0, None, True):
            with pytest.raises(ValueError, match=f"'{name}': {size}={wrong!r}; an integer is needed"):
                build_model(name, **{**sizes, size: wrong})
    whole = build_model(name, **{**sizes, "hidden_channels": 16})
    same = build_model(name, **{**sizes, "hidden_channels": torch.tensor(16).numpy()[()]})
    assert same.config == whole.config
    assert [p.shape for p in same.parameters()] == [p.shape for p in whole.parameters()]


class Noted(torch.nn.Linear):
    """A user's own, whose annotations are its own business."""

    def __init__(self, in_channels: int, out_channels: int, widths: tuple[int, ...]):
        super().__init__(in_channels, out_channels)
        self.widths = widths


def test_a_users_own_class_is_given_what_it_is_given():
    widths = [4, "five"]
    assert build_model(f"{__name__}:Noted", in_channels=1, out_channels=1, widths=widths).module.widths is widths
    with pytest.raises(ValueError, match="no argument 'width'; choose from"):
        build_model(f"{__name__}:Own", in_channels=1, out_channels=1, width=3)


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [("la2former", {}), ("graph-sage", {"graph": "patches"}), ("gatv2", {"graph": "patches"})],
)
def test_patches_of_every_kind_reach_the_model(name, kwargs):
    data = random_mesh(50)
    data.wind = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    outputs = []
    for settings in ({}, {"metric": "Upwind(wind, stretch=6)"}, {"period": 1.0}, {"through_solid": False}):
        model = small(name, patches={"k": 10, **settings}, **kwargs)
        assert_permutation_equivariant(model, data)
        outputs.append(model(data))
    # A mesh of a convex region is reached whole: the last is the first again, up to thin cells on the hull.
    assert all((outputs[0] - other).abs().max() > 1e-5 for other in outputs[1:3])


def test_on_a_torus_moving_the_origin_changes_nothing():
    data = random_mesh(80)
    model = small("la2former", patches={"k": 8, "period": (1.0, 1.0)}, direction=True, coords=False)
    torch.nn.init.normal_(model.blocks[0].mixer.mixers[0].attention.direction)
    moved = random_mesh(80)
    moved.pos = (moved.pos + 0.37) % 1.0
    torch.testing.assert_close(model(moved), model(data), rtol=1e-4, atol=1e-5)


def test_a_model_that_would_read_nothing_is_refused():
    with pytest.raises(ValueError, match="in_channels=0 with coords=False leaves the encoder nothing to read"):
        build_model("la2former", in_channels=0, out_channels=1, coords=False)


@pytest.mark.parametrize("change", [{"metric": "Upwind('wind')"}, {"period": 1.0}, {"through_solid": False}])
@pytest.mark.parametrize("name", ["graph-sage", "gatv2"])
def test_settings_of_patches_are_refused_on_mesh_edges(name, change):
    with pytest.raises(ValueError, match="of which graph='mesh' reads k only; choose graph='patches'"):
        build_model(name, in_channels=1, out_channels=1, patches={"k": 6, **change})
    assert (
        build_model(name, in_channels=1, out_channels=1, graph="patches", patches={"k": 6, **change}).graph == "patches"
    )


@pytest.mark.parametrize("name", ["la2former", "lrsa", "lno", "transformer"])
@pytest.mark.parametrize("ratio", [0, -2.0, float("nan"), float("inf")])
def test_a_ratio_that_makes_no_width_is_named(name, ratio):
    with pytest.raises(ValueError, match=f"ratio={ratio}"):
        build_model(name, in_channels=1, out_channels=1, hidden_channels=8, num_layers=1, ratio=ratio)


@pytest.mark.parametrize("name", ["mesh-graph-net", "gatv2"])
def test_edge_attributes_of_other_columns_are_named(name):
    model, mesh = small(name).eval(), random_mesh(20)
    made = MeshEdges()(mesh)
    given = {"x": mesh.x, "pos": mesh.pos, "edge_index": made.edge_index}
    want = model(mesh)
    torch.testing.assert_close(model(MeshData(**given)), want)
    torch.testing.assert_close(model(MeshData(**given, edge_attr=made.edge_attr)), want)
    assert not torch.allclose(model(MeshData(**given, edge_attr=2 * made.edge_attr)), want)
    for columns in (1, 4):
        data = MeshData(**given, edge_attr=made.edge_attr[:, :1].expand(-1, columns))
        for wrong in (data, Batch.from_data_list([data, data])):
            with pytest.raises(ValueError, match=rf"edge_attr has {columns} columns; the model reads 3: p_j - p_i"):
                model(wrong)
    own = MeshData(**given, edge_attr=made.edge_attr[:, :1])
    assert small("graph-sage")(own).shape == (20, 3)
    if name == "gatv2":
        assert small("gatv2", graph="patches")(own).shape == (20, 3)


@pytest.mark.parametrize("name", ["la2former", "lrsa", "mesh-graph-net"])
def test_a_first_sample_in_any_form_is_read_or_refused_by_name(name):
    mesh = random_mesh(20)
    model = build_model(name, in_channels=2, out_channels=1, hidden_channels=8, num_layers=1).eval()
    fields = {"x": mesh.x.round().int(), "pos": mesh.pos.double().numpy(), "face": mesh.face.to(torch.int32)}
    found = model(Data(**fields))
    torch.testing.assert_close(found, model(MeshData(x=mesh.x.round(), pos=mesh.pos, face=mesh.face)))
    assert found.dtype == torch.float32
    for wrong, said in (
        ({"x": torch.full((20, 2), torch.nan)}, "x holds nan at row 0"),
        ({"face": mesh.face.t()}, "face"),
    ):
        with pytest.raises(ValueError, match=said):
            model(Data(**{**fields, **wrong}))
