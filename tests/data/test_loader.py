import random

import numpy as np
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


class Noisy(torch.utils.data.Dataset):
    """Samples with noise from every global generator; as a transform of a user's might add."""

    def __len__(self):
        return 7

    def __getitem__(self, index):
        sample = random_mesh(5, seed=index)
        sample.x = sample.x + torch.rand(5, 1) + random.random() + np.random.rand()  # noqa: NPY002
        return sample


def noise(workers: int, seed: int = 3, epoch: int = 1) -> list[torch.Tensor]:
    loader = mesh_loader(Noisy(), 2, shuffle=True, seed=seed, num_workers=workers)
    loader.batch_sampler.sampler.set_epoch(epoch)
    return [batch.x for batch in loader]


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a machine of one core
def test_random_transforms_draw_the_same_in_workers():
    here, there = noise(0), noise(2)
    assert all(torch.equal(one, two) for one, two in zip(here, there, strict=True))
    assert not torch.equal(here[0], noise(0, epoch=2)[0])
    torch.manual_seed(0)
    state = torch.get_rng_state(), random.getstate()
    mesh_loader(Noisy(), seed=1).dataset[0]
    assert torch.equal(torch.get_rng_state(), state[0])
    assert random.getstate() == state[1]


def test_sizes_are_asked_for_where_they_are_known():
    class Known(list):
        def node_counts(self):
            return [5, 9, 7]

    samples = Known([random_mesh(5, seed=0)] * 3)
    assert mesh_loader(samples, 2, max_nodes=8).batch_sampler.sizes == [5, 9, 7]


def test_a_negative_number_of_workers_is_named():
    with pytest.raises(ValueError, match="num_workers=-1"):
        mesh_loader([random_mesh(5, seed=0)], num_workers=-1)
