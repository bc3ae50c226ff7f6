"""What goes wrong with files: nothing wrong is ever loaded, nothing good is lost."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

from pyg_neuralops.datasets import Darcy

SIZE = {"num_samples": 96, "resolution": 21, "refine": 2}


def same(one, two):
    return len(one) == len(two) and all(
        torch.equal(a[key], b[key]) for a, b in zip(one, two, strict=True) for key in ("x", "y", "pos", "quad")
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return Darcy(tmp_path_factory.mktemp("whole"), workers=0, **SIZE)


QUOTA = """
import resource, sys
from pyg_neuralops.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
size = "--num-samples 96 --resolution 21 --data-args refine=2 --workers".split()
sys.exit(main(["data", "darcy", "--root", sys.argv[1], *size, sys.argv[3]]))
"""


@pytest.mark.parametrize(
    ("limit", "workers", "file"),
    [(2_000, 0, "npz"), (2_000, 1, "npz"), (120_000, 0, "h5"), (180_000, 0, "h5"), (500_000, 0, "pt")],
)
def test_no_space_for_a_part_the_raw_file_or_the_cache(limit, workers, file, whole, tmp_path):
    command = [sys.executable, "-c", QUOTA, str(tmp_path), str(limit), str(workers)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode in (1, 2), ended.stderr
    last = ended.stderr.strip().splitlines()[-1]
    assert last.startswith("error: cannot write ")
    assert f".{file}" in last
    assert "Traceback" not in ended.stderr
    assert not [*tmp_path.rglob("*.tmp"), *tmp_path.rglob("*.pt")]
    assert len([*tmp_path.rglob("*.h5")]) == (file == "pt")
    assert same(Darcy(tmp_path, workers=0, **SIZE), whole)


def test_a_damaged_cache_or_raw_file_is_named(whole, tmp_path):
    shutil.copytree(whole.root, tmp_path, dirs_exist_ok=True)
    for path in (*tmp_path.glob("processed/*.pt"), *tmp_path.glob("raw/*.h5")):
        good = path.read_bytes()
        path.write_bytes(good[: len(good) // 2])
        with pytest.raises(ValueError, match=path.name):
            Darcy(tmp_path, workers=0, force_reload=path.suffix == ".h5", **SIZE)
        path.write_bytes(good)
    assert same(Darcy(tmp_path, workers=0, **SIZE), whole)


def test_a_flipped_bit_in_a_raw_or_processed_file_is_an_error_or_changes_nothing(whole, tmp_path):
    shutil.copytree(whole.root, tmp_path, dirs_exist_ok=True)
    chance = random.Random(0)
    for path in (*tmp_path.glob("processed/*.pt"), *tmp_path.glob("raw/*.h5")):
        good, errors = path.read_bytes(), 0
        for bit in chance.sample(range(8 * len(good)), 60):
            bad = bytearray(good)
            bad[bit // 8] ^= 1 << bit % 8
            path.write_bytes(bad)
            try:
                assert same(Darcy(tmp_path, workers=0, **SIZE), whole)
                assert path.suffix == ".h5"
            except ValueError as error:
                assert path.name in str(error)  # noqa: PT017
                errors += 1
        path.write_bytes(good)
        assert errors > 50
    assert same(Darcy(tmp_path, workers=0, **SIZE), whole)


def test_a_raw_file_under_another_name_is_refused(whole, tmp_path):
    shutil.copytree(whole.root, tmp_path, dirs_exist_ok=True)
    (raw,) = tmp_path.glob("raw/*.h5")
    for old, new, options, message in (
        ("refine2", "refine3", {"refine": 3}, "holds refine=2, not 3; remove it to have it made anew"),
        ("seed0", "seed7", {"seed": 7}, "holds seed=0, not 7"),
        ("train80", "train70", {"num_samples": 84}, "holds samples=80, not 70"),
        ("-train80", "-test16", {"split": "test"}, "holds stream='train', not 'test'; samples=80, not 16"),
    ):
        other = raw.with_name(raw.name.replace(old, new))
        assert other != raw
        shutil.copy(raw, other)
        for on_disk in (False, True):
            with pytest.raises(ValueError, match=rf"{other.name} {message}"):
                Darcy(tmp_path, workers=0, on_disk=on_disk, **{**SIZE, **options})
    assert same(Darcy(tmp_path, workers=0, **SIZE), whole)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_root_that_is_read_only_serves_what_it_has(whole, tmp_path):
    shutil.copytree(whole.root, tmp_path, dirs_exist_ok=True)
    for folder in (tmp_path, *tmp_path.glob("*")):
        folder.chmod(0o555)
    try:
        assert same(Darcy(tmp_path, workers=0, **SIZE), whole)
        with pytest.raises(OSError, match=r"cannot write to .*raw; choose another root"):
            Darcy(tmp_path, workers=0, **{**SIZE, "refine": 1})
    finally:
        for folder in (tmp_path, *tmp_path.glob("*")):
            folder.chmod(0o755)


TWO = (
    "import sys; from pyg_neuralops.datasets import Darcy; Darcy(sys.argv[1], num_samples=96, resolution=21, refine=2)"
)


def test_two_processes_on_one_root(whole, tmp_path):
    command = [sys.executable, "-c", TWO, str(tmp_path)]
    pair = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=120)[1] for process in pair]
    assert [process.returncode for process in pair] == [0, 0], said
    assert sum("80/80" in text for text in said) == 1  # one of them made it, the other waited
    assert same(Darcy(tmp_path, workers=0, **SIZE), whole)


SLOW = """
import sys, time
from torch_geometric.transforms import BaseTransform
from pyg_neuralops.datasets import Darcy

class Slow(BaseTransform):
    def forward(self, data):
        print("processing", flush=True)
        time.sleep(0.05)
        return data

Darcy(sys.argv[1], num_samples=96, resolution=21, refine=2, workers=0, pre_transform=Slow())
"""


def test_a_kill_in_the_middle_of_process(whole, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    process.stdout.readline()
    time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not [*tmp_path.glob("processed/*.pt")]
    raw = tmp_path / "raw" / whole.raw_file_names[0]
    before = raw.stat().st_mtime_ns
    assert same(Darcy(tmp_path, workers=0, **SIZE), whole)
    assert raw.stat().st_mtime_ns == before
