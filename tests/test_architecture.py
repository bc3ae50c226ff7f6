"""Imports run one way: a module imports its own layer and the layers before it."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "pyg_neuralops"

# layer -> what it may import besides itself (design: ops, solvers <- data, transforms <- nn <- models <- engine ...)
OPEN = {
    "resolve": set(),
    "typed": set(),
    "files": set(),
    "recipe": set(),
    "executors": set(),
    "ops": set(),
    "solvers": {"executors"},
    "data": {"ops", "solvers"},
    "metrics": set(),
    "transforms": {"ops", "data"},
    "symmetry": {"transforms"},
    "normalizer": set(),
    "quantiles": {"normalizer"},
    "residual": set(),
    "normalize": {"data", "models", "normalizer", "quantiles", "residual"},
    "datasets": {"solvers", "data", "transforms"},
    "nn": {"ops", "data", "transforms"},
    "models": {"ops", "data", "transforms", "nn"},
    "checkpoint": {"data", "transforms", "models", "normalize", "quantiles"},
    "testing": {"ops", "data", "transforms", "nn", "models"},
    "engine": {
        "recipe",
        "executors",
        "ops",
        "data",
        "models",
        "transforms",
        "metrics",
        "residual",
        "normalize",
        "checkpoint",
    },
    "plotting": {"data"},
    "inside": {"ops", "data", "nn"},
    "study": {"__init__", "recipe", "data", "datasets", "transforms", "nn", "metrics", "normalize", "quantiles"}
    | {"models", "engine", "checkpoint", "plotting", "inside", "executors"},
}


def layer(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(path: Path) -> set[str]:
    """Layers of the package that a file imports, and the top-level names of what else it imports."""
    here = ["pyg_neuralops", *path.relative_to(PACKAGE).with_suffix("").parts]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = here[: -node.level] if node.level else []
            module = [*base, *(node.module or "").split(".")] if node.module else base
            names = [[*module, alias.name] for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        else:
            continue
        for name in names:
            if name[0] != "pyg_neuralops":
                found.add(name[0])
            elif len(name) > 1:
                entry = PACKAGE / name[1]
                found.add(f".{name[1] if entry.is_dir() or entry.with_suffix('.py').exists() else '__init__'}")
    return found


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    own = layer(path)
    if own in ("cli", "__main__", "__init__"):
        return
    used = {name[1:] for name in imports(path) if name.startswith(".")} - {own}
    used -= {"resolve", "typed", "files"}
    assert used <= OPEN[own], f"{own} imports {sorted(used - OPEN[own])}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_solvers_never_see_torch_and_nobody_imports_the_cli(path):
    found = imports(path)
    if layer(path) in ("solvers", "files", "executors"):
        assert not found & {"torch", "torch_geometric"}
    if layer(path) not in ("cli", "__main__"):
        assert ".cli" not in found
