"""A fingerprint changes with everything that a transform does, and with nothing else."""

import functools
import importlib
import subprocess
import sys
import threading
import types

import numpy as np
import pytest
import torch

from pyg_neuralops.data import HDF5Meshes, fingerprint, write_hdf5
from pyg_neuralops.testing import random_mesh
from pyg_neuralops.transforms import KNNPatches

SOURCE = """
import functools, os
import torch
import {name}_helper
from {name}_helper import factor, helper

CONSTANT = 2
TABLE = {{"a": [1, 2]}}

class Base:
    attribute = 3
    def step(self, value):
        return value + 1

class Transform(Base):
    def __init__(self):
        self.value = 1.5
    def __call__(self, data):
        return self.step(data)

@functools.lru_cache
def kept(value):
    return value * 3

@torch.no_grad()
def decorated(data):
    return data * CONSTANT

def local(data):
    from {name}_late import late
    return late(data)

def one(data):
    return helper(factor * data.abs()) + CONSTANT + kept(TABLE["a"][0])

def two(data):
    return [(lambda value: {name}_helper.deep(value) * 4)(data) for _ in range(2)]

def even(n):
    return n == 0 or odd(n - 1)

def odd(n):
    return n != 0 and even(n - 1)
"""
HELPER = """
factor = 5
def inner(value):
    return value + 6
def helper(value):
    return inner(value)
def deep(value):
    return value - 7
def unused(value):
    return value
"""
LATE = """
def late(value):
    return value + 8
"""


@pytest.fixture
def build(tmp_path, monkeypatch):
    """Makes modules from the sources, after a replacement, under names of their own."""
    monkeypatch.syspath_prepend(tmp_path)
    made = []

    def make(old="", new=""):
        name = "alike"  # the same for all: one edited file
        for text, part in ((SOURCE.format(name=name), ""), (HELPER, "_helper"), (LATE, "_late")):
            (tmp_path / f"{name}{part}.py").write_text(text.replace(old, new) if old else text)
            sys.modules.pop(f"{name}{part}", None)
        importlib.invalidate_caches()
        made.append(importlib.import_module(name))
        return made[-1]

    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two versions of one second and one size
    yield make
    for part in ("", "_helper", "_late"):
        sys.modules.pop(f"alike{part}", None)


EDITS = [
    ("one", ".abs()", ".exp()"),
    ("one", "CONSTANT = 2", "CONSTANT = 3"),
    ("one", '"a": [1, 2]', '"a": [9, 2]'),
    ("one", "factor = 5", "factor = 6"),
    ("one", "value + 6", "value - 6"),
    ("one", "value * 3", "value * 4"),
    ("two", "* 4)", "* 5)"),
    ("two", "value - 7", "value - 8"),
    ("Transform", "attribute = 3", "attribute = 4"),
    ("Transform", "value + 1", "value + 2"),
    ("Transform", "self.step(data)", "self.step(data.x)"),
    ("decorated", "data * CONSTANT", "data - CONSTANT"),
    ("decorated", "CONSTANT = 2", "CONSTANT = 3"),
    ("decorated", "torch.no_grad", "torch.enable_grad"),
    ("local", "value + 8", "value + 9"),
    ("even", "n != 0 and", "n != 1 and"),
]


@pytest.mark.parametrize(("name", "old", "new"), EDITS)
def test_an_edit_of_what_a_transform_runs_is_seen(build, name, old, new):
    def key(module):
        part = getattr(module, name)
        return fingerprint([part() if isinstance(part, type) else part])

    before = key(build())
    assert key(build()) == before  # the same source, read again
    assert key(build(old, new)) != before
    assert key(build("def unused(value):", "# a comment\ndef other(value):")) == before


def test_a_changed_global_of_the_running_module_is_seen(build):
    module = build()
    before = fingerprint(module.one)
    module.CONSTANT = torch.ones(3)
    after = fingerprint(module.one)
    module.CONSTANT[1] = 2
    assert len({before, after, fingerprint(module.one)}) == 3


class Holder:
    def __init__(self, value):
        self.value = value

    def method(self, data):
        return data


class Slots:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


def test_values_however_deep_are_seen():
    def scale(data, factor, *, shift=0):
        return factor * data + shift

    def closure(factor):
        return lambda data: factor * data

    long = np.zeros(5000)
    other = long.copy()
    other[2500] = 1
    masked = np.ma.MaskedArray([1, 2], mask=[0, 1])
    values = [
        *[None, True, 1, 1.0, -0.0, 0.0, "1", b"1", (1,), [1], {1}, {1: 1}, 1j, float("nan"), ...],
        *[KNNPatches(3), KNNPatches(4), [KNNPatches(3)]],
        *[functools.partial(scale, factor=2), functools.partial(scale, factor=3), scale],
        *[closure(2), closure(3), lambda d: d, lambda d: d.x, lambda d: d.y, lambda d: (lambda e: e + 1)(d)],
        *[Holder(2), Holder(3), Holder(2).method, Holder(3).method, Slots(1), Slots(2)],
        *[Holder(long), Holder(other), Holder(torch.from_numpy(long)), masked, np.array([1, 2])],
        *[long, other, long.astype("f4"), long.reshape(2, -1), torch.zeros(3), torch.zeros(3).bfloat16()],
        *[torch.eye(3).to_sparse(), torch.ones(3, 3).to_sparse(), torch.float32, torch.device("cpu"), np.dtype("f4")],
        *[len, abs, torch.relu, torch.nn.functional.relu, torch.abs, np.abs, np.exp, str.upper, [1].append, [2].append],
        *[torch.nn.Linear(2, 2), torch.nn.Linear(2, 2), int, float, Holder, Slots, types, np, torch],
        *[np.random.default_rng(0), np.random.default_rng(1), range(3), range(4), slice(1), slice(2)],
    ]
    keys = [fingerprint(value) for value in values]
    assert keys == [fingerprint(value) for value in values]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 16 for key in keys)


def test_cycles_end():
    one, two = Holder(1), Holder(1)
    one.value, two.value = [one], [two, 1]
    assert fingerprint(one) == fingerprint(one) != fingerprint(two)


SCRIPT = """
import collections, dataclasses, enum, logging, re, torch
from pyg_neuralops.data import fingerprint
from pyg_neuralops.transforms import KNNPatches
LOG = logging.getLogger("x")
Colour = enum.Enum("Colour", "RED BLUE")
NAMES = {"red", "green", "blue", "black"}

@dataclasses.dataclass
class Transform:
    a: int = 1
    b: list = dataclasses.field(default_factory=list)
    patches: object = KNNPatches(3)
    def __call__(self, data):
        LOG.info("%s", {"x", "y", "z"} & NAMES)
        return re.sub("a", "b", data), Colour.RED, collections.OrderedDict()

print(fingerprint([Transform(), lambda data: data.x in {"x", "y", "z"}]))
"""


def test_another_process_finds_the_same():
    runs = [
        subprocess.run([sys.executable, "-c", SCRIPT], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True)
        for seed in ("1", "2")
    ]
    assert runs[0].stdout == runs[1].stdout, runs[0].stderr
    assert len(runs[0].stdout.strip()) == 16


def test_what_cannot_be_described_is_never_answered_from_a_cache(tmp_path, caplog):
    lock, seen = threading.Lock(), []

    def transform(data):
        with lock:
            data.x = data.x + 1
            seen.append(1)
        return data

    keys = {fingerprint(transform) for _ in range(3)}
    assert len(keys) == 3
    assert all(key.startswith("once") for key in keys)
    assert "a lock cannot be described: what depends on it is computed anew each time" in caplog.text
    sample = random_mesh(20)
    path = write_hdf5(tmp_path / "m.h5", [sample])
    for count in (1, 2):
        found = HDF5Meshes(path, pre_transform=transform)[0]
        assert torch.equal(found.x, sample.x + 1)
        assert len(seen) == count
    assert not list(tmp_path.rglob("*.pt"))
