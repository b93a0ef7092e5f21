"""A run on a store computes the features of a run in memory, also if it is broken off."""

import numpy as np
import pytest
import xarray
from numpy.testing import assert_array_equal
from scale.cells import SEGMENT, assert_same, run, segments_of
from scale.populations import N, noisy
from scale.power import Killed, counted_writes

from hhplug import InvalidInput, Problem, open_result, simulate
from hhplug.distributed.shards import advance_shard, layout, unfinished
from hhplug.features.definitions import FEATURES

NAMES = tuple(FEATURES)
CASES = {
    "all neurons recorded": {"record_neurons": None},
    "nothing recorded": {"record": (), "spikes": "off"},
    "a gate recorded and spikes counted": {"record": ("h",), "spikes": "counts"},
    "a window over the last two segments": {"window": (0.9, 1.9)},
}


def assert_same_features(result, expected):
    assert_same(result, expected)
    assert list(result.features) == list(expected.features)
    for name, values in expected.features.items():
        assert_array_equal(result.features[name], values)


@pytest.fixture
def store(tmp_path):
    return tmp_path / "run.zarr"


@pytest.mark.parametrize("backend", ["reference", "numpy"])  # gives V to the sums, and doesn't
@pytest.mark.parametrize("case", CASES)
def test_a_store_has_the_features_of_a_run_in_memory(store, case, backend):
    arguments = {"features": NAMES, "backend": backend, **CASES[case]}
    expected = run(**arguments)
    assert np.isfinite(expected.features["V_mean"]).all()
    assert_same_features(run(store, **arguments), expected)
    assert_same_features(open_result(store), expected)
    dataset = xarray.open_zarr(store / "features", consolidated=False)
    for name in NAMES:
        assert_array_equal(dataset[name], expected.features[name])
        assert dataset[name].attrs["units"] == FEATURES[name].unit


def test_features_of_a_run_that_is_killed_go_on_from_its_last_commit(store):
    expected = run(features=NAMES)
    with counted_writes() as written:
        run(store.with_name("unbroken.zarr"), features=NAMES)
    for dies_at in (len(written) // 2, 14, len(NAMES)):
        with counted_writes(dies_at), pytest.raises(Killed):
            run(store, features=NAMES)
    kept = open_result(store)
    steps = kept.problem.n_steps
    assert steps in (SEGMENT, 2 * SEGMENT)
    assert_same_features(kept, run(features=NAMES, T=steps * kept.problem.dt))
    assert_same_features(run(store, features=NAMES), expected)


@pytest.mark.parametrize(
    ("first", "then", "words"),
    [
        ("latency", "isi_cv", r"features=\['latency'\], and this has \['isi_cv'\]"),
        ((), "isi_cv", r"features=None, and this has \['isi_cv'\]"),
        ("latency", (), r"features=\['latency'\], and this has None"),
    ],
)
def test_other_features_are_refused_in_words(store, first, then, words):
    run(store, features=first)
    with pytest.raises(InvalidInput, match=words):
        run(store, features=then)


def featured(neurons):
    problem = noisy(neurons)
    return Problem(**problem.arguments() | {"features": NAMES, "record": ()})


def test_the_features_of_shards_are_those_of_the_population(store):
    with segments_of(SEGMENT):
        plan = layout(store, featured, N, 9, "reference")
        for number in unfinished(plan):
            advance_shard(plan, featured, number, "reference")
    expected = simulate(featured(slice(0, N)), "reference")
    assert_same_features(open_result(store), expected)
    dataset = xarray.open_zarr(store / "features", consolidated=False)
    assert_array_equal(dataset.isi_cv, expected.features["isi_cv"])
