"""Features in the kernel, compiled as C++ and run on the CPU by the backend's own sessions."""

import numpy as np
import on_host
import pytest
from scale.cells import segments_of
from scale.power import Killed, counted_writes

from hhplug import Stimulus, open_result, simulate
from hhplug.testing.features import (
    ALL,
    DT,
    LENGTHS,
    START,
    N,
    assert_features_are_the_core_s,
    by_the_core,
    feature_problem,
    features_in_blocks,
)
from hhplug.testing.kit import assert_equal

STEPS = 300  # two stretches and parts of two
SEGMENT = 70  # steps of a store's segments
DTYPES = ("float32", "float64")


def assert_same(found, expected):
    for name, values in expected.items():
        assert_equal(found[name], values, name)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_features_are_the_core_s_bit_for_bit(dtype):
    assert_features_are_the_core_s(on_host.opened(), dtype, STEPS)


@pytest.mark.parametrize("window", [None, (START * DT, (START + 1) * DT), (200 * DT, 256 * DT)])
def test_a_window_may_begin_and_end_anywhere_and_noise_may_be_computed_beside(window):
    noisy = Stimulus.ornstein_uhlenbeck(0.0, np.linspace(0.0, 500.0, N), 0.1, seed=1952)
    problem = feature_problem(STEPS, "float32", stimulus=noisy, window=window)
    expected, _ = features_in_blocks(by_the_core(on_host.opened()), problem, [STEPS])
    for lengths in ([STEPS], [128], [1, 57], LENGTHS):
        found, _ = features_in_blocks(on_host.opened(), problem, lengths)
        assert_same(found, expected)


def test_a_block_whose_spikes_did_not_fit_is_repeated_without_its_features():
    problem = feature_problem(STEPS, "float32", spikes="times")
    expected, _ = features_in_blocks(on_host.opened(), problem, [60])
    with on_host.no_room_for_spikes() as replayed:
        found, _ = features_in_blocks(on_host.opened(), problem, [60])
    assert replayed.called
    assert_same(found, expected)


def test_a_store_has_the_features_of_the_kernel_also_after_a_kill(tmp_path):
    problem = feature_problem(STEPS, "float32", record=("V",), record_every=7, spikes="times")
    backend = on_host.opened()
    expected = simulate(problem, backend)
    with segments_of(SEGMENT):
        with counted_writes(dies_at=60), pytest.raises(Killed):
            simulate(problem, backend, store=tmp_path / "run.zarr")
        assert 0 < open_result(tmp_path / "run.zarr").problem.n_steps < STEPS
        result = simulate(problem, backend, store=tmp_path / "run.zarr")
    assert_equal(np.asarray(result.V), expected.V, "V")
    assert_same(result.features, expected.features)
    assert_same(open_result(tmp_path / "run.zarr").features, expected.features)


def test_a_run_that_ends_before_its_window_has_no_features_yet():
    late = feature_problem(STEPS, "float32", window=(250 * DT, 300 * DT))
    begun, state = features_in_blocks(on_host.opened(), late.shortened(100))
    assert all(np.isnan(begun[name]).all() for name in ALL if name != "spike_count")
    assert (begun["spike_count"] == 0).all()
    rest = late.between(START + 100, late.end_step).continuing(state)
    whole, _ = features_in_blocks(on_host.opened(), late, [STEPS])
    assert_same(features_in_blocks(on_host.opened(), rest)[0], whole)
