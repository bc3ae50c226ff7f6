"""Whole models: training steps as ratios of interleaved runs, and memory and time at 100,000 points.

OMP_NUM_THREADS=2 python benchmarks/model_speed.py            # all; writes results/model_speed.json
python benchmarks/model_speed.py transolver                   # against Transolver; writes results/transolver_speed.json
python benchmarks/model_speed.py memory inference 100000      # one figure, in a process of its own
"""

from __future__ import annotations

import sys
import time

import torch
from rivals import ReleasedPhysicsAttention
from timing import in_fresh_process, interleaved, peak_mib, show, table, write
from torch_geometric.data import Batch

from pyg_neuralops.data import MeshData
from pyg_neuralops.models import NeuralOperator, build_model
from pyg_neuralops.nn import Block, limit_memory

SIZE = {"in_channels": 1, "out_channels": 1, "hidden_channels": 128, "num_layers": 8}
CASES = {"16,384 points, batch 1": (16384, 1), "972 points, batch 4": (972, 4)}


def cloud(n: int, seed: int = 0) -> MeshData:
    generator = torch.Generator().manual_seed(seed)
    return MeshData(pos=torch.rand(n, 2, generator=generator), x=torch.rand(n, 1, generator=generator))


def training_step(model: NeuralOperator, data: MeshData) -> None:
    for parameter in model.parameters():
        parameter.grad = None
    model(data).square().mean().backward()


def steps(base: str, models: dict[str, NeuralOperator]) -> dict:
    """Training steps, forward and backward, as ratios to the model ``base``."""
    rows = {}
    for title, (n, count) in CASES.items():
        samples = [cloud(n, seed) for seed in range(count)]
        for model in models.values():  # patches serve all of them
            samples = [model.prepare(sample) for sample in samples]
        batch = Batch.from_data_list(samples)
        cases = {name: lambda m=model, b=batch: training_step(m, b) for name, model in models.items()}
        rows[title] = table(interleaved(cases, rounds=5), base)
        show(f"training step, {title}", rows[title], base)
    return rows


def against_twin() -> dict:
    """LA2Former over its own linear-attention-only twin."""
    return steps("la2former-global", {name: build_model(name, **SIZE) for name in ("la2former-global", "la2former")})


def against_transolver() -> dict:
    """The operators over Transolver with its official structure for irregular meshes, feed-forward ratio 2."""
    names = ("transolver", "lrsa", "la2former", "la2former-lrsa", "flare")
    ratio = {"transolver": {"ratio": 2.0}}
    models = {name: build_model(name, **SIZE, **ratio.get(name, {})) for name in names}
    models["transolver, released operations"] = released_transolver()
    return steps("transolver", models)


def released_transolver() -> NeuralOperator:
    """Our Transolver with the attention of the authors' code in its blocks."""
    model = build_model("transolver", **SIZE, ratio=2.0)
    for block in model.modules():
        if isinstance(block, Block):
            block.mixer = ReleasedPhysicsAttention(SIZE["hidden_channels"])
    return model


@torch.no_grad()
def inference(model: NeuralOperator, data: MeshData) -> None:
    model(data)


def memory(kind: str, n: int, max_mib: float | None) -> float:
    """Peak MiB of one call above the model and its prepared data."""
    torch.manual_seed(0)
    model = build_model("la2former", **SIZE)
    data = model.prepare(cloud(n))
    limit_memory(model, max_mib, checkpoint=kind == "training")
    return peak_mib(lambda: (inference if kind == "inference" else training_step)(model, data))


def scaling() -> dict:
    """Seconds of inference at 10,000 and 100,000 points."""
    model = build_model("la2former", **SIZE)
    data = {n: model.prepare(cloud(n)) for n in (10_000, 100_000)}
    cases = {f"{n} points": lambda d=d: inference(model, d) for n, d in data.items()}
    rows = table(interleaved(cases, rounds=3), "10000 points")
    show("inference", rows, "10000 points")
    return rows


def main() -> None:
    start = time.perf_counter()
    figures = {
        "against its linear-attention-only twin": against_twin(),
        "against transolver": against_transolver(),
        "inference": scaling(),
        "peak MiB at 100,000 points": {},
    }
    for kind in ("inference", "training"):
        for max_mib in ("none", "256"):
            peak = in_fresh_process("memory", kind, "100000", max_mib)
            figures["peak MiB at 100,000 points"][f"{kind}, {max_mib} MiB a layer"] = round(peak)
            print(f"peak of {kind} at 100,000 points, bound {max_mib} MiB a layer: {peak:.0f} MiB", flush=True)
    write("model_speed", {**figures, "seconds": round(time.perf_counter() - start)})


if __name__ == "__main__":
    if sys.argv[1:] == ["transolver"]:
        write("transolver_speed", {"against transolver": against_transolver()})
    elif sys.argv[1:2] == ["memory"]:
        bound = None if sys.argv[4:] in ([], ["none"]) else float(sys.argv[4])
        print(memory(sys.argv[2], int(sys.argv[3]), bound))
    else:
        main()
