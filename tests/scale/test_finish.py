"""`hhplug finish` joins the spikes of a store, which then has them in one group."""

import numpy as np
import pytest
import xarray
from numpy.testing import assert_array_equal
from scale import populations
from scale.cells import SEGMENT, assert_same, run, segments_of
from scale.populations import N
from scale.power import Killed, counted_writes

from hhplug import cli, open_result, simulate
from hhplug.distributed.shards import advance_shard, layout, unfinished
from hhplug.stores.store import RunStore
from hhplug.stores.trains import join_spikes


@pytest.fixture(scope="module")
def population():
    return simulate(populations.noisy(slice(0, N)), "reference")


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "run.zarr"
    with segments_of(SEGMENT):
        plan = layout(path, populations.noisy, N, 6, "reference")
        for number in unfinished(plan):
            advance_shard(plan, populations.noisy, number, "reference")
    return path


@pytest.mark.parametrize("at_once", [2**25, 5])
def test_the_joined_spikes_are_those_of_the_population(store, population, at_once, monkeypatch):
    monkeypatch.setattr("hhplug.stores.trains.SPIKES_AT_ONCE", at_once)
    monkeypatch.setattr("hhplug.stores.trains.CHUNK", 4)
    assert cli.main(["finish", str(store)]) == 0
    spikes = xarray.open_zarr(store / "spikes", consolidated=False)
    assert spikes.sizes["spike"] == len(population.spikes) >= N
    assert_array_equal(spikes.neuron, population.spikes.neuron)
    assert_array_equal(spikes.time, population.spikes.time)
    assert spikes.time.attrs["units"] == "ms"
    assert_array_equal(np.diff(spikes["index"], prepend=0), population.spike_count)


def test_the_spikes_of_segments_can_be_removed_once_they_are_joined(store, population, capsys):
    for _ in range(2):
        assert cli.main(["finish", str(store), "--remove-segments"]) == 0
        assert f"{len(population.spikes)} spikes, sorted" in capsys.readouterr().out
        assert list(store.glob("shards/*/spikes")) == []
        assert_same(open_result(store), population)


def test_a_process_that_is_killed_leaves_no_part_of_the_joined_spikes(store, population):
    with counted_writes(dies_at=6), pytest.raises(Killed):
        join_spikes(RunStore(store))
    assert not (store / "spikes").exists()
    assert_same(open_result(store), population)
    assert join_spikes(RunStore(store)) == len(population.spikes)


@pytest.mark.parametrize(
    ("spikes", "words"),
    [("counts", "has no spike times"), ("times", "1 of 1 shards of .* aren't complete")],
)
def test_a_store_without_all_spikes_is_refused(tmp_path, spikes, words, capsys):
    store = tmp_path / "run.zarr"
    with counted_writes(dies_at=35), pytest.raises(Killed):
        run(store, spikes=spikes)
    assert cli.main(["finish", str(store)]) == 2
    assert words.partition(".*")[0] in capsys.readouterr().err
