"""Fault injection: damaged files, killed processes, nonsense as input. Counts what was refused, unharmed and wrong.

usage: reliability.py [--damages 400] [--kills 200] [--examples 5000] [--out results/reliability.json]; a few minutes.

- *Damaged*: files of every kind that the library reads back, each with a flipped bit, cut off, or with a block of
  zeros, a few hundred in all. The reader must refuse it with an error that names the file, or give what was written
  (the damage hit bytes that mean nothing).
- *Killed*: trainings die in place of a rename of a file or at a random time, generations at a random time; the last
  start must give what a run that was never killed gives, to the last digit.
- *Nonsense*: :mod:`fuzz`, arbitrary input for the public functions.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fuzz import fuzz
from timing import machine

from pyg_neuralops.checkpoint import load_model
from pyg_neuralops.data import HDF5Meshes, mesh_loader, read_hdf5, write_hdf5
from pyg_neuralops.datasets import Darcy
from pyg_neuralops.engine import fit
from pyg_neuralops.models import build_model
from pyg_neuralops.normalize import normalized
from pyg_neuralops.study import Comparison, compare
from pyg_neuralops.testing import random_mesh

CLEAR = (ValueError, OSError)
SIZE = {"num_samples": 24, "resolution": 11, "refine": 1, "workers": 0}
RUN = {"epochs": 6, "progress": False, "ema": 0.9}


def samples(count: int = 8) -> list:
    torch.manual_seed(0)
    found = [random_mesh(12 + n, seed=n) for n in range(count)]
    for number, sample in enumerate(found):
        sample.velocity, sample.theta = torch.rand(sample.num_nodes, 2), torch.rand(1, 2)
        sample.split = ("train", "train", "val", "test")[number % 4]
    return found


def content(value: Any) -> Any:
    """Something comparable with ``==`` that holds all that ``value`` says."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), value.detach().cpu().contiguous().numpy().tobytes()
    if isinstance(value, torch.nn.Module):
        return [(name, content(tensor)) for name, tensor in value.state_dict().items()]
    if isinstance(value, (list, tuple)):
        return [content(item) for item in value]
    return value if not hasattr(value, "to_dict") else [(k, content(v)) for k, v in sorted(value.to_dict().items())]


def damaged(whole: bytes, rng: np.random.Generator) -> bytes:
    """One of three damages at a random place."""
    kind, place = rng.integers(3), int(rng.integers(len(whole)))
    if kind == 0:
        return whole[:place] + bytes([whole[place] ^ (1 << int(rng.integers(8)))]) + whole[place + 1 :]
    if kind == 1:
        return whole[:place]
    size = int(rng.integers(1, 64))
    return whole[:place] + bytes(len(whole[place : place + size])) + whole[place + size :]


def run_of(folder: Path) -> tuple:
    """A small training that starts from the same weights each time, and its folder."""
    found = samples()
    torch.manual_seed(0)
    model = build_model(
        "la2former", in_channels=found[0].in_channels, out_channels=1, hidden_channels=8, num_layers=1, heads=2
    )
    model = normalized(model, found[:6])
    loaders = mesh_loader(found[:6], 2, shuffle=True), mesh_loader(found[6:], 2)
    return fit(model, *loaders, out=folder, **RUN), model


def readers(folder: Path) -> dict[str, tuple[Path, Callable[[], Any]]]:
    """By kind of file: the file, and what reads it back as a user would."""
    mesh = write_hdf5(folder / "meshes.h5", samples(), names={"theta": ["a", "b"]})
    cached = Path(HDF5Meshes(mesh).processed_paths[0])
    darcy = Darcy(folder / "darcy", split="train", **SIZE)
    raw, processed = Path(darcy.raw_paths[0]), Path(darcy.processed_paths[0])
    run_of(folder / "run")
    best, last = folder / "run" / "best.safetensors", folder / "run" / "last.ckpt"
    settings = {"models": ("lrsa",), "hidden_channels": 8, "num_layers": 1, "epochs": 1, "root": str(folder / "cache")}
    comparison = Comparison(dataset=str(mesh), out=str(folder / "comparison"), **settings)

    def runs() -> Any:
        results = compare(comparison, progress=False)
        return [(run["test"], run["history"]) for run in results["runs"]]

    runs()
    result = folder / "comparison" / "lrsa" / "seed0" / "result.json"
    return {
        "mesh file": (mesh, lambda: read_hdf5(mesh)),
        "cache of a mesh file": (cached, lambda: list(HDF5Meshes(mesh))),
        "generated raw file": (raw, lambda: list(Darcy(folder / "darcy", split="train", force_reload=True, **SIZE))),
        "processed samples": (processed, lambda: list(Darcy(folder / "darcy", split="train", **SIZE))),
        "weights": (best, lambda: load_model(best)),
        "state to go on from": (last, lambda: run_of(folder / "run")[1]),
        "result of a run": (result, runs),
    }


def damage(count: int, rng: np.random.Generator) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    with tempfile.TemporaryDirectory() as place:
        for name, (file, read) in readers(Path(place)).items():
            whole, wanted, counts = file.read_bytes(), content(read()), Counter[str]()
            for _ in range(count):
                file.write_bytes(damaged(whole, rng))
                try:
                    outcome = "unharmed" if content(read()) == wanted else "WRONG"
                except CLEAR as error:
                    outcome = "refused" if file.name in str(error) or str(file.parent) in str(error) else "UNNAMED"
                except Exception as error:  # noqa: BLE001  (whatever is raised is what is counted)
                    outcome = f"UNCLEAR {type(error).__name__}"
                counts[outcome] += 1
                file.write_bytes(whole)
            found[name] = dict(counts)
            print(f"  {name:24} {dict(counts)}", flush=True)
    return found


def forked(work: Callable[[Path], Any], folder: Path, renames: int | None) -> int:
    """Do ``work`` in a process of its own, which dies in place of its n-th rename of a file. -> pid"""
    pid = os.fork()
    if pid:
        return pid
    rename = os.replace

    def fatal(*names: Any, **options: Any) -> None:
        nonlocal renames
        assert renames is not None
        renames -= 1
        if renames == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(*names, **options)

    if renames is not None:
        os.replace = fatal  # type: ignore[assignment]
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115  (until the process ends)
    work(folder)
    os._exit(0)


def kill(count: int, rng: random.Random) -> dict[str, dict[str, int]]:
    """Trainings and generations, killed about five times each until they are done."""
    works = {
        "training": lambda folder: run_of(folder),
        "generation": lambda folder: Darcy(folder, split="train", **SIZE),
    }
    reports = {}
    for name, work in works.items():
        with tempfile.TemporaryDirectory() as place:
            alone = Path(place, "alone")
            start = time.perf_counter()
            wanted = outcome_of(work(alone))
            longest = time.perf_counter() - start
            counts, number = Counter[str](), 0
            while counts["kills"] < count // 2:
                number += 1
                folder = Path(place, str(number))
                for _ in range(5):
                    renames = rng.randint(1, 9) if rng.random() < 0.5 else None
                    pid = forked(work, folder, renames)
                    if renames is None:
                        time.sleep(rng.uniform(0, longest))
                        os.kill(pid, signal.SIGKILL)
                    counts["kills"] += os.waitpid(pid, 0)[1] == signal.SIGKILL
                try:
                    counts["same" if outcome_of(work(folder)) == wanted else "WRONG"] += 1
                except CLEAR as error:
                    print(f"  {name}: {error}")
                    counts["REFUSED"] += 1
                shutil.rmtree(folder)
            reports[name] = dict(counts)
            print(f"  {name:24} {dict(counts)}", flush=True)
    return reports


def outcome_of(value: Any) -> Any:
    """What a work must give again: weights and losses of a run, or samples."""
    if isinstance(value, tuple):
        result, model = value
        return content(model), [{**row, "seconds": None} for row in result.history]
    return content(list(value))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--damages", type=int, default=400)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--examples", type=int, default=5000)
    parser.add_argument("--out", default=str(Path(__file__).parent / "results" / "reliability.json"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    begin = time.perf_counter()
    print("damaged files", flush=True)
    report: dict[str, Any] = {"damaged": damage(-(-asked.damages // 7), np.random.default_rng(0))}
    print("kills", flush=True)
    report["killed"] = kill(asked.kills, random.Random(0))
    print("nonsense", flush=True)
    report["nonsense"] = fuzz(asked.examples)
    report |= {"seconds": round(time.perf_counter() - begin), "command": sys.argv, "machine": machine()}
    Path(asked.out).write_text(json.dumps(report, indent=1) + "\n")
