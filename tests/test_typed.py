"""Values against annotations: what is taken, what it becomes, and what is said of the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from pyg_neuralops.typed import Range, arguments, closest, typed

POSITIVE = Annotated[float, Range(0, open=True)]
TAKEN = [
    (3, int, 3),
    (np.int64(3), int, 3),
    (3, float, 3.0),
    (np.float32(0.5), float, 0.5),
    (True, bool, True),
    (Path("a") / "b", str, "a/b"),
    (None, int | None, None),
    (3, int | None, 3),
    (3, POSITIVE | None, 3.0),
    ("x", Literal["x", "y"], "x"),
    (["a", "b"], tuple[str, ...], ("a", "b")),
    ([1, 2.5], Sequence[float], (1.0, 2.5)),
    ((1, 2), list[float], [1.0, 2.0]),
    ([1, "a"], tuple[int, str], (1, "a")),
    ([1, 2], tuple[int, int], (1, 2)),
    ([[1, "a"], [2, "b"]], list[tuple[int, str]], [(1, "a"), (2, "b")]),
    ([1], tuple[int] | None, (1,)),
    ({"a": {"b": [1, None, "c"]}}, Mapping[str, Mapping[str, Any]], {"a": {"b": [1, None, "c"]}}),
    ("reference-grid", bool | str, "reference-grid"),
    (False, bool | str, False),
    (object, type, object),  # an annotation that is not looked into
]
REFUSED = [
    ("3", int, "v='3'; an integer is needed"),
    (3.0, int, "v=3.0; an integer is needed"),
    (True, int, "v=True; an integer is needed"),
    (True, float, "v=True; a finite number is needed"),
    (float("nan"), float, "v=nan; a finite number is needed"),
    (float("inf"), float | None, "v=inf; a finite number is needed"),
    (10**400, float, "a finite number is needed"),
    (1, bool, "v=1; true or false is needed"),
    (1, str, "v=1; text is needed"),
    (b"a", str, "v=b'a'; text is needed"),
    (None, int, "v=None; an integer is needed"),
    (0, POSITIVE, "v=0.0; it must be above 0"),
    (-1, Annotated[int, Range(0)] | None, "v=-1; it must be at least 0"),
    (2.0, Annotated[float, Range(0, 1)], "v=2.0; it must be at most 1"),
    ("z", Literal["x", "y"], "v='z'; choose from ['x', 'y']"),
    ("chanel", Literal["channel", "none"], "; did you mean 'channel'?"),
    ("lrsa", tuple[str, ...], "v='lrsa'; a list is needed"),
    (["a", 1], tuple[str, ...], "v[1]=1; text is needed"),
    ([1, 2, 3], tuple[int, int], "v=[1, 2, 3]; a list of 2 is needed"),
    ([1], tuple[int, str], "v=[1]; a list of 2 is needed"),
    (["a", 1], tuple[int, str], "v[0]='a'; an integer is needed"),
    ([1, "a"], list[int], "v[1]='a'; an integer is needed"),
    (3, Mapping[str, Any], "v=3; a table of names and values is needed"),
    ({1: 2}, Mapping[str, Any], "a table of names and values is needed"),
    ({"a": object}, Mapping[str, Any], "v.a=<class 'object'> is a type; a number, text, a list or a table is needed"),
    ({"a": [1.0, float("nan")]}, Mapping[str, Any], "v.a[1]=nan; a finite number is needed"),
    (1.5, bool | str, "v=1.5; true or false or text is needed"),
    ("x" * 10**6, int, "an integer is needed"),
]


@pytest.mark.parametrize(("value", "hint", "expected"), TAKEN, ids=str)
def test_what_fits_becomes_what_is_declared(value, hint, expected):
    found = typed(value, hint, "v")
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(("value", "hint", "message"), REFUSED, ids=[message for *_, message in REFUSED])
def test_what_does_not_fit_is_named(value, hint, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        typed(value, hint, "v")
    assert message in str(error.value)
    assert len(str(error.value)) < 200


class Base:
    def __init__(self, size: int, *, rate: float = 0.5, names: tuple[str, ...] = ()):
        pass


class Derived(Base):
    def __init__(self, depth: int = 2, **options: Any):
        super().__init__(**options)


def test_arguments_are_those_of_the_constructors_that_receive_them():
    assert arguments(Derived, {"depth": 3, "size": 4, "rate": 1, "names": ["a"]}, "it") == {
        "depth": 3,
        "size": 4,
        "rate": 1.0,
        "names": ("a",),
    }
    assert arguments(lambda a, b=2: None, {"a": "x"}, "it") == {"a": "x"}
    assert arguments(lambda **options: None, {"a": "x"}, "it") == {"a": "x"}
    for function, given, message in (
        (Derived, {"size": 1, "rat": 1}, r"it has no argument \['rat'\]; choose from .*; did you mean 'rate'\?"),
        (Derived, {"size": "1"}, "it: size='1'; an integer is needed"),
        (Derived, {"depth": 1}, "it needs the argument 'size'"),
        (object, {"a": 1}, r"it has no argument \['a'\]"),
    ):
        with pytest.raises(ValueError, match=message):
            arguments(function, given, "it")
    with pytest.raises(ValueError, match="no argument"):
        arguments(Base, {"size": 1, "names": []}, "it", reserved=("names",))


def test_the_closest_name_is_offered_only_where_one_is_close():
    assert closest("trian", ["train", "data"]) == "; did you mean 'train'?"
    assert closest("xyz", ["train", "data"]) == ""
