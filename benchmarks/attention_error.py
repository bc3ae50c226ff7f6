"""Rounding errors of attention on tiles and on edges, against attention on edges in float64.

Run: python benchmarks/attention_error.py [set ...]; writes benchmarks/results/attention_error.json.
An error is the norm of the difference over the norm of the exact result; the worst entry over the largest
exact entry is written beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from point_sets import POINT_SETS
from timing import write
from torch import Tensor

from pyg_neuralops.ops import EdgeTiles, edge_attention, tiled_attention

HEADS, WIDTH = 8, 12
MODES = ("soft", "directional", "metric")
WIDE = ("strength", "metric")  # what layers hand over in float32 at least
FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def leaves(pos: Tensor, mode: str, g: float) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    n, dim = pos.shape
    tensors = {name: torch.randn(n, HEADS, WIDTH, generator=generator) for name in ("q", "k", "v")}
    if mode in ("soft", "directional"):
        tensors["strength"] = torch.full((HEADS,), g)
    if mode == "metric":  # of the mean strength g, in all directions
        factor = torch.randn(n, HEADS, dim, dim, generator=generator) * (g / dim) ** 0.5
        tensors["metric"] = (factor @ factor.mT)[(..., *torch.tril_indices(dim, dim))]
    if mode in ("directional", "metric"):
        tensors["direction"] = torch.randn(n, HEADS, dim, generator=generator)
    return tensors


def run(
    function: Callable[..., Tensor],
    tensors: dict[str, Tensor],
    graph: Any,
    pos: Tensor,
    dtype: torch.dtype,
    **options: Any,
) -> dict[str, Tensor]:
    """Output and gradients, with features in ``dtype``; positions, strength and metric stay in float32 at least."""
    wide = torch.promote_types(dtype, torch.float32)
    inputs = {name: x.to(wide if name in WIDE else dtype).requires_grad_() for name, x in tensors.items()}
    rest = {name: x for name, x in inputs.items() if name in ("strength", "direction", "metric")}
    geometry = {"pos": pos.to(wide), **rest} if rest else {}
    out = function(inputs["q"], inputs["k"], inputs["v"], graph, **geometry, **options)
    at_out = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    gradients = torch.autograd.grad(out, list(inputs.values()), at_out)
    return dict(zip(("out", *inputs), (out.detach(), *gradients), strict=True))


def errors(found: dict[str, Tensor], exact: dict[str, Tensor]) -> dict[str, list[float]]:
    result = {}
    for name, x in exact.items():
        difference = found[name].double() - x
        result[name] = [(difference.norm() / x.norm()).item(), (difference.abs().max() / x.abs().max()).item()]
    return result


def main(sets: list[str]) -> None:
    rows, graphs = [], {}
    for set_name in sets:
        pos, edges = POINT_SETS[set_name]()
        flat = EdgeTiles.flat(edges, pos)
        tiles = EdgeTiles.from_dict(flat)
        length = (pos[edges[0]] - pos[edges[1]]).norm(dim=1)
        graphs[set_name] = {
            "nodes": len(pos),
            "edges": edges.shape[1],
            "edge_length": [length[length > 0].min().item(), length.max().item()],
            "tiles": len(flat["tile_num_queries"]),
            "mean_T": flat["tile_num_queries"].double().mean().item(),
            "mean_U": flat["tile_num_keys"].double().mean().item(),
            "max_U": flat["tile_num_keys"].max().item(),
        }
        print(f"\n{set_name}: {graphs[set_name]}")
        for mode, g in [("plain", 0.0), *((mode, g) for mode in MODES for g in (0.1, 1.0, 10.0))]:
            tensors = leaves(pos, mode, g)
            for name, dtype in FORMATS.items():
                # bfloat16 inputs are what both paths are given, so the exact result starts from them too.
                given = {key: x if key in WIDE else x.to(dtype).float() for key, x in tensors.items()}
                exact = run(edge_attention, given, edges, pos, torch.float64, coalesced=True)
                found = {
                    "tiles": errors(run(tiled_attention, given, tiles, pos, dtype), exact),
                    "edges": errors(run(edge_attention, given, edges, pos, dtype, coalesced=True), exact),
                }
                if dtype == torch.bfloat16:
                    narrow = run(tiled_attention, given, tiles, pos, dtype, compute_dtype=dtype)
                    found["tiles, products in bf16"] = errors(narrow, exact)
                for path, values in found.items():
                    rows.append({"set": set_name, "mode": mode, "g": g, "format": name, "path": path, "errors": values})
                    line = "  ".join(f"{key} {value[0]:.1e}" for key, value in values.items())
                    print(f"{mode:12s} g {g:<5} {name} {path:24s} {line}", flush=True)
    worst = {
        f"{name} {path}": {
            key: max(
                row["errors"][key][0]
                for row in rows
                if (row["format"], row["path"]) == (name, path) and key in row["errors"]
            )
            for key in ("out", "q", "k", "v", "strength", "direction", "metric")
        }
        for name, path in {(row["format"], row["path"]) for row in rows}
    }
    print("\nworst:")
    for name, values in sorted(worst.items()):
        print(f"{name:32s}", "  ".join(f"{key} {value:.1e}" for key, value in values.items()))
    write("attention_error", {"graphs": graphs, "worst": worst, "rows": rows})


if __name__ == "__main__":
    main(sys.argv[1:] or list(POINT_SETS))
