"""Samples a second of data-parallel training by two processes of one thread, over one, from interleaved runs.

Run: python benchmarks/several_devices.py [--rounds 3] [--model la2former]
writes benchmarks/results/several_devices.json. The data, batch and size of ``make compare``, by the command line.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from pyg_neuralops.study.provenance import environment, write_json

SAMPLES, EPOCHS = 480, 3
RESULT = Path(__file__).parent / "results" / "several_devices.json"


def rate(devices: int, model: str, root: Path, out: Path) -> float:
    """Samples a second, of all epochs but the first."""
    words = f"train --dataset darcy-irregular --num-samples {SAMPLES} --points 400 --model {model} --batch-size 4"
    words += f" --hidden-channels 48 --num-layers 4 --epochs {EPOCHS} --accelerator cpu --devices {devices}"
    command = [sys.executable, "-m", "pyg_neuralops", *words.split(), "--root", str(root), "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    result = json.loads((out / "result.json").read_text())
    rows = result["history"]
    return result["data"]["sizes"]["train"] * (len(rows) - 1) / (rows[-1]["seconds"] - rows[0]["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="la2former")
    options, start = parser.parse_args(), time.perf_counter()
    rates: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds):
            for devices, found in rates.items():
                out = Path(folder) / f"{number}-{devices}"
                found.append(rate(devices, options.model, Path(folder) / "data", out))
                print(f"round {number + 1}, {devices} processes: {found[-1]:.1f} samples a second", flush=True)
    ratios = [two / one for one, two in zip(rates[1], rates[2], strict=True)]
    report: dict[str, Any] = {
        "command": sys.argv,
        "parameters": vars(options),
        "samples_per_second": rates,
        "ratios": ratios,
        "median_ratio": statistics.median(ratios),
        "wall_seconds": time.perf_counter() - start,
        "environment": environment(),
    }
    write_json(RESULT, report)
    print(f"two processes over one: {statistics.median(ratios):.2f} (median of {len(ratios)})")


if __name__ == "__main__":
    main()
