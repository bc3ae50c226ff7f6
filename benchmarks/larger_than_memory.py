"""Training on a file that is larger than the memory that is used: 20,000 point clouds of 5,000 points.

Run: python benchmarks/larger_than_memory.py [--samples 20000] [--points 5000] [--seconds 60] [--file clouds.h5]
writes the file (2 GB), checks all of it, fits normalisers to all training samples, trains for ``--seconds`` and scores
32 samples; benchmarks/results/larger_than_memory.json gets seconds, peak memory of the process and samples a second of
each of these stages. The peak includes what Python and its libraries take. A ``--file`` that is there is not written
again.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from timing import write

from pyg_neuralops.data import MeshData, write_hdf5
from pyg_neuralops.engine import peak_memory, reset_peak_memory
from pyg_neuralops.models import build_model
from pyg_neuralops.study import DataChoice, Recipe, load_splits
from pyg_neuralops.study.fitted import fitted
from pyg_neuralops.study.provenance import environment
from pyg_neuralops.study.run import prepare, train_run

HELD_OUT = 64
"""Samples of val and test together; the rest is trained on."""
MODEL: dict[str, Any] = {"hidden_channels": 16, "num_layers": 1, "heads": 2, "patches": {"k": 8}}
MODES = {"x": "channel", "y": "channel", "pos": "channel"}


def clouds(samples: int, points: int) -> Iterator[MeshData]:
    """Random points in a square, x [N, 2] a wave of random direction, y [N, 1] a function of it; float32."""
    generator = torch.Generator().manual_seed(0)
    for index in range(samples):
        pos = torch.rand(points, 2, generator=generator)
        x = (6 * pos @ torch.randn(2, 2, generator=generator)).sin()
        split = "train" if index < samples - HELD_OUT else ("val", "test")[index % 2]
        yield MeshData(pos=pos, x=x, y=x[:, :1] * pos[:, 1:], split=split)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--points", type=int, default=5_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--file", default=None)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        measure(args, Path(folder))


def measure(args: argparse.Namespace, folder: Path) -> None:
    path, stages, begin = Path(args.file or folder / "clouds.h5"), {}, time.perf_counter()

    def stage(name: str, call: Callable[[], Any], samples: int) -> Any:
        reset_peak_memory()
        start, busy = time.perf_counter(), time.process_time()
        found = call()
        seconds = time.perf_counter() - start
        stages[name] = {
            "seconds": round(seconds, 1),
            "cpu_seconds": round(time.process_time() - busy, 1),
            "samples_per_second": round(samples / seconds, 1),
            "peak_memory_mib": round(peak_memory() / 2**20),
        }
        print(name, stages[name], flush=True)
        return found

    count, choice = args.samples, DataChoice(dataset=str(path), root=str(folder / "cache"), on_disk=True)
    recipe = Recipe(seconds=args.seconds, batch_size=8, accelerator="cpu")
    if not path.exists():
        stage("write", lambda: write_hdf5(path, clouds(count, args.points)), count)
    size = path.stat().st_size
    stage("check all samples", lambda: load_splits(choice), count)
    splits = stage("load again", lambda: load_splits(choice), count)
    prepared = prepare(build_model("la2former", **splits.shape, **MODEL), splits)
    model = build_model("la2former", **splits.shape, **MODEL)
    stage("fit normalisers", lambda: fitted(model, prepared.train, splits.task, MODES), len(splits.train))

    def train() -> dict[str, Any]:
        return train_run(splits, prepared, "la2former", MODEL, recipe, 0, folder / "run", progress=False)

    result = stage("train and score", train, HELD_OUT)
    batches = sum(row["batches"] for row in result["history"])
    del stages["train and score"]["samples_per_second"]
    stages["train and score"] |= {
        "batches": batches,
        "train_seconds": round(result["train_seconds"], 1),
        "samples_per_second": round(8 * batches / result["train_seconds"], 1),
        "test_error": result["test"]["mean"],
    }
    files = [file for file in folder.rglob("*.pt") if "prepared" in str(file.parent)]
    kept = sum(file.stat().st_size for file in files)
    write(
        "larger_than_memory",
        {
            "parameters": {**vars(args), "model": "la2former", **MODEL, "batch_size": 8},
            "file_bytes": size,
            "prepared": {"files": len(files), "bytes": kept},
            "peak_memory_mib": max(found["peak_memory_mib"] for found in stages.values()),
            "stages": stages,
            "git": environment()["git"],
            "wall_seconds": round(time.perf_counter() - begin, 1),
        },
    )


if __name__ == "__main__":
    main()
