"""Run as a script: trainings by several processes, as torchrun starts them, and what each of them ends with.

usage: several.py FOLDER; prints JSON. Children are forked so that torch is imported once.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from toy import Toy, toy_run, toy_samples

from pyg_neuralops.data import mesh_loader
from pyg_neuralops.engine import SteadyField, evaluate, fit
from pyg_neuralops.engine.loop import Loop
from pyg_neuralops.engine.ranks import Ranks
from pyg_neuralops.models import build_model
from pyg_neuralops.normalize import normalized
from pyg_neuralops.testing import random_mesh

OPTIONS = dict(lr=1e-2, ema=0.9, progress=False, accelerator="cpu")


def plain_run(**loader):
    """Without dropout, which every rank draws for itself."""
    model, train, val = toy_run(**loader)
    model.model.net[2].p = 0.0
    return model, train, val


def la2former_run():
    samples = [random_mesh(20 + 3 * seed, seed=seed) for seed in range(9)]
    torch.manual_seed(0)
    inner = build_model("la2former", in_channels=2, out_channels=1, hidden_channels=16, num_layers=2, patches=6)
    samples = [inner.prepare(sample) for sample in samples]
    loader = mesh_loader(samples, 4, shuffle=True)  # the last batch of an epoch has one sample
    return normalized(inner, samples), loader, mesh_loader(samples, 2)


class Unused(Toy):
    """Has a weight that is never used, which weight decay must leave alone."""

    def __init__(self, in_channels, out_channels, pos_dim=2, hidden_channels=16):
        super().__init__(in_channels, out_channels, pos_dim, hidden_channels)
        self.net[2].p = 0.0
        self.idle = torch.nn.Linear(3, 3)


class Normed(Toy):
    """With running statistics, which each rank takes of its own part of a batch."""

    def __init__(self, in_channels, out_channels, pos_dim=2, hidden_channels=16):
        super().__init__(in_channels, out_channels, pos_dim, hidden_channels)
        self.net[2] = torch.nn.BatchNorm1d(hidden_channels)


def normed_run():
    train, val = toy_samples(24, 1), toy_samples(8, 2)
    torch.manual_seed(0)
    return normalized(Normed(1, 1), train), mesh_loader(train, 4, shuffle=True), mesh_loader(val, 2)


def shuffled_run():
    model, train, val = plain_run()
    return model, train, mesh_loader(val.dataset.samples, 2, shuffle=True)


class Gaps(SteadyField):
    """Some samples have no loss."""

    def loss(self, prediction, item):
        found = super().loss(prediction, item)
        return torch.where(item.ptr.diff() % 3 == 0, torch.nan, found)


def gaps_run():
    samples = toy_samples(11, 1)
    torch.manual_seed(0)
    return normalized(Unused(1, 1), samples), mesh_loader(samples, 4, shuffle=True), mesh_loader(samples, 3)


def torchrun(rank: int, size: int, port: int) -> dict[str, str]:
    """What torchrun tells a process."""
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "test", "GROUP_RANK": "0"}
    return where | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size)}


def slurm(rank: int, size: int, port: int) -> dict[str, str]:
    """What srun tells a task, each on a machine of its own."""
    job = {"SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "train", "SLURM_NODELIST": "127.0.0.1", "MASTER_ADDR": "127.0.0.1"}
    job |= {"MASTER_PORT": str(port), "SLURM_NNODES": str(size), "SLURM_NTASKS_PER_NODE": "1", "SLURM_LOCALID": "0"}
    return job | {"SLURM_NTASKS": str(size), "SLURM_PROCID": str(rank), "SLURM_NODEID": str(rank)}


def several(size: int, work, *, killed: int | None = None, launched=torchrun) -> list:
    """``work(rank)`` in ``size`` processes; what each returns, or its error. One that is killed takes all with it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children, pipes = [], []
    for rank in range(size):
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            if size > 1:
                os.environ |= launched(rank, size, port)
            try:
                found = work(rank)
            except Exception as error:  # noqa: BLE001
                found = f"{type(error).__name__}: {error}"
            os.write(write, json.dumps(found).encode())
            os.close(write)
            os._exit(0)
        os.close(write)
        children.append(pid)
        pipes.append(read)
    if killed is not None:  # as torchrun does
        os.waitpid(children[killed], 0)
        for rank, pid in enumerate(children):
            if rank != killed:
                os.kill(pid, signal.SIGKILL)
    found = [json.loads(os.fdopen(pipe).read() or "null") for pipe in pipes]
    for rank, pid in enumerate(children):
        if rank != killed:
            os.waitpid(pid, 0)
    return found


def training(make, out, rank=0, *, lonely=False, dies=None, **options):
    """A function of the rank that trains; ``dies`` = (rank, step) at which one is killed."""

    def work(rank):
        torch.set_num_threads(1)
        if lonely and rank:  # whoever else writes fails
            os.replace = os.unlink = None
        if dies is not None and rank == dies[0]:
            step = Loop.step

            def fatal(self, pieces):
                if self.steps == dies[1]:
                    os.kill(os.getpid(), signal.SIGKILL)
                return step(self, pieces)

            Loop.step = fatal
        model, train, val = make()
        task = Gaps() if make is gaps_run else None
        done = fit(model, train, val, out=out, task=task, **{**OPTIONS, **options})
        weights = torch.cat([weight.detach().flatten() for weight in model.parameters()]).tolist()
        rows = [{name: row[name] for name in ("epoch", "batches", "lr", "loss", "val")} for row in done.history]
        return {"rows": rows, "weights": weights, "best": done.best_epoch, "resumed": done.resumed}

    return work


def other_data(rank):
    model, train, val = plain_run()
    if rank == 1:
        train.dataset[3].y[0] += 1
    return training(lambda: (model, train, val), Path(sys.argv[1]) / "other", epochs=1)(rank)


def broken_sample(rank):
    model, train, val = plain_run()
    if rank == 1:
        val.dataset[2].x[0] = float("nan")
    return training(lambda: (model, train, val), Path(sys.argv[1]) / "broken", epochs=1)(rank)


def scored(rank):
    from pyg_neuralops.engine.machine import make_fabric
    from pyg_neuralops.recipe import FitRecipe

    fabric = make_fabric(FitRecipe(epochs=1, accelerator="cpu"))
    fabric.launch()
    model, _, val = plain_run()
    return {name: values.tolist() for name, values in evaluate(model, val, ranks=Ranks(fabric)).by_name.items()}


if __name__ == "__main__":
    out = Path(sys.argv[1])
    report, start = {}, time.perf_counter()
    ragged = lambda: plain_run(max_nodes=30)  # noqa: E731
    for name, make, more in (
        ("ragged", ragged, {"steps": 20}),
        ("la2former", la2former_run, {"steps": 20, "lr": 1e-3}),
        # Double, as a weight whose true gradient is zero takes steps of the size of lr from rounding alone.
        ("muon", la2former_run, {"steps": 20, "optimizer": "muon", "precision": "64-true"}),
        ("gaps", gaps_run, {"steps": 20, "weight_decay": 0.1}),
    ):
        for size, parts in ((1, 1), (2, 1), (3, 1), (1, 3), (2, 2)):
            folder = out / f"{name}-{size}-{parts}"
            report[f"{name} {size} {parts}"] = several(
                size, training(make, folder, lonely=True, accumulate=parts, **more)
            )
    whole = training(toy_run, out / "whole", epochs=4)
    report["whole"] = several(2, whole)
    for rank in (0, 1):
        folder = out / f"killed{rank}"
        several(2, training(toy_run, folder, epochs=4, dies=(rank, 15)), killed=rank)
        report[f"killed {rank}"] = several(2, training(toy_run, folder, epochs=4))
    for size in (1, 3):
        folder = out / f"moved{size}"
        several(2, training(ragged, folder, epochs=4, dies=(0, 20)), killed=0)
        report[f"moved {size}"] = several(size, training(ragged, folder, epochs=4))
    report["stayed"] = several(1, training(ragged, out / "stayed", epochs=4))
    nodes = training(ragged, out / "slurm", epochs=4, num_nodes=2, devices=1)
    report["slurm"] = several(2, nodes, launched=slurm)
    report["statistics"] = several(2, training(normed_run, out / "statistics", epochs=3))
    several(2, training(normed_run, out / "statistics2", epochs=3, dies=(1, 10)), killed=1)
    report["statistics, killed"] = several(2, training(normed_run, out / "statistics2", epochs=3))
    shuffled = [several(size, training(shuffled_run, out / f"shuffled{size}", epochs=2)) for size in (1, 2)]
    report["shuffled"] = shuffled[0] + shuffled[1]
    report["seconds"] = several(2, training(ragged, out / "seconds", seconds=0.5))
    report["other data"], report["broken"] = several(2, other_data), several(2, broken_sample)
    report["scored"] = [several(1, scored)[0], *several(2, scored)]
    sys.stdout.write(json.dumps(report))
