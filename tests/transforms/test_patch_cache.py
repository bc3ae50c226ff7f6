import copy
import pickle

import pytest
import torch

from pyg_neuralops.data import fingerprint
from pyg_neuralops.testing import random_mesh
from pyg_neuralops.transforms import KNNPatches, Upwind
from pyg_neuralops.transforms.patch_cache import PatchCache


def fields(data):
    return {name: value for name, value in data.to_dict().items() if name.startswith(("patch", "tile"))}


def assert_same(one, two):
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert torch.equal(value, two[name]) if torch.is_tensor(value) else value == two[name], name


@pytest.mark.parametrize("tiles", [False, True])
def test_samples_on_one_mesh_share_patches_and_others_do_not(tiles):
    transform, fresh = KNNPatches(6, tiles=tiles), KNNPatches(6, tiles=tiles, cache_mib=0)
    one, other = random_mesh(40, seed=0), random_mesh(40, seed=1)
    again = copy.copy(one)
    again.x = one.x + 1
    expected = [fields(fresh(copy.copy(sample))) for sample in (one, other)]
    first, second, third = (transform(copy.copy(sample)) for sample in (one, other, again))
    assert third.patch_index is first.patch_index
    torch.testing.assert_close(third.x, again.x)
    assert_same(fields(first), expected[0])
    assert_same(fields(second), expected[1])
    assert_same(fields(third), expected[0])


def test_what_else_patches_depend_on_is_seen():
    mesh = random_mesh(60, seed=0)
    mesh.wind = torch.randn(60, 2)
    turned = copy.copy(mesh)
    turned.wind = -mesh.wind
    transform = KNNPatches(8, metric=Upwind("wind", stretch=6))
    assert not torch.equal(transform(copy.copy(mesh)).patch_index, transform(copy.copy(turned)).patch_index)
    cut = copy.copy(mesh)
    cut.face = mesh.face[:, mesh.pos[mesh.face, 0].mean(0) < 0.5]
    transform = KNNPatches(8, through_solid=False)
    whole, part = transform(copy.copy(mesh)), transform(copy.copy(cut))
    assert not torch.equal(whole.patch_index, part.patch_index)


def test_a_metric_of_ones_own_is_never_cached():
    class FromInput(Upwind):
        """Reads what the cache does not look at."""

        def distance(self, data, index, offset):
            return super().distance(data, index, offset) * (1 + data.x[index, :1].double().abs())

    mesh = random_mesh(30, seed=0)
    mesh.wind = torch.randn(30, 2)
    transform = KNNPatches(5, metric=FromInput("wind"))
    transform(copy.copy(mesh))
    assert not transform.cache.held


def test_memory_is_bounded_and_the_oldest_goes_first():
    row = {"a": torch.zeros(2**17)}  # half a MiB
    cache = PatchCache(1.2)
    for name in "abc":
        cache.put(name, dict(row))
        cache.get("a")
    assert list(cache.held) == ["c", "a"]
    assert cache.total == 2**20
    cache.put("big", {"a": torch.zeros(2**20)})
    assert cache.get("big") is None
    with pytest.raises(ValueError, match="cache_mib=-1; it must be at least 0"):
        KNNPatches(3, cache_mib=-1)


def test_the_cache_is_no_parameter_and_stays_in_its_process():
    transform = KNNPatches(6)
    before = fingerprint(transform)
    transform(random_mesh(40))
    assert fingerprint(transform) == before
    assert transform.cache.held
    assert not pickle.loads(pickle.dumps(transform)).cache.held  # noqa: S301
    assert not copy.deepcopy(transform).cache.held


def test_patches_made_in_inference_mode_are_not_kept():
    transform, mesh = KNNPatches(6, tiles=True), random_mesh(40)
    with torch.inference_mode():
        transform(copy.copy(mesh))
    assert not transform.cache.held
