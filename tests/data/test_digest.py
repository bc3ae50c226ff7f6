"""Equal digests mean equal content; what has no content that can be told is refused."""

import enum
import functools
import math
import threading
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from pyg_neuralops.data.digest import content_digest


class Colour(enum.Enum):
    RED, BLUE = 1, 2


@dataclass(frozen=True)
class Point:
    x: float
    name: str = ""


@dataclass
class Slotted:
    __slots__ = ("x",)
    x: float


class Plain:
    def __init__(self, x):
        self.x = x


DIFFERENT = [
    *(Path("a"), Path("b"), range(3), range(4), Fraction(1, 2), Fraction(1, 3), deque([1]), deque([2])),
    *(Colour.RED, Colour.BLUE, Point(1.0), Point(2.0), Point(1.0, "a"), Slotted(1.0), Slotted(2.0), Plain(1), Plain(2)),
    *(1, 1.0, True, "1", b"1", None, 1j, (1, 2), (2, 1), {1}, {2}, {Point(1.0)}, {Point(2.0)}, {"a": 1}, {"a": 2}),
    *(np.arange(2), np.arange(3), np.array(["a"]), np.array(["b"]), np.array("2001", "M8[Y]"), np.float32(1)),
    *(torch.ones(2), torch.ones(2, 1), torch.ones(2).double(), torch.nn.Linear, torch.nn.Bilinear, torch.float32),
]


def test_equal_digests_are_equal_contents():
    digests = [content_digest(value) for value in DIFFERENT]
    assert len(set(digests)) == len(DIFFERENT)
    assert len({content_digest([value]) for value in DIFFERENT}) == len(DIFFERENT)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Path("a"),
        lambda: Point(1.0, "a"),
        lambda: Slotted(1.0),
        lambda: Plain([Colour.RED, {"b": 2, "a": {Fraction(1, 2)}}]),
        lambda: {"a": 1, "b": 2},
    ],
)
def test_equal_contents_have_equal_digests(make):
    assert content_digest(make()) == content_digest(make())
    assert content_digest({"a": 1, "b": 2}) == content_digest({"b": 2, "a": 1})


@pytest.mark.parametrize(
    "value",
    [lambda x: x.abs(), torch.abs, math.exp, len, np.exp, [].append, Plain(1).__init__, torch, threading.Lock()]
    + [(i for i in range(3)), functools.partial(torch.abs), Plain(torch.exp), torch.eye(2).to_sparse()],
)
def test_what_has_no_content_is_refused(value):
    with pytest.raises(ValueError, match=r"field: .*cannot be compared by content"):
        content_digest({"field": value})


def test_what_refers_to_itself_is_refused():
    plain = Plain(1)
    plain.x = plain
    with pytest.raises(ValueError, match="refers to itself"):
        content_digest(plain)
