"""What a store says of files that are damaged or can't be written."""

import shutil
from unittest.mock import patch

import numpy as np
import pytest
from scale.cells import SEGMENT, assert_same, run
from scale.power import Killed, counted_writes, full_disk

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
    "shards/000000/begun/zarr.json": "begun is damaged: .*; run it anew in another folder",
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


LOST = {
    "shards/000000/checkpoint/c/0": "checkpoint/c/0 is missing; delete .*/checkpoint and .*/c/0,",
    "shards/000000/checkpoint/zarr.json": "checkpoint is missing; delete .*/checkpoint and ",
    "shards/000000/begun/zarr.json": "begun is missing; run it anew in another folder",
    "shards/000000/problem/stimulus/0/mean/c/0": "mean/c/0 is missing; run it anew in another",
    "V/c/*/*": "V/c/2/0 is missing; run it anew in another folder",
    "V/zarr.json": "V is missing; run it anew in another folder",
    "shards/000000/spikes/*/neuron/c/0": "spikes/000000/neuron/c/0 is missing",
    "shards/000000/spikes/*/time/zarr.json": "spikes/000002/time is missing",
}


@pytest.mark.parametrize("pattern", LOST)
def test_a_file_that_was_deleted_is_named_and_not_read_as_fill_values(store, pattern):
    sorted(store.glob(pattern))[-1].unlink()
    with pytest.raises(InvalidInput, match=LOST[pattern]):
        np.asarray((result := open_result(store)).V), result.spikes.time
    if "begun" in pattern or "checkpoint" in pattern:
        with pytest.raises(InvalidInput, match=LOST[pattern]):
            run(store)


def test_a_result_whose_store_was_moved_says_so(store, tmp_path):
    result = open_result(store)
    store.rename(tmp_path / "elsewhere.zarr")
    with pytest.raises(InvalidInput, match=r"run.zarr/V/c/0/0 is missing"):
        np.asarray(result.V)
    assert not store.exists()


def test_progress_that_is_lost_or_damaged_is_written_again(store, stored):
    (store / "progress/c/0").unlink()
    assert_same(open_result(store), open_result(stored))
    run(store)
    file = cut(store, "progress/c/0")
    with pytest.raises(InvalidInput, match=r"progress is damaged: .*; delete the files in .*/c, "):
        run(store)
    file.unlink()
    run(store)
    assert RunStore(store).segments_done().tolist() == [3]


@pytest.mark.parametrize("damage", [b"", b"torn by the end of a machine"])
def test_damaged_files_that_were_never_committed_are_written_again(tmp_path, damage):
    store = tmp_path / "run.zarr"
    with counted_writes(dies_at=46), pytest.raises(Killed):
        run(store)
    assert open_result(store).problem.n_steps == 2 * SEGMENT
    last = [*store.glob("V/c/2/*"), *store.glob("shards/000000/spikes/000002/*/zarr.json")]
    assert len(last) == 3
    for file in [*last, store / "spike_count/c/0"]:
        file.write_bytes(damage)
    assert_same(run(store), run())


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
