"""Several processes that train one model take the steps that one takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, DistributedSampler
from toy import toy_samples

from pyg_neuralops.data import mesh_loader
from pyg_neuralops.data.loader import collate
from pyg_neuralops.engine.batches import Batches
from pyg_neuralops.engine.machine import make_fabric
from pyg_neuralops.engine.ranks import Ranks
from pyg_neuralops.recipe import FitRecipe


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    script = Path(__file__).with_name("several.py")
    words = [sys.executable, script, tmp_path_factory.mktemp("several")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def same_steps(one, two, loss=1e-6, weight=1e-5):
    assert [row["epoch"] for row in one["rows"]] == [row["epoch"] for row in two["rows"]]
    for a, b in zip(one["rows"], two["rows"], strict=True):
        assert a["batches"] == b["batches"]
        assert a["lr"] == pytest.approx(b["lr"], rel=1e-12)
        assert a["loss"] == pytest.approx(b["loss"], rel=loss)
        assert a["val"] == pytest.approx(b["val"], rel=10 * loss)
    gap = torch.tensor(one["weights"]) - torch.tensor(two["weights"])
    assert gap.abs().max() < weight


@pytest.mark.parametrize("cut", ["2 1", "3 1", "1 3", "2 2"])
@pytest.mark.parametrize("name", ["ragged", "la2former", "muon", "gaps"])
def test_ranks_and_parts_take_the_steps_of_one_process(report, name, cut):
    """With node budgets, a last batch smaller than the number of ranks, samples without loss and unused weights."""
    alone = report[f"{name} 1 1"][0]
    assert sum(row["batches"] for row in alone["rows"]) == 20
    for rank in report[f"{name} {cut}"]:
        # A key's bias has no gradient but rounding, of which Adam makes steps of the size of lr: 2e-5 in float32.
        same_steps(alone, rank, weight={"la2former": 5e-5, "muon": 1e-10}.get(name, 1e-5))


def test_all_ranks_return_the_same(report):
    first, second = report["whole"]
    assert first == second


@pytest.mark.parametrize("rank", [0, 1])
def test_a_run_goes_on_to_the_last_digit_after_any_rank_was_killed(report, rank):
    for found, whole in zip(report[f"killed {rank}"], report["whole"], strict=True):
        assert found["resumed"]
        assert found["rows"] == whole["rows"]
        assert found["weights"] == whole["weights"]


@pytest.mark.parametrize("size", [1, 3])
def test_a_run_goes_on_with_another_number_of_ranks(report, size):
    for found in report[f"moved {size}"]:
        assert found["resumed"]
        same_steps(report["stayed"][0], found)


def test_two_tasks_of_slurm_are_two_ranks(report):
    for found in report["slurm"]:
        same_steps(report["stayed"][0], found)


def test_seconds_end_at_one_step_for_all(report):
    first, second = report["seconds"]
    assert first == second
    assert first["rows"][-1]["lr"] < first["rows"][0]["lr"] or len(first["rows"]) == 1


def test_what_differs_on_one_rank_is_an_error_on_all(report):
    for rank, found in enumerate(report["other data"]):
        assert found.startswith("ValueError")
        assert "this process has another run than rank 0: other training samples" in found
        assert ("rank 1: " in found) == (rank == 0)
    for found in report["broken"]:
        assert "validation sample 2: x holds nan at row 0" in found


def test_running_statistics_are_those_of_rank_0_on_all_and_after_a_kill(report):
    whole, again = report["statistics"], report["statistics, killed"]
    assert whole[0]["rows"] == whole[1]["rows"] == again[0]["rows"] == again[1]["rows"]
    assert again[0]["resumed"]


def test_a_shuffled_validation_set_is_scored_whole(report):
    alone, *ranks = report["shuffled"]
    for found in ranks:
        same_steps(alone, found)


def test_scores_are_gathered_in_order(report):
    alone, *ranks = report["scored"]
    assert ranks == [alone, alone]


class Rank:
    def __init__(self, rank, size):
        self.rank, self.size = rank, size

    def first(self, do):
        """As rank 0 has it: all of these are in one process."""
        return do()


def test_pieces_are_a_partition_of_every_batch():
    samples = toy_samples(23)
    for index, sample in enumerate(samples):
        sample.x[:] = index
    loader = mesh_loader(samples, 5, shuffle=True, max_nodes=40)
    loader.batch_sampler.sampler.set_epoch(3)
    whole = [list(batch) for batch in loader.batch_sampler]
    for size in (1, 2, 7):
        found = [[] for _ in whole]
        draws = []
        for rank in range(size):
            count, steps = Batches(loader, Rank(rank, size), parts=2).epoch(0, 3)
            draws.append(torch.rand(1).item())
            assert count == len(whole)
            for batch, pieces in zip(found, steps, strict=True):
                batch += [number for piece in pieces for number in piece.x[piece.ptr[:-1], 0].tolist()]
        assert found == whole
        assert len(set(draws)) == size  # ranks draw dropout each for itself
    shared = [number for rank in range(3) for number, _ in Batches(loader, Rank(rank, 3)).shared_out()[1]]
    assert sorted(shared) == list(range(len(list(loader.batch_sampler))))


def test_workers_that_load_change_nothing():
    samples = toy_samples(23)
    found = []
    for options in ({}, {"num_workers": 1}):
        loader = mesh_loader(samples, 5, shuffle=True, **options)
        batches = Batches(loader, Rank(0, 1))
        found.append([piece.x for epoch in range(2) for pieces in batches.epoch(0, epoch)[1] for piece in pieces])
    assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))


def test_loaders_that_share_out_by_themselves_are_refused():
    samples = toy_samples(6)
    sampler = DistributedSampler(samples, num_replicas=2, rank=0)
    with pytest.raises(ValueError, match="DistributedSampler; batches are shared among ranks here"):
        Batches(DataLoader(samples, 2, sampler=sampler, collate_fn=collate), Rank(0, 1))
    with pytest.raises(ValueError, match="makes no batches; give it a batch_size"):
        Batches(DataLoader(samples, batch_size=None), Rank(0, 1))
    with pytest.raises(ValueError, match="makes no batch"):
        Batches(DataLoader(samples, 8, drop_last=True, collate_fn=collate), Rank(0, 1)).epoch(0, 0)


def test_a_generator_of_ones_own_is_seeded_by_the_epoch():
    samples = toy_samples(6)
    generator = torch.Generator()
    loader = DataLoader(samples, 2, shuffle=True, generator=generator, collate_fn=collate)
    found = [[len(b.x) for p in Batches(loader, Rank(0, 1)).epoch(0, epoch)[1] for b in p] for epoch in (0, 1, 1)]
    assert found[1] == found[2]


def test_other_processes_than_those_of_torchrun_are_refused(monkeypatch):
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "4", "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    for machine in ({"devices": 3}, {"devices": 2, "num_nodes": 3}):
        with pytest.raises(ValueError, match="torchrun has started 2 processes on each of 2 machines"):
            make_fabric(FitRecipe(epochs=1, accelerator="cpu", **machine))


def test_errors_on_one_rank_keep_their_kind():
    ranks = Ranks(make_fabric(FitRecipe(epochs=1, accelerator="cpu")))
    with pytest.raises(FileNotFoundError, match="gone"):
        ranks.lead(lambda: (_ for _ in ()).throw(FileNotFoundError("gone")))
    assert ranks.lead(lambda: 3) == ranks.first(lambda: 3) == ranks.together(lambda: 3) == 3


@pytest.mark.parametrize("launcher", ["torchrun", "devices"])
def test_train_from_the_command_line_by_two_processes(tmp_path, launcher):
    """A real launch: by torchrun, and by Fabric, which starts this command again."""
    words = ["train", "--dataset", "darcy", "--num-samples", "12", "--resolution", "8", "--model", "graph-sage"]
    words += [
        "--hidden-channels",
        "8",
        "--num-layers",
        "1",
        "--steps",
        "6",
        "--batch-size",
        "4",
        "--accelerator",
        "cpu",
    ]
    words += ["--root", str(tmp_path / "data"), "--out", str(tmp_path / "run"), "--logger", "csv", "tensorboard"]
    start = [sys.executable, "-m"]
    if launcher == "torchrun":
        start += ["torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m", "pyg_neuralops"]
    else:
        start += ["pyg_neuralops"]
        words += ["--devices", "2"]
    done = subprocess.run(
        [*start, *words], capture_output=True, text=True, timeout=600, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["devices"] == 2
    assert sum(row["batches"] for row in result["history"]) == 6
    assert done.stdout.count("test error") == 1
    assert (tmp_path / "run" / "csv").is_dir()
    assert list((tmp_path / "run" / "tensorboard").glob("events*"))
