"""A run on a store that is killed at any write, and run again, ends as the unbroken run."""

import os
from unittest.mock import patch

import pytest
from scale.cells import SEGMENT, assert_same, run
from scale.power import Killed, counted_writes, full_disk

from hhplug import InvalidInput, open_result
from hhplug.stores.shard import Shard

EVERY = 1 if os.environ.get("HHPLUG_KILL_AT_EVERY_WRITE") else 13  # CI tries each write

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of a torn object's values


@pytest.fixture(scope="module")
def unbroken():
    return run()


@pytest.fixture(scope="module")
def n_writes(tmp_path_factory):
    with counted_writes() as written:
        run(tmp_path_factory.mktemp("unbroken") / "run.zarr")
    return len(written)


def lost_after_a_kill(folder, unbroken, writes, **fault):
    """Yield the writes at which a kill loses or spoils something."""
    for k in writes:
        store = folder / f"{k}.zarr"
        with counted_writes(dies_at=k, **fault), pytest.raises(Killed):
            run(store)
        try:
            assert_same(run(store), unbroken)
        except Exception:
            yield k


def test_a_run_killed_at_any_write_ends_as_the_unbroken_run(tmp_path, unbroken, n_writes):
    writes = range(0, n_writes, EVERY)
    assert list(lost_after_a_kill(tmp_path, unbroken, writes)) == []


def test_a_store_that_writes_in_place_would_be_caught(tmp_path, unbroken, n_writes):
    late = range(n_writes - 1, 0, -1)
    lost = lost_after_a_kill(tmp_path, unbroken, late, torn="in place")
    assert next(lost, None) is not None


def test_a_commit_before_its_cells_are_written_would_be_caught(tmp_path, unbroken, n_writes):
    write, commit, late = Shard.write, Shard.commit, []

    def commits_first(shard, problem, done):
        commit(shard, problem, done)
        while late:
            write(*late.pop())

    with (
        patch.object(Shard, "write", lambda *cell: late.append(cell)),
        patch.object(Shard, "commit", commits_first),
    ):
        assert_same(run(tmp_path / "unbroken.zarr"), unbroken)
        killed = lost_after_a_kill(tmp_path, unbroken, range(n_writes - 3, 0, -1))
        assert next(killed, None) is not None


def test_a_commit_is_the_write_of_one_file_however_large_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr("hhplug.stores.arrays.BYTES_AT_ONCE", 64)  # of checkpoints of 600 bytes
    with counted_writes() as written:
        run(tmp_path / "run.zarr")
    checkpoint = "shards/000000/checkpoint"
    commits = [key for key in written if key.startswith(f"{checkpoint}/c/")]
    assert commits == 3 * [f"{checkpoint}/c/0"]


def test_a_run_that_is_killed_again_and_again_gets_there(tmp_path, unbroken):
    store = tmp_path / "run.zarr"
    for dies_at in (9, 20, 13, 6, 9, 3):
        with counted_writes(dies_at), pytest.raises(Killed):
            run(store)
    assert_same(run(store), unbroken)


def test_a_full_disk_keeps_what_is_committed_and_the_run_goes_on(tmp_path, unbroken, n_writes):
    store = tmp_path / "run.zarr"
    with (
        counted_writes(dies_at=n_writes * 3 // 4, error=full_disk()),
        pytest.raises(OSError, match=r"No space left on device; .*run.zarr keeps what is commit"),
    ):
        run(store)
    kept = open_result(store)
    steps = kept.problem.n_steps
    assert steps % SEGMENT == 0
    assert_same(kept, run(T=steps * kept.problem.dt))
    assert_same(run(store), unbroken)


def test_a_store_in_which_nothing_is_committed_says_so(tmp_path):
    store = tmp_path / "run.zarr"
    with counted_writes(dies_at=20), pytest.raises(Killed):
        run(store)
    with pytest.raises(InvalidInput, match=r"nothing is computed yet in .*; run it again"):
        open_result(store)
