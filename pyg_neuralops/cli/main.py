"""Parsing, and what becomes of errors: one line on stderr and an exit code."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import tyro

from .compare import Compare
from .data import Data
from .evaluate import Evaluate
from .predict import Predict
from .table import Table
from .train import Train

INTERRUPTED, MISTAKE, FAILURE = 130, 2, 1
Command = Data | Train | Evaluate | Predict | Compare | Table


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
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
    except KeyboardInterrupt:
        resumes = isinstance(command, (Data, Train, Compare))
        again = "; the same command again goes on from here" if resumes else ""
        print(f"\ninterrupted{again}", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, OSError, FloatingPointError, RuntimeError) as error:
        if debug:
            traceback.print_exc()
        mistake = not isinstance(error, RuntimeError)
        print(f"error: {_one_line(error)}{'' if mistake else ' (--debug shows where)'}", file=sys.stderr)
        return MISTAKE if mistake else FAILURE
    return 0


def _parse(words: list[str]) -> Command | int:
    """The command, or the exit code when there is nothing to run (help was asked for)."""
    kind: Any = Annotated[Compare, tyro.conf.subcommand("compare")]
    if words[:1] == ["compare"] and "--recipe" in words[:-1]:
        default = Compare.from_recipe(words[words.index("--recipe") + 1])
        kind = Annotated[Compare, tyro.conf.subcommand("compare", default=default)]
    commands: Any = (
        Annotated[Data, tyro.conf.subcommand("data")]
        | Annotated[Train, tyro.conf.subcommand("train")]
        | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
        | Annotated[Predict, tyro.conf.subcommand("predict")]
        | kind
        | Annotated[Table, tyro.conf.subcommand("table")]
    )
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(
                commands,
                prog="pyg-neuralops",
                description="Neural operators on meshes. A command's own -h tells its options.",
                args=words or ["-h"],
                config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes),
            )
    except SystemExit as end:
        if not end.code:
            return 0
        raise ValueError(_unboxed(said.getvalue())) from None


def _unboxed(text: str) -> str:
    """A parser's message without its frame and its advice on help."""
    lines = [line.strip("│╭╮╰╯ ") for line in text.splitlines()[1:]]
    kept: list[str] = []
    for line in lines:
        if line.startswith(("For full help", "Argument helptext")):
            break
        kept.append("." if line and set(line) == {"─"} else line)
    return re.sub(r"\s*\.(\s*\.)*", ".", " ".join(kept)).strip(" .")


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
