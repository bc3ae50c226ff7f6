"""Interleaved timings, peak memory of a call, and a description of the machine."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import torch
import torch_geometric

RESULTS = Path(__file__).parent / "results"


def interleaved(cases: dict[str, Callable[[], Any]], rounds: int = 7) -> dict[str, np.ndarray]:
    """Seconds of every case in every round; each round runs all cases once, so that load hits all alike."""
    for call in cases.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, call in cases.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return {name: np.array(values) for name, values in seconds.items()}


def table(seconds: dict[str, np.ndarray], base: str) -> list[dict[str, Any]]:
    """Median and best milliseconds, and the median over rounds of each case's time over that of ``base``."""
    return [
        {
            "case": name,
            "median_ms": round(1e3 * float(np.median(times)), 1),
            "best_ms": round(1e3 * float(times.min()), 1),
            "ratio": round(float(np.median(times / seconds[base])), 2),
        }
        for name, times in seconds.items()
    ]


def show(title: str, rows: list[dict[str, Any]], base: str) -> None:
    print(f"\n{title} (ratio: time over that of '{base}')", flush=True)
    for row in rows:
        print(f"  {row['case']:44s} {row['median_ms']:9.1f} ms  best {row['best_ms']:9.1f}  ratio {row['ratio']:6.2f}")


def peak_mib(call: Callable[[], Any]) -> float:
    """Peak resident memory of one call above what was resident before it (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    before = _status("VmRSS")
    call()
    return (_status("VmHWM") - before) / 1024


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1])


def in_fresh_process(*arguments: str) -> float:
    """The number that this program prints last when it is run again with other arguments."""
    run = subprocess.run([sys.executable, sys.argv[0], *arguments], capture_output=True, text=True, check=True)
    return float(run.stdout.split()[-1])


def machine() -> dict[str, Any]:
    """What the numbers depend on."""
    model = platform.processor()
    if Path("/proc/cpuinfo").exists():
        names = [x for x in Path("/proc/cpuinfo").read_text().splitlines() if x.startswith("model name")]
        model = names[0].split(":")[1].strip() if names else model
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torch_geometric": torch_geometric.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
    }


def write(name: str, content: dict[str, Any]) -> None:
    """``results/<name>.json`` with the command and the machine."""
    RESULTS.mkdir(exist_ok=True)
    command = " ".join(["python", *sys.argv])
    text = json.dumps({"command": command, "machine": machine(), **content}, indent=1)
    (RESULTS / f"{name}.json").write_text(text + "\n")
