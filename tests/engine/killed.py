"""Run as a script: a training that is killed again and again, and the same one left alone.

usage: killed.py FOLDER; prints the two histories as JSON. Children are forked so that torch is imported once.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from toy import toy_run

from pyg_neuralops.engine import fit

OPTIONS = dict(epochs=8, ema=0.9, lr=1e-2, progress=False)


def train(out: Path):
    return fit(*toy_run(max_nodes=30), out=out, **OPTIONS)


def child(out: Path, renames: int | None) -> int:
    """Start the training in a process of its own, which dies in place of its n-th rename of a file."""
    pid = os.fork()
    if pid == 0:
        rename = os.replace

        def fatal(*names):
            nonlocal renames
            renames -= 1
            if renames == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            rename(*names)

        if renames is not None:
            os.replace = fatal
        train(out)
        os._exit(0)
    return pid


if __name__ == "__main__":
    torch.set_num_threads(1)
    killed, alone = Path(sys.argv[1]) / "killed", Path(sys.argv[1]) / "alone"
    deaths = 0
    # In the first epoch: before best.next, last.ckpt, best, history.csv; later ones after a resumption.
    for renames in (1, 2, 3, 4, 5, 6, 7, 8):
        deaths += os.waitpid(child(killed, renames), 0)[1] == signal.SIGKILL
    for _ in range(4):
        pid = child(killed, None)
        time.sleep(random.uniform(0.02, 0.12))
        os.kill(pid, signal.SIGKILL)
        deaths += os.waitpid(pid, 0)[1] == signal.SIGKILL
    runs = [train(killed), train(alone)]
    report = {
        "deaths": deaths,
        "histories": [[{**row, "seconds": None} for row in run.history] for run in runs],
        "best": [run.best_epoch for run in runs],
        "resumed": [run.resumed for run in runs],
    }
    sys.stdout.write(json.dumps(report))
