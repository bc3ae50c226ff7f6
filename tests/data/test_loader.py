import pytest
import torch

from pyg_neuralops.data import MeshBatchSampler, mesh_loader, split_indices
from pyg_neuralops.testing import random_mesh


def test_every_sample_once_within_the_budget():
    sizes = [10, 200, 30, 40, 50, 60, 70, 5, 5, 5]
    sampler = MeshBatchSampler(sizes, batch_size=4, max_nodes=100, shuffle=True, seed=1)
    batches = list(sampler)
    assert sorted(i for b in batches for i in b) == list(range(10))
    assert all(len(b) <= 4 and (sum(sizes[i] for i in b) <= 100 or len(b) == 1) for b in batches)
    assert len(sampler) == len(batches)


def test_order_depends_on_seed_and_epoch_alone():
    def order(seed, epoch):
        sampler = MeshBatchSampler([1] * 50, 8, shuffle=True, seed=seed)
        sampler.sampler.set_epoch(epoch)
        torch.manual_seed(torch.seed() % 1000)
        return [i for batch in sampler for i in batch]

    assert order(0, 3) == order(0, 3)
    orders = [tuple(order(s, e)) for s in range(3) for e in range(3)]
    assert len(set(orders)) == 9


def test_batches_hold_the_samples():
    samples = [random_mesh(n, seed=n) for n in (5, 9, 7)]
    batches = list(mesh_loader(samples, 2))
    assert [b.num_graphs for b in batches] == [2, 1]
    assert torch.equal(batches[0].x, torch.cat([samples[0].x, samples[1].x]))


def test_wrong_limits_are_named():
    with pytest.raises(ValueError, match="batch_size=0"):
        MeshBatchSampler([1], 0)
    with pytest.raises(ValueError, match="max_nodes=-1"):
        MeshBatchSampler([1], 1, -1)
    with pytest.raises(ValueError, match="no sample"):
        mesh_loader([])


def test_splits_are_a_partition_and_protocols_share_the_test_set():
    standard, paper = split_indices(50, seed=2), split_indices(50, seed=2, protocol="paper")
    assert sorted(i for part in standard.values() for i in part) == list(range(50))
    assert {k: len(v) for k, v in standard.items()} == {"train": 35, "val": 5, "test": 10}
    assert paper["test"] == standard["test"]
    assert sorted(standard["train"] + standard["val"]) == sorted(paper["train"])
    assert "val" not in paper
    assert split_indices(50, seed=3)["test"] != standard["test"]
    with pytest.raises(ValueError, match="protocol='best'"):
        split_indices(50, protocol="best")
    with pytest.raises(ValueError, match="2 samples are too few"):
        split_indices(2)
