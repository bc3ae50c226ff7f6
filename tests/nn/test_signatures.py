"""How layers are called: by name after what they are about, and with the arguments that their docstrings tell."""

import importlib
import inspect
import pkgutil
import re

import pytest
from torch import nn

import pyg_neuralops.models
import pyg_neuralops.nn

MODULES = [
    importlib.import_module(f"{package.__name__}.{module.name}")
    for package in (pyg_neuralops.nn, pyg_neuralops.models)
    for module in pkgutil.iter_modules(package.__path__)
]
LAYERS = {
    found.__name__: found
    for module in MODULES
    for found in vars(module).values()
    if isinstance(found, type) and issubclass(found, nn.Module) and found.__module__ == module.__name__
}

OTHERS = {"External", "_UNet"}  # around a module of any sizes; with the constructor of PyG's class


@pytest.mark.parametrize("name", sorted(set(LAYERS) - OTHERS))
def test_numbers_are_given_by_name(name):
    positional = [p for p in inspect.signature(LAYERS[name]).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert all(p.default is p.empty for p in positional)
    assert [p.name for p in positional[1:]] in ([], ["out_channels"], ["mixers"], ["mixer"])


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_docstrings_tell_of_no_argument_that_is_not_there(name):
    text = re.search(r"^Args:\n((?: {4}.*\n)+)", inspect.cleandoc(LAYERS[name].__doc__ or "") + "\n", re.MULTILINE)
    told = set(re.findall(r"(?:^ {4}|\. )(\w+):", text[1], re.MULTILINE)) if text else set()
    assert told - {"others"} <= set(inspect.signature(LAYERS[name]).parameters)
