"""All datasets at their default sizes: wall time of generation, trivial baselines, and the cards' pictures.

python benchmarks/cards.py                        # all; in runs/cards; what is there already is not timed again
python benchmarks/cards.py pipe airfoil           # some
writes results/datasets.json, datasets/<name>/samples.png and the tables of trivial baselines in the cards
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from timing import RESULTS, write

from pyg_neuralops.datasets import DATASETS
from pyg_neuralops.metrics import defined_mean, relative_l2
from pyg_neuralops.plotting import plot_samples, save_figure
from pyg_neuralops.study.baselines import trivial_baselines
from pyg_neuralops.study.data import Splits, load_splits
from pyg_neuralops.study.settings import DataChoice

CARDS = Path(__file__).parents[1] / "datasets"
ROOT = Path("runs/cards")
TITLES = {
    "mean": "mean field of the training set",
    "1-nn": "y of the training sample with the nearest input and shape",
    "ridge": "ridge regression from all inputs to all targets",
}


def figures(name: str) -> tuple[Splits, dict[str, Any]]:
    """The default set, with the seconds it took to generate (None where it was there) and the baselines' errors."""
    there = bool([*ROOT.joinpath(name, "raw").glob("*.h5")])
    start = time.perf_counter()
    splits = load_splits(DataChoice(dataset=name, dataset_args={"source": "generated"}, root=str(ROOT / name)))
    seconds = time.perf_counter() - start
    errors: dict[str, float | None] = {}
    for baseline in trivial_baselines(splits.train, splits.val, splits.test, splits.task):
        errors[TITLES[baseline.name]] = None if baseline.scores is None else float(defined_mean(baseline.scores.first))
    if splits.info["task"]["name"] == "next-frame":
        last = [relative_l2(s.x[:, -1:].expand_as(s.y), s.y).item() for s in splits.test]
        errors["the last input frame"] = sum(last) / len(last)
    size = {
        part: sum(f.stat().st_size for f in ROOT.joinpath(name, part).glob("*")) / 2**20
        for part in ("raw", "processed")
    }
    found = {
        "sizes": splits.info["sizes"],
        "nodes": splits.info["nodes"],
        "seconds": None if there else round(seconds, 1),
        "mib": {part: round(value, 1) for part, value in size.items()},
        "baselines": errors,
        "digest": splits.info["digest"],
    }
    return splits, found


def write_card(name: str, splits: Splits, found: dict[str, Any]) -> None:
    names = splits.info["names"]["y"]
    picture = plot_samples(splits.train, name=f"{name}: {names[-1]}", window=splits.info["window"])
    save_figure(picture, CARDS / name / "samples.png", dpi=50)
    rows = [f"| {title} | {100 * error:.1f}% |" for title, error in found["baselines"].items() if error is not None]
    sizes = found["sizes"]
    table = (
        f"## Trivial baselines\n\nMean relative L2 error on the {sizes['test']} test samples, "
        f"{sizes['train']} training samples (`python benchmarks/cards.py`):\n\n"
        "| prediction | error |\n|---|---|\n" + "\n".join(rows) + "\n"
    )
    seconds = "" if found["seconds"] is None else f"generated in {found['seconds']:.0f} s on two cores; "
    table += (
        f"\nThe default set: {seconds}raw files {found['mib']['raw']:.0f} MiB, processed files "
        f"{found['mib']['processed']:.0f} MiB.\n"
    )
    card = CARDS / name / "README.md"
    text = card.read_text()
    card.write_text(re.sub(r"## Trivial baselines\n.*?(?=\n## |\Z)", lambda match: table, text, flags=re.DOTALL))


def main(names: list[str]) -> None:
    unknown = sorted(set(names) - set(DATASETS))
    if unknown:
        sys.exit(f"unknown datasets {unknown}; choose from {list(DATASETS)}")
    path = RESULTS / "datasets.json"
    known = json.loads(path.read_text())["datasets"] if path.exists() else {}
    for name in names or DATASETS:
        splits, found = figures(name)
        if found["seconds"] is None:
            found["seconds"] = known.get(name, {}).get("seconds")
        known[name] = found
        write_card(name, splits, found)
        write("datasets", {"datasets": known})
        print(name, json.dumps(found), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
