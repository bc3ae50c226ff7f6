"""Other people's data as mesh files: neuralop's small Darcy set (x bool, y float [n, s, s]) on its grid.

python benchmarks/third_party.py darcy_train_16.pt darcy_test_16.pt darcy16.h5
"""

from __future__ import annotations

import sys

import torch

from pyg_neuralops.data import MeshData, write_hdf5
from pyg_neuralops.datasets.grid import unit_grid

VAL = 100  # the last samples of the training file


def grid_samples(path: str, splits: dict[str, slice]) -> list[MeshData]:
    """The samples of one file, with the split that their place gives them."""
    arrays = torch.load(path, weights_only=True)
    side = arrays["x"].shape[-1]
    pos, quad = unit_grid(side, side)
    samples = []
    for split, part in splits.items():
        for x, y in zip(arrays["x"][part].float(), arrays["y"][part].float(), strict=True):
            fields = {"x": x.reshape(-1, 1), "y": y.reshape(-1, 1), "pos": pos, "quad": quad}
            samples.append(MeshData(**fields, grid_shape=(side, side), split=split))
    return samples


def main(train: str, test: str, out: str) -> None:
    samples = grid_samples(train, {"train": slice(None, -VAL), "val": slice(-VAL, None)})
    samples += grid_samples(test, {"test": slice(None)})
    write_hdf5(out, samples, names={"x": ["coefficient"], "y": ["solution"]}, attrs={"origin": "neuraloperator 0.3.0"})


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
