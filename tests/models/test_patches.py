"""Patches as one value: argument of models, entry of checkpoints, a user's own metric in both."""

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pyg_neuralops.checkpoint import load_model, save_model
from pyg_neuralops.data import MeshData
from pyg_neuralops.data.weights_file import load_weights, save_weights
from pyg_neuralops.models import build_model
from pyg_neuralops.normalize import normalized
from pyg_neuralops.testing import random_mesh
from pyg_neuralops.transforms import KNNPatches, PatchMetric, Upwind, parse_metric
from pyg_neuralops.transforms.patch_settings import current_settings

OLD = Path(__file__).parents[1] / "data_files"
SIZE = {"in_channels": 2, "out_channels": 1, "hidden_channels": 8, "num_layers": 1, "heads": 2}


class Downhill(PatchMetric):
    """Distances along a slope that the sample names."""

    def __init__(self, field, factor=3.0):
        self.field, self.factor = field, factor

    @property
    def fields(self):
        return (self.field,)

    def distance(self, data, index, offset):
        slope = data[self.field][index].double()
        return offset.norm(dim=-1) * (1 + self.factor * slope.abs())

    def stretch(self, data):
        return torch.ones(data.num_nodes).double()


def sample():
    data = random_mesh(30)
    generator = torch.Generator().manual_seed(0)
    data.velocity, data.height = torch.randn(30, 2, generator=generator), torch.rand(30, 1, generator=generator)
    return data


@pytest.mark.parametrize(
    "settings",
    [
        {"k": 6},
        {"k": 6, "period": [1.5, 0.0]},
        {"k": 6, "through_solid": False},
        {"k": 6, "metric": {"name": "Upwind", "field": "velocity", "stretch": 4.0, "both": True}},
        {"k": 6, "metric": {"name": f"{__name__}:Downhill", "field": "height", "factor": 2.0}},
    ],
)
def test_settings_make_the_same_patches_as_the_value_and_come_back(settings, tmp_path):
    patches = KNNPatches.from_config(settings)
    full = {"period": None, "through_solid": True, "metric": None, **settings}
    assert patches.to_config() == json.loads(json.dumps(patches.to_config())) == full
    data, outputs = sample(), []
    for value in (settings, patches):
        torch.manual_seed(0)
        model = build_model("la2former", **SIZE, patches=value)
        assert model.config["patches"] == full
        outputs.append(model(data))
    wrapped = normalized(model, [data]).eval()
    path = save_model(tmp_path / "model.safetensors", wrapped)
    assert torch.equal(outputs[0], outputs[1])
    foreign = "Downhill" in str(settings)
    if foreign:
        with pytest.raises(ValueError, match=r"patch metric '.*:Downhill' that is not of this library; pass trust"):
            load_model(path)
    again = load_model(path, trust_import=foreign)
    assert torch.equal(again(data), wrapped(data))
    assert again.model.patches.key == patches.key


def test_a_number_is_k():
    assert build_model("gno", **{k: v for k, v in SIZE.items() if k != "heads"}, patches=5).config["patches"]["k"] == 5


def test_a_foreign_metric_is_not_imported_for_a_look(tmp_path):
    """The file names a module that leaves a trace when imported."""
    model = normalized(build_model("la2former", **SIZE, patches=4), [sample()])
    path = save_model(tmp_path / "model.safetensors", model)
    tensors, texts = load_weights(path)
    config = json.loads(texts["config"])
    for metric in ({"name": "antigravity:Metric"}, "antigravity:Metric()"):
        config["patches"]["metric"] = metric
        save_weights(path, tensors, texts | {"config": json.dumps(config)})
        with pytest.raises(ValueError, match="pass trust_import=True"):
            load_model(path)
        assert "antigravity" not in sys.modules


@pytest.mark.parametrize("name", ["la2former", "gatv2"])
def test_checkpoints_from_before_patches_were_one_value_load(name):
    stored = load_file(OLD / "patches-1.safetensors")
    data = MeshData(x=stored["x"], pos=stored["pos"], wind=stored["wind"])
    model = load_model(OLD / f"{name}-patches-1.safetensors")
    with torch.no_grad():
        torch.testing.assert_close(model(data), stored[name], rtol=1e-6, atol=1e-6)
    key = {"la2former": "knn(k=6, metric=Upwind(field='wind', stretch=6.0, both=False))"}
    assert model.model.patches.key == key.get(name, "knn(k=5, period=(1.5, 0.0))")


def test_old_settings_are_read_in_one_place():
    old = {"heads": 2, "k": 6, "period": None, "through_solid": True, "metric": "Tensor('a')"}
    new = current_settings(old)
    assert new == {
        "heads": 2,
        "patches": {"k": 6, "period": None, "through_solid": True, "metric": "Anisotropic('a')"},
    }
    assert current_settings(new) == new
    assert current_settings({"k": 6}) == {"k": 6}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Upwind('velocity', stretch=4)", {"name": "Upwind", "field": "velocity", "stretch": 4.0, "both": False}),
        ("Upwind(velocity)", {"name": "Upwind", "field": "velocity", "stretch": 6.0, "both": False}),
        (" Anisotropic( field='a' ) ", {"name": "Anisotropic", "field": "a"}),
        ({"name": "Anisotropic"}, {"name": "Anisotropic", "field": "conductivity"}),
        ("Upwind(velocity, both=true)", {"name": "Upwind", "field": "velocity", "stretch": 6.0, "both": True}),
        ("Upwind(velocity, 2, false)", {"name": "Upwind", "field": "velocity", "stretch": 2.0, "both": False}),
        ("Upwind(velocity, both=True)", {"name": "Upwind", "field": "velocity", "stretch": 6.0, "both": True}),
        (f"{__name__}:Annotated(height, 2)", {"name": f"{__name__}:Annotated", "field": "height", "factor": 2.0}),
        (f"{__name__}:Downhill('height', 2)", {"name": f"{__name__}:Downhill", "field": "height", "factor": 2}),
        (Upwind("b", both=True), {"name": "Upwind", "field": "b", "stretch": 6.0, "both": True}),
    ],
)
def test_metrics_are_read_as_text_and_as_mappings(text, expected):
    metric = parse_metric(text)
    assert metric.to_config() == expected
    assert parse_metric(metric.to_config()).to_config() == parse_metric(repr(metric)).to_config() == expected


def test_false_without_quotes_makes_the_patches_of_false():
    data, made = sample(), {}
    for both in ("both=false", "both=False", "both=true"):
        made[both] = KNNPatches(6, metric=f"Upwind(velocity, {both})")(data).patch_index
    assert torch.equal(made["both=false"], KNNPatches(6, metric=Upwind("velocity", both=False))(data).patch_index)
    assert torch.equal(made["both=true"], KNNPatches(6, metric=Upwind("velocity", both=True))(data).patch_index)
    assert torch.equal(made["both=false"], made["both=False"])
    assert not torch.equal(made["both=false"], made["both=true"])


class Annotated(Downhill):
    """Says of what kind its arguments are, and hands some on."""

    def __init__(self, field: str, factor: float = 3.0):
        super().__init__(field, factor)


class Handing(Annotated):
    def __init__(self, **options):
        super().__init__(**options)


class Forgetful(Downhill):
    def __init__(self, power):
        super().__init__("height")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: KNNPatches.from_config({"kk": 3}), r"unknown \['kk'\]; choose from \['k', 'period'"),
        (lambda: KNNPatches.from_config({"period": 1.0}), "k is missing"),
        (lambda: KNNPatches.of(True), "k=True; it must be an integer"),
        (lambda: KNNPatches.of("5"), "k='5'; it must be an integer"),
        (lambda: KNNPatches(5, period="1"), "period=1; side lengths"),
        (lambda: KNNPatches(5, through_solid="no"), "through_solid='no'; choose True or False"),
        (lambda: parse_metric("Sideways('wind')"), r"unknown patch metric 'Sideways'; choose from \['Anisotropic'"),
        (lambda: parse_metric("json:JSONDecoder()"), "is no class derived from .*PatchMetric"),
        (lambda: parse_metric({"field": "wind"}), "write Upwind"),
        (lambda: parse_metric(3), "write Upwind"),
        (lambda: parse_metric({"name": "Upwind", "factor": 3}), "unexpected keyword argument 'factor'; write Upwind"),
        (lambda: parse_metric("Upwind(wind, both=no)"), "metric Upwind: both=no; true or false is needed"),
        (lambda: parse_metric("Upwind(wind, both='false')"), "both='false'; true or false is needed"),
        (lambda: parse_metric("Upwind(wind, both=0)"), "both=0; true or false is needed"),
        (lambda: parse_metric("Upwind(wind, stretch=nan)"), "stretch=nan; a finite number is needed"),
        (lambda: parse_metric("Upwind(wind, stretch=inf)"), "stretch=inf; a finite number is needed"),
        (lambda: parse_metric("Upwind(wind, stretch=1e999)"), "stretch=inf; a finite number is needed"),
        (lambda: parse_metric("Upwind(wind, stretch='6')"), "stretch='6'; a finite number is needed"),
        (lambda: parse_metric("Upwind(wind, stretch=0.5)"), "stretch=0.5; it must be at least 1"),
        (lambda: parse_metric("Upwind(true)"), "field=True; text is needed"),
        (lambda: parse_metric({"name": "Upwind", "stretch": float("nan")}), "stretch=nan; a finite number is needed"),
        (lambda: parse_metric({"name": "Anisotropic", "field": 3}), "metric Anisotropic: field=3; text is needed"),
        (lambda: parse_metric(f"{__name__}:Downhill(height)"), "field=height; write 'height' in quotes if it is text"),
        (lambda: parse_metric(f"{__name__}:Annotated(height, inf)"), "factor=inf; a finite number is needed"),
        (lambda: parse_metric({"name": f"{__name__}:Annotated", "field": "a", "factor": "2"}), "factor='2'; a finite"),
        (lambda: parse_metric({"name": f"{__name__}:Handing", "field": "a", "factor": "2"}), "factor='2'; a finite"),
        (lambda: Upwind("wind", stretch="6"), "stretch='6'; a finite number is needed"),
        (lambda: Upwind("wind", stretch=float("nan")), "stretch=nan; a finite number is needed"),
        (lambda: Upwind("wind", both="false"), "both='false'; true or false is needed"),
        (lambda: parse_metric("Upwind(__import__('os').getcwd())"), "write Upwind"),
        (lambda: Forgetful(2).to_config(), r"keeps no \['power'\] as attributes"),
        (lambda: build_model("la2former", **SIZE, patches={"k": 0}), "k=0"),
        (
            lambda: build_model("point-transformer", in_channels=1, out_channels=1, patches={"k": 4, "period": 1}),
            "period",
        ),
    ],
)
def test_wrong_settings_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
