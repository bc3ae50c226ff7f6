"""What a result must carry to be made again: versions, machine, code."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from ..data import replacing

PACKAGES = ("torch", "torch-geometric", "lightning", "numpy", "scipy", "pyg-neuralops")


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


def _git() -> dict[str, Any] | None:
    def ask(*words: str) -> str:
        return subprocess.run(["git", *words], capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        return {"hash": ask("rev-parse", "HEAD"), "dirty": bool(ask("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def write_json(path: Path, value: Any) -> None:
    """Write ``value``, whole or not at all.

    Raises:
        ValueError: if it holds NaN or infinity, which are no JSON.
    """
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The content of ``path``.

    Raises:
        ValueError: if it is not JSON; says what to remove. A result can be made again from the run beside it.
    """
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        gone = path if path.name == "result.json" else path.parent
        raise ValueError(f"{path} is damaged ({error}); remove {gone} to go on") from None


def file_digest(path: str | os.PathLike[str]) -> str:
    """Twelve hex digits of a file's content.

    Raises:
        FileNotFoundError: if there is no such file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no file {path}")
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]
