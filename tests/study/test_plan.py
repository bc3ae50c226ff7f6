"""Studies as files: parts, sizes and sweeps become comparisons."""

import pytest

from pyg_neuralops.study import Comparison
from pyg_neuralops.study.plan import STUDIES, Study, find_study
from pyg_neuralops.study.study import check_parts
from pyg_neuralops.study.toml import read_toml

TEXT = """
question = "Is it so?"
by = "force"
bins = [0.1, 0.2]
dataset = "darcy"
models = ["la2former", "narrow", "gatv2"]
seconds = 60
seeds = 3
out = "runs/there"

[dataset_args]
num_samples = 24
resolution = 21

[overrides.la2former]
heads = 4
sweep = {"patches.k" = [8, 16], num_layers = [2, 3]}

[overrides.narrow]
model = "la2former"
hidden_channels = 8
sweep = {"patches.radius" = [0.1]}
patches = {k = 64}

[parts.square]

[parts.irregular]
dataset = "darcy-irregular"
steps = 2000
by = "strength"
sweep = {"dataset_args.points" = [200, 400]}
[parts.irregular.dataset_args]
resolution = 9
[parts.irregular.overrides.gatv2]
heads = 2

[sizes.paper]
seeds = 1
dataset_args = {num_samples = 1200}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "k-sweep.toml"
    path.write_text(TEXT)
    return path


def test_parts_and_sweeps(file):
    study = Study.from_toml(file)
    assert (study.name, study.question) == ("k-sweep", "Is it so?")
    assert list(study.parts) == ["square", "irregular, points=200", "irregular, points=400"]
    assert {(part.by, part.bins) for part in study.parts.values()} == {("force", (0.1, 0.2)), ("strength", (0.1, 0.2))}
    square, _, fine = (part.comparison for part in study.parts.values())
    arms = [f"la2former, k={k}, num_layers={depth}" for k in (8, 16) for depth in (2, 3)]
    assert square.models == fine.models == (*arms, "narrow, radius=0.1", "gatv2")
    assert square.model(arms[1]) == ("la2former", {"num_layers": 3, "heads": 4, "patches": {"k": 8}})
    narrow = {"hidden_channels": 8, "patches": {"k": 64, "radius": 0.1}}
    assert square.model("narrow, radius=0.1") == ("la2former", narrow)
    assert square.model("gatv2") == ("gatv2", {})
    assert fine.model("gatv2") == ("gatv2", {"heads": 2})
    assert (square.seconds, square.steps, fine.seconds, fine.steps) == (60, None, None, 2000)
    assert fine.dataset_args == {"num_samples": 24, "resolution": 9, "points": 400}
    assert [part.comparison.out for part in study.parts.values()] == [
        "runs/there/square",
        "runs/there/irregular__points_200",
        "runs/there/irregular__points_400",
    ]
    assert all(part.comparison.seeds == 3 for part in study.parts.values())


def test_sizes_and_changes(file):
    paper = Study.from_toml(file, "paper")
    assert paper.out == "runs/there-paper"
    sizes = {(part.comparison.seeds, part.comparison.dataset_args["num_samples"]) for part in paper.parts.values()}
    assert sizes == {(1, 1200)}
    changed = Study.from_toml(file, "paper", seeds=2, out="x").parts["square"].comparison
    assert (changed.seeds, changed.out, changed.dataset_args["num_samples"]) == (2, "x/square", 1200)


def test_a_recipe_of_a_comparison_is_a_study_of_one_part():
    path = find_study("first")
    assert path == find_study(str(path))
    study = Study.from_toml(path)
    assert [part.comparison for part in study.parts.values()] == [Comparison.from_toml(path)]
    assert study.out == study.parts["first"].comparison.out == "runs/compare"


FILES = [(path, size) for path in sorted(STUDIES.glob("*.toml")) for size in (None, *read_toml(path).get("sizes", ()))]


@pytest.mark.parametrize(("path", "size"), FILES, ids=[f"{path.stem} {size or ''}" for path, size in FILES])
def test_every_study_of_ours_is_one(path, size):
    study = Study.from_toml(path, size)
    if '.h5"' not in path.read_text():  # files that scripts make
        check_parts(study)
    assert len({part.comparison.out for part in study.parts.values()}) == len(study.parts)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('dataset = "darcy"\n', "", "part 'square': there is no key 'dataset'"),
        ("seconds = 60", "second = 60", "part 'square': unknown keys .*second.*did you mean 'seconds'"),
        ("[8, 16]", "8", "sweep=.*each with a list"),
        ("[8, 16]", "[]", "sweep=.*each with a list"),
        ("[0.1, 0.2]", "[0.2, 0.1]", "edges must ascend"),
        ('by = "force"', "", "by must say"),
        (
            "[parts.irregular]",
            '[parts."irregular, points=200"]\ndataset = "darcy-irregular"\n[parts.irregular]',
            "share the folder",
        ),
        ('"gatv2"]', '"gatv2", "la2former, k=8, num_layers=2"]', "two models would be called"),
        ("[parts.square]", "[parts.square]\nout = 'x'", "part 'square' has .*'out'"),
        ("[overrides.narrow]", "[overrides.wide]", "among the models"),
    ],
)
def test_mistakes_name_the_file_and_the_part(file, old, new, message):
    file.write_text(TEXT.replace(old, new))
    with pytest.raises(ValueError, match=message) as found:
        Study.from_toml(file)
    assert str(file) in str(found.value)


def test_unknown_names(file):
    with pytest.raises(ValueError, match=r"size='papers'; choose from \['paper'\]; did you mean 'paper'"):
        Study.from_toml(file, "papers")
    with pytest.raises(ValueError, match=r"unknown study 'frist'.*did you mean 'first'"):
        find_study("frist")
    with pytest.raises(FileNotFoundError):
        Study.from_toml("nowhere.toml")
