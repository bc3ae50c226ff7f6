"""A digest of a user's code changes with every file of theirs that runs, and with no other."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from pyg_neuralops.study.own_code import code_digests, import_paths

FILES = {
    "pack/__init__.py": "",
    "pack/metric.py": "from . import near\nfrom .inner.far import reach\nimport lone, torch\nclass Metric: pass\n",
    "pack/near.py": "x = 1\n",
    "pack/inner/__init__.py": "",
    "pack/inner/far.py": "from ..near import x\nreach = x\n",
    "pack/unused.py": "y = 2\n",
    "lone.py": "def late():\n    import later\n",
    "later.py": "z = 3\n",
    "other.py": "def f(): pass\n",
}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    start_anew()  # of a test before
    return tmp_path


def start_anew():
    """The modules as a new process has them."""
    for name in FILES:
        sys.modules.pop(name.removesuffix(".py").removesuffix("/__init__").replace("/", "."), None)
    for name in ("pack.metric", "other"):
        importlib.import_module(name)


def test_import_paths_are_found_wherever_they_stand():
    """As a model or task is named, and as a patch metric is: as text with arguments, or as a mapping."""
    settings = {"patches": {"k": 4, "metric": "pack.metric:Metric('wind', stretch=6)"}, "depth": [2, "a b", "c:\\d"]}
    assert [*import_paths(settings)] == ["pack.metric:Metric"]
    assert [*import_paths(("other:f", {"metric": {"name": "pack:Metric", "field": "wind"}}))] == [
        "other:f",
        "pack:Metric",
    ]
    assert code_digests("not.imported:Name", "time 12:30") == {}


@pytest.mark.parametrize("name", FILES)
def test_what_runs_counts(folder, name):
    before = code_digests("pack.metric:Metric", {"task": "other:f"})
    assert set(before) == {"pack.metric:Metric", "other:f"}
    path = folder / name
    path.write_text(path.read_text() + "w = 4\n")
    start_anew()
    after = code_digests("pack.metric:Metric", "other:f")
    changed = {path for path in before if before[path] != after[path]}
    owner = {"other.py": {"other:f"}, "pack/unused.py": set()}
    assert changed == owner.get(name, {"pack.metric:Metric"})


@pytest.mark.parametrize("name", ["pack.metric", "pack.near", "lone", "other"])
def test_an_edit_counts_once_it_is_imported(folder, name):
    """Until then the code that runs is the one that was there before."""
    before = code_digests("pack.metric:Metric", "other:f")
    path = folder.joinpath(*name.split(".")).with_suffix(".py")
    path.write_text(path.read_text() + "w = 4\n")
    assert code_digests("pack.metric:Metric", "other:f") == before
    importlib.reload(sys.modules[name])
    assert sys.modules[name].w == 4
    after = code_digests("pack.metric:Metric", "other:f")
    assert {path for path in before if before[path] != after[path]} == {
        "other:f" if name == "other" else "pack.metric:Metric"
    }
