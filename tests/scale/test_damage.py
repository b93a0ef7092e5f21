"""What a store says of files that are damaged or can't be written."""

import shutil
from unittest.mock import patch

import numpy as np
import pytest
from scale.cells import assert_same, run
from scale.power import counted_writes, full_disk

from hhplug import InvalidInput, open_result
from hhplug.stores.store import RunStore


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    path = tmp_path_factory.mktemp("stored") / "run.zarr"
    run(path)
    return path


@pytest.fixture
def store(stored, tmp_path):
    return shutil.copytree(stored, tmp_path / "run.zarr")


def cut(store, pattern):
    """Cut the last file that a pattern finds to its first half, as power loss may."""
    file = sorted(store.glob(pattern))[-1]
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    return file


DAMAGED = {
    "shards/000000/checkpoint/c/0": "checkpoint is damaged: .*; delete .*/checkpoint and .*/c/0,",
    "shards/000000/checkpoint/zarr.json": "checkpoint is damaged: ",
    "shards/000000/problem/stimulus/0/mean/c/0": "mean is damaged: ",
    "V/c/*/*": "V is damaged: .*; run it anew in another folder",
    "shards/000000/spikes/*/time/c/0": "spikes/.*/time is damaged: ",
    "zarr.json": "is not a store of hhplug, or damaged",
}


@pytest.mark.parametrize("pattern", DAMAGED)
def test_a_damaged_file_is_named(store, pattern):
    cut(store, pattern)
    with pytest.raises(InvalidInput, match=DAMAGED[pattern]):
        np.asarray((result := open_result(store)).V), result.spikes.time


def test_a_shard_whose_checkpoint_is_deleted_is_computed_anew(store):
    cut(store, "shards/000000/checkpoint/c/0")
    shutil.rmtree(store / "shards/000000/checkpoint")
    (store / "progress/c/0").unlink()
    assert_same(run(store), run())


def test_a_full_disk_leaves_no_half_made_plan(tmp_path):
    store = tmp_path / "run.zarr"
    with (
        counted_writes(dies_at=5, error=full_disk()),
        pytest.raises(OSError, match=r"No space left on device; .*run.zarr isn't made"),
    ):
        run(store)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_keeps_the_plan_when_the_problem_cannot_be_written(tmp_path):
    store = tmp_path / "run.zarr"
    with (
        patch("hhplug.stores.shard.put", side_effect=full_disk()),
        pytest.raises(OSError, match=r"No space left on device; .*run.zarr is kept, and the same"),
    ):
        run(store)
    assert RunStore(store).segments_done().tolist() == [0]
    assert_same(run(store), run())
