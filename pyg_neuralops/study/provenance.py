"""What a result must carry to be made again: versions, machine, code."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ..data import file_sha256, replacing

PACKAGES = ("torch", "torch-geometric", "lightning-fabric", "numpy", "scipy", "pyg-neuralops")


def environment() -> dict[str, Any]:
    """Command line, versions, platform, threads, and the git state of the working directory (None outside one)."""
    return {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "git": _git(),
    }


SAFE = {
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.pager": "cat",
    "core.untrackedCache": "false",
    "diff.external": "",
}
"""Settings of git in place of those with which a repository would have programs of its own run."""


def _git() -> dict[str, Any] | None:
    """The commit of the working folder, and whether it was changed; nothing that a repository names is run.

    Submodules are not looked into, nor are objects fetched.
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environ |= {
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "",
        "GIT_NO_LAZY_FETCH": "1",
    }

    def ask(*words: str, settings: Mapping[str, str] = SAFE, codes: Sequence[int] = (0,)) -> str:
        # Not as -c name=value, which ends a name at its first "=".
        given = {"GIT_CONFIG_COUNT": str(len(settings))}
        for index, (name, value) in enumerate(settings.items()):
            given |= {f"GIT_CONFIG_KEY_{index}": name, f"GIT_CONFIG_VALUE_{index}": value}
        done = subprocess.run(
            ["git", "--no-pager", *words],
            capture_output=True,
            text=True,
            timeout=10,
            env=environ | given,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode not in codes:
            raise subprocess.SubprocessError(done.stderr)
        return done.stdout.strip()

    try:
        if ask("config", "--get", "core.hooksPath") != os.devnull:
            return None  # git before 2.31 takes no settings from the environment
        commit = ask("rev-parse", "--verify", "HEAD")
        # Filters (clean, process) run on files that git takes for changed. None at all answers 1.
        filters = ask("config", "--name-only", "-z", "--get-regexp", r"^filter\.", codes=(0, 1)).split("\0")
        safe = SAFE | {name: "false" if name.endswith(".required") else "" for name in filters if name}
        status = ask("status", "--porcelain", "--ignore-submodules=all", settings=safe)
        return {"hash": commit, "dirty": bool(status)}
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def write_json(path: Path, value: Mapping[str, Any], *, of: Any = None) -> None:
    """Write ``value``, whole or not at all, with a checksum; NaN and infinity, which are no JSON, become null.

    Args:
        of: what the file belongs to, anything JSON can hold; :func:`read_json` refuses it for another one.
    """
    content = {**_finite(value), "belongs_to": None if of is None else _checksum(_finite(of))}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps({**content, "checksum": _checksum(content)}, indent=1, allow_nan=False) + "\n")


def read_json(path: Path, *, of: Any = None) -> dict[str, Any]:
    """The content of a file of :func:`write_json`.

    Args:
        of: what it must belong to.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, was edited, or belongs elsewhere; says what to remove.
    """
    way = f"remove {path} to have it made again"
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        content = json.loads(path.read_bytes())
        found = content.pop("checksum")
        known = _checksum(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON ({error}); {way}") from None
    except (AttributeError, KeyError, TypeError):  # a list, a number; JSON without a checksum
        raise ValueError(f"{path} has no checksum: it is of an older version, or foreign; {way}") from None
    if found != known:
        raise ValueError(f"{path} is damaged or was edited (its checksum is not that of its content); {way}")
    belongs_to = content.pop("belongs_to", None)
    if of is not None and belongs_to != _checksum(_finite(of)):
        raise ValueError(f"{path} belongs to another run, from which it was moved or copied; {way}")
    return content


def _finite(value: Any) -> Any:
    """``value`` as JSON holds it, with None for numbers that it does not."""
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _checksum(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def read_result(folder: Path) -> dict[str, Any]:
    """The result of a run that is finished.

    Raises:
        FileNotFoundError, ValueError: as :func:`read_json`, also for the result of another run.
    """
    return read_json(folder / "result.json", of=read_json(folder / "run.json", of="run"))


def file_digest(path: str | os.PathLike[str]) -> str:
    """Twelve hex digits of a file's content.

    Raises:
        FileNotFoundError: if there is no such file.
    """
    return file_sha256(path)[:12]
