"""Names and import paths."""

import collections
import subprocess
import sys

import pytest

from pyg_neuralops.resolve import import_path, resolve

TABLE = {"one": 1, "two": 2}


def test_a_name_of_the_table_wins_and_a_path_is_imported():
    assert resolve("two", TABLE, "number") == 2
    assert resolve("collections:OrderedDict", TABLE, "number") is collections.OrderedDict
    assert resolve("collections:OrderedDict.fromkeys", TABLE, "number")("ab") == {"a": None, "b": None}
    assert resolve(import_path(collections.OrderedDict), {}, "class", dict) is collections.OrderedDict


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("three", r"unknown number 'three'; choose from \['one', 'two'\]"),
        ("nowhere_at_all:Thing", "cannot import number 'nowhere_at_all:Thing'"),
        ("collections:Nothing", "has no 'Nothing'"),
        ("collections:", "not of the form"),
        ("os;system:x", "not of the form"),
        (3, "number=3"),
    ],
)
def test_what_leads_nowhere_is_named(name, said):
    with pytest.raises(ValueError, match=said):
        resolve(name, TABLE, "number")


def test_another_base_class_is_refused():
    with pytest.raises(ValueError, match="no class derived from"):
        resolve("collections:deque", TABLE, "number", dict)


def test_an_error_inside_the_module_is_not_hidden(tmp_path, monkeypatch):
    (tmp_path / "broken_module_of_mine.py").write_text("import not_installed_anywhere\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere"):
        resolve("broken_module_of_mine:Thing", {}, "thing")


def test_a_class_without_a_name_of_its_own_has_no_path():
    class Local:
        pass

    with pytest.raises(ValueError, match="inside a function"):
        import_path(Local)


def test_a_class_in_a_script_has_no_path(tmp_path):
    """Another process has another ``__main__``."""
    script = tmp_path / "script.py"
    script.write_text("from pyg_neuralops.resolve import import_path\nclass Q: pass\nimport_path(Q)\n")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert "ValueError: __main__:Q is defined in a script; move it to a module" in done.stderr
