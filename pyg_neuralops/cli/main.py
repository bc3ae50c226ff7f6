"""Parsing, and what becomes of errors: one line on stderr and an exit code."""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import logging
import operator
import os
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import tyro

from .. import __version__
from ..typed import closest
from .compare import Compare
from .data import Data
from .evaluate import Evaluate
from .predict import Predict
from .report import Report
from .study import RunStudy
from .table import Table
from .train import Train

INTERRUPTED, MISTAKE, FAILURE, UNHEARD = 130, 2, 1, 141
Command = Data | Train | Evaluate | Predict | Compare | RunStudy | Table | Report
COMMANDS: dict[str, Any] = {
    "data": Data,
    "train": Train,
    "evaluate": Evaluate,
    "predict": Predict,
    "compare": Compare,
    "study": RunStudy,
    "table": Table,
    "report": Report,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    _open_streams()
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words or os.environ.get("PYG_NEURALOPS_DEBUG", "") not in ("", "0")
    words = [word for word in words if word != "--debug"]
    # Before torch is loaded: with a busy core, threads that spin at every barrier make training 10 to 100 times slower.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    sys.path.append(os.getcwd())  # a user's own models; last, so that no file there hides a package
    command = None
    try:
        command = _parse(words)
        if isinstance(command, int):
            return command
        with _log_to_stderr():
            command.run()
        sys.stdout.flush()
    except KeyboardInterrupt:
        resumes = isinstance(command, (Data, Train, Compare, RunStudy))
        again = "; the same command again goes on from here" if resumes else ""
        print(f"\ninterrupted{again}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # who read our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNHEARD
    except (ValueError, OSError, ImportError, SyntaxError, ArithmeticError, RuntimeError, MemoryError) as error:
        if debug:
            traceback.print_exc()
        mistake = not isinstance(error, (RuntimeError, MemoryError))
        print(f"error: {_one_line(error)}{'' if mistake else ' (--debug shows where)'}", file=sys.stderr)
        return MISTAKE if mistake else FAILURE
    return 0


def _open_streams() -> None:
    """Whoever starts us with a closed stream must not have a file of ours opened in its place."""
    for number, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w" if number else "r"))  # noqa: SIM115  (for good)


def _parse(words: list[str]) -> Command | int:
    """The command, or the exit code when there is nothing to run (help was asked for)."""
    first = words[0] if words else "-h"
    if first == "--version":
        print(f"pyg-neuralops {__version__}")
        return 0
    if first not in COMMANDS and first not in ("-h", "--help"):
        raise ValueError(f"unknown command {first!r}; choose from {list(COMMANDS)}{closest(first, COMMANDS)}")
    given = _given(words)
    kinds: dict[str, Any] = {name: Annotated[kind, tyro.conf.subcommand(name)] for name, kind in COMMANDS.items()}
    if first == "compare" and "recipe" in given:
        if not given["recipe"]:
            raise ValueError("--recipe needs a file")
        default = Compare.from_recipe(given["recipe"], given)
        kinds["compare"] = Annotated[Compare, tyro.conf.subcommand("compare", default=default)]
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(
                functools.reduce(operator.or_, kinds.values()),
                prog="pyg-neuralops",
                description="Neural operators on meshes. A command's own -h tells its options.",
                args=words or ["-h"],
                config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes),
            )
    except SystemExit as end:
        if not end.code:
            return 0
        raise ValueError(_unboxed(said.getvalue())) from None


def _given(words: list[str]) -> dict[str, str]:
    """The options among the words with the value that follows: ``--a-b c`` and ``--a-b=c`` -> ``{"a_b": "c"}``."""
    found = {}
    for word, after in itertools.zip_longest(words, words[1:]):
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            found[name.replace("-", "_")] = value if equals else after or ""
    return found


def _unboxed(text: str) -> str:
    """A parser's message in one line, without its frame and its advice on help."""
    parts: list[list[str]] = [[]]
    for line in (line.strip("│╭╮╰╯| ") for line in text.splitlines()[1:]):
        if line.startswith(("For full help", "Argument helptext")):
            break
        if line and set(line) <= set("─-+"):
            parts.append([])
        else:
            parts[-1].append(line)
    message, *others = [" ".join(" ".join(part).split()) for part in parts if any(part)]
    message = re.sub(r"^Error parsing \S*__tyro\S*: ", "", message)
    refused = re.match(r"Error parsing (\S+): no type matching (\S+) could be .* from \['(.*?)'\]", message)
    if refused:
        message = f"{refused[1]}={refused[3]}; {refused[2]} is needed"
    meant = re.search(r"Perhaps you meant: (--[\w-]+)", " ".join(others))
    return message + (f"; did you mean {meant[1]}?" if meant else "")


def _one_line(error: BaseException) -> str:
    text = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) and error.filename else str(error)
    return " ".join((text or type(error).__name__).split())


@contextlib.contextmanager
def _log_to_stderr() -> Iterator[None]:
    """Within this, what the library reports as it goes is shown."""
    logger, handler = logging.getLogger("pyg_neuralops"), logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
