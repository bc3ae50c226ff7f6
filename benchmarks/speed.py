"""Speed and memory of KNN attention on tiles beside its rivals, as ratios from interleaved runs.

Run: python benchmarks/speed.py [--rounds 7] [--threads 1 2] [--only part ...] [--slow]
writes benchmarks/results/speed.json. ``--slow`` adds what has to be compiled and the million points.
On a busy or virtual machine set OMP_PROC_BIND=true, or the threads may share a core.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import rivals
import torch
from point_sets import POINT_SETS, uniform
from timing import in_fresh_process, interleaved, machine, peak_mib, show, table, write
from torch import Tensor, nn
from torch_geometric.nn import TransformerConv

from pyg_neuralops.nn import KNNAttention
from pyg_neuralops.ops import EdgeTiles, tiled_attention

N, CHANNELS, HEADS, K = 16384, 96, 8, 32
BASE = "tiles"


class Case:
    """Points, graph and features of one comparison."""

    def __init__(self, dim: int, n: int = N, channels: int = CHANNELS) -> None:
        torch.manual_seed(0)
        self.pos, self.edges = uniform(n, dim, K)
        self.neighbour = self.edges[0].view(n, K)
        self.qkv = [torch.randn(n, HEADS, channels // HEADS, requires_grad=True) for _ in range(3)]
        self.at_out = torch.randn(n, HEADS, channels // HEADS)
        self.strength = torch.ones(HEADS, requires_grad=True)
        self.direction = torch.randn(n, HEADS, dim, requires_grad=True)
        self.x = torch.randn(n, channels, requires_grad=True)

    def tiles(self, tile_size: int = 32, **options: Any) -> EdgeTiles:
        return EdgeTiles.from_edge_index(self.edges, self.pos, tile_size, **options).with_bias()

    def step(self, function: Callable[..., Tensor], *graph: Any, **options: Any) -> Callable[[], Any]:
        """Forward and backward of an attention on q, k, v and, when named, the geometric terms."""
        leaves = self.qkv + [x for name, x in options.items() if name in ("strength", "direction") and x is not None]
        return lambda: torch.autograd.grad(function(*self.qkv, *graph, **options), leaves, self.at_out)

    def geometry(self, reach: Tensor | None = None) -> dict[str, Any]:
        return {"pos": self.pos, "strength": self.strength, "direction": self.direction, "reach": reach}

    def layer(self, module: nn.Module, *graph: Any) -> Callable[[], Any]:
        """Forward and backward of a layer on node features."""
        leaves = [self.x, *module.parameters()]
        at_out = self.at_out.flatten(1)
        return lambda: torch.autograd.grad(module(self.x, *graph), leaves, at_out, allow_unused=True)


def against_rivals(dim: int) -> dict[str, Callable[[], Any]]:
    case = Case(dim)
    tiles = case.tiles()
    conv = TransformerConv(CHANNELS, CHANNELS // HEADS, HEADS, root_weight=False)
    feed_forward = nn.Sequential(nn.Linear(CHANNELS, 2 * CHANNELS), nn.GELU(), nn.Linear(2 * CHANNELS, CHANNELS))
    return {
        BASE: case.step(tiled_attention, tiles),
        "tiles, soft mask and direction": case.step(tiled_attention, tiles, **case.geometry()),
        "tiles with projections": case.layer(rivals.OnTiles(CHANNELS, HEADS), tiles),
        "feed-forward of ratio 2": case.layer(feed_forward),
        "TransformerConv": case.layer(conv, case.edges),
        "propagate": case.step(rivals.Propagate(), case.edges),
        "dense gather": case.step(rivals.gather, case.neighbour),
        "dense gather, soft mask and direction": case.step(rivals.gather, case.neighbour, **case.geometry(tiles.reach)),
    }


def variants(dim: int) -> dict[str, Callable[[], Any]]:
    case = Case(dim)
    tiles = case.tiles()
    cases = {BASE: case.step(tiled_attention, tiles)}
    for size in (16, 24, 48, 64, 128, 256):
        cases[f"tiles of {size}"] = case.step(tiled_attention, case.tiles(size))
    with (
        mock.patch("pyg_neuralops.ops.tiles.plan.CALL", 1 << 40),
        mock.patch("pyg_neuralops.ops.tiles.plan.MOST", 1 << 40),
    ):
        cases["one bucket, U padded to the largest"] = case.step(tiled_attention, case.tiles())
    for power in (16, 20):
        with mock.patch("pyg_neuralops.ops.tiles.plan.MOST", 1 << power):
            cases[f"buckets of 2^{power} pairs instead of 2^18"] = case.step(tiled_attention, case.tiles())

    def padded(*arguments: Any, **options: Any) -> Tensor:
        with mock.patch("pyg_neuralops.ops.tiles.attention.padded_width", return_value=(16, False)):
            return tiled_attention(*arguments, **options)

    cases["head width padded from 12 to 16"] = case.step(padded, tiles)
    plain = EdgeTiles.from_edge_index(case.edges, case.pos)
    cases["mask unpacked at each use"] = case.step(tiled_attention, plain)
    for mib in (16, 64):
        cases[f"max_mib={mib}"] = case.step(tiled_attention, plain, max_mib=mib)
    narrow = [x[..., : 12 - dim - 1].detach().requires_grad_() for x in case.qkv[:2]]
    leaves = [*narrow, case.qkv[2], case.strength, case.direction]
    cases["geometry inside the head's own 12 channels"] = lambda: torch.autograd.grad(
        tiled_attention(*narrow, case.qkv[2], tiles, **case.geometry()), leaves, case.at_out
    )
    cases["soft mask and direction"] = case.step(tiled_attention, tiles, **case.geometry())
    half = [x.detach().bfloat16().requires_grad_() for x in case.qkv]
    for dtype in (torch.float32, torch.bfloat16):
        cases[f"bf16 features, products in {str(dtype)[6:]}"] = lambda dtype=dtype: torch.autograd.grad(
            tiled_attention(*half, tiles, compute_dtype=dtype), half, case.at_out.bfloat16()
        )
    cases["bf16 features, dense gather"] = lambda: torch.autograd.grad(
        rivals.gather(*half, case.neighbour), half, case.at_out.bfloat16()
    )
    return cases


def masks(dim: int) -> dict[str, Callable[[], Any]]:
    """Layers with their projections, by the terms of their scores; and attention alone, in heads of 12."""
    case = Case(dim)
    tiles = case.tiles()
    cases = {}
    for mask in ("none", "head", "metric"):
        for direction in (False, True):
            layer = KNNAttention(CHANNELS, pos_dim=dim, heads=HEADS, soft_mask=mask, direction=direction)
            cases[f"{mask}, direction" if direction else mask] = case.layer(layer, case.pos, tiles)
    cases["attention alone: head"] = case.step(tiled_attention, tiles, pos=case.pos, strength=case.strength)
    metric = torch.rand(N, HEADS, dim * (dim + 1) // 2, requires_grad=True)
    for width in dict.fromkeys((12, KNNAttention(CHANNELS, pos_dim=dim, heads=HEADS, soft_mask="metric").key_width)):
        q, k = (x[..., :width].detach().requires_grad_() for x in case.qkv[:2])
        leaves = [q, k, case.qkv[2], metric]
        cases[f"attention alone: metric, keys of {width}"] = lambda q=q, k=k, leaves=leaves: torch.autograd.grad(
            tiled_attention(q, k, case.qkv[2], tiles, pos=case.pos, metric=metric), leaves, case.at_out
        )
    return cases


def extents() -> dict[str, dict[str, Callable[[], Any]]]:
    """How far tiles are split for the accuracy of the geometric terms, on point sets that need it."""
    sets = {}
    for name in ("clusters 2D", "C-grid 221 x 51", "triangulation"):
        case = Case(2, 64)
        case.pos, case.edges = POINT_SETS[name]()
        n = len(case.pos)
        case.qkv = [torch.randn(n, HEADS, CHANNELS // HEADS, requires_grad=True) for _ in range(3)]
        case.at_out = torch.randn(n, HEADS, CHANNELS // HEADS)
        sets[name] = {
            BASE: case.step(tiled_attention, case.tiles()),
            "max_extent 4 instead of 3": case.step(tiled_attention, case.tiles(max_extent=4)),
            "max_extent 8": case.step(tiled_attention, case.tiles(max_extent=8)),
            "max_extent unbounded": case.step(tiled_attention, case.tiles(max_extent=1e9)),
            "propagate": case.step(rivals.Propagate(), case.edges),
        }
    return sets


def compiled(dim: int) -> dict[str, Callable[[], Any]]:
    case = Case(dim)
    tiles = case.tiles()
    order = tiles.back.argsort()  # nodes, tile by tile
    cases = {
        BASE: case.step(tiled_attention, tiles),
        "torch.compile of the gather": case.step(torch.compile(rivals.gather), case.neighbour),
        "tiles, forward": lambda: tiled_attention(*(x.detach() for x in case.qkv), tiles),
        "FlexAttention, forward": rivals.flex_forward(*case.qkv, case.neighbour, order),
    }
    try:
        cases["compiled loop (numba), forward"] = rivals.numba_forward(*case.qkv, case.neighbour)
    except ImportError:
        print("numba is not installed: no compiled loop")
    return cases


def memory(name: str) -> float:
    """Peak MiB of one forward and backward in this process."""
    case = Case(3 if "3D" in name else 2)
    calls = {
        "gather": lambda: case.step(rivals.gather, case.neighbour),
        "propagate": lambda: case.step(rivals.Propagate(), case.edges),
        "tiles": lambda: case.step(tiled_attention, EdgeTiles.from_edge_index(case.edges, case.pos)),
        "tiles, soft mask and direction": lambda: case.step(
            tiled_attention, EdgeTiles.from_edge_index(case.edges, case.pos), **case.geometry()
        ),
        "tiles, max_mib=16": lambda: case.step(
            tiled_attention, EdgeTiles.from_edge_index(case.edges, case.pos), max_mib=16
        ),
    }
    small = Case(2, 256)
    small.step(rivals.gather, small.neighbour)()  # threads and workspaces exist before the count starts
    small.step(tiled_attention, small.tiles())()
    return peak_mib(calls[name.removesuffix(" 3D")]())


MEMORY = ("gather", "propagate", "tiles", "tiles, soft mask and direction", "tiles, max_mib=16", "tiles 3D")


def build(n: int, dim: int) -> dict[str, float]:
    """Seconds to build and to assemble tiles, beside those of the neighbour search."""
    start = time.perf_counter()
    pos, edges = uniform(n, dim, K)
    searched = time.perf_counter()
    flat = EdgeTiles.flat(edges, pos)
    built = time.perf_counter()
    EdgeTiles.from_dict(flat)
    row = {
        "points": n,
        "dim": dim,
        "search_s": searched - start,
        "build_s": built - searched,
        "assemble_s": time.perf_counter() - built,
        "mean_U": flat["tile_num_keys"].double().mean().item(),
        "bytes_per_node": sum(x.numel() * x.element_size() for x in flat.values()) / n,
    }
    print({key: round(value, 3) for key, value in row.items()}, flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, torch.get_num_threads()])
    parser.add_argument("--only", nargs="+", default=["rivals", "variants", "masks", "extents", "memory", "build"])
    parser.add_argument("--slow", action="store_true")
    parser.add_argument("--peak", help="only measure the memory of one case, and print it")
    options = parser.parse_args()
    if options.peak:
        print(memory(options.peak))
        return
    tables: dict[str, Any] = {}

    def measure(title: str, cases: dict[str, Callable[[], Any]], base: str = BASE) -> None:
        tables[title] = {"load": machine()["load"], "rows": table(interleaved(cases, options.rounds), base)}
        show(title, tables[title]["rows"], base)

    for threads in dict.fromkeys(options.threads):
        torch.set_num_threads(threads)
        for dim in (2, 3):
            where = f"{dim}D, {threads} threads"
            if "rivals" in options.only:
                measure(f"rivals, {where}", against_rivals(dim))
            if "variants" in options.only:
                measure(f"variants, {where}", variants(dim))
            if "masks" in options.only:
                measure(f"masks, {where}", masks(dim), "head")
            if options.slow:
                measure(f"compiled, {where}", compiled(dim))
        if "extents" in options.only:
            for name, cases in extents().items():
                measure(f"extent of tiles, {name}, {threads} threads", cases)
    if "memory" in options.only:
        tables["peak MiB"] = {name: round(in_fresh_process("--peak", name), 1) for name in MEMORY}
        print("\npeak MiB of forward and backward:", tables["peak MiB"])
    if "build" in options.only:
        sizes = [(N, 2), (N, 3)] + ([(1_000_000, 2), (1_000_000, 3)] if options.slow else [])
        tables["build"] = [build(n, dim) for n, dim in sizes]
    write("speed", {"setting": {"N": N, "C": CHANNELS, "H": HEADS, "K": K}, "tables": tables})


if __name__ == "__main__":
    main()
