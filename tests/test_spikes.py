"""Results from spikes alone: rates, spikes after a dead time, and a Dataset."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from hhplug import InvalidInput
from hhplug.results.spikes import Spikes

# Neuron 1 never fires, 2 does once, 4 became NaN.
TRAINS = {0: [10.0, 30.0, 55.0, 90.0], 2: [42.0], 3: [50.0, 50.5, 51.0], 4: [20.0, 40.0]}


def spikes(trains=TRAINS, valid=(True, True, True, True, False)):
    neuron = np.repeat(list(trains), [len(times) for times in trains.values()]).astype(np.int64)
    return Spikes(neuron, np.concatenate([*trains.values(), []]), np.array(valid))


def test_a_rate_is_the_inverse_of_the_mean_interval_in_the_window():
    with pytest.warns(RuntimeWarning, match="1 of 5 neurons have a single spike between 0 and 100"):
        rate = spikes().firing_rate(0.0, 100.0)
    # 3 intervals in 80 ms; none; one spike alone; 2 in 1 ms; NaN.
    assert_allclose(rate, [37.5, 0.0, np.nan, 2000.0, np.nan], rtol=1e-15)


def test_a_window_holds_the_spikes_from_its_start_to_its_end():
    with pytest.warns(RuntimeWarning, match="1 of 5"):  # the neuron that became NaN is not counted
        rate = spikes().firing_rate(30.0, 55.0)
    assert_allclose(rate, [40.0, 0.0, np.nan, 2000.0, np.nan], rtol=1e-15)
    assert_array_equal(spikes().firing_rate(60.0, 80.0), [0.0, 0.0, 0.0, 0.0, np.nan])


def test_counting_divides_by_the_length_of_the_window_and_warns_of_nothing():
    rate = spikes().firing_rate(0.0, 50.0, method="count")
    assert_allclose(rate, [40.0, 0.0, 20.0, 20.0, np.nan], rtol=1e-15)


def test_the_warning_of_single_spikes_proposes_a_method_that_gives_a_rate():
    with pytest.warns(RuntimeWarning, match=r"use a longer run, a wider window .* method='count'"):
        spikes().firing_rate(20.0, 45.0)
    assert np.isfinite(spikes().firing_rate(20.0, 45.0, method="count")[:4]).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0.0, 10.0, "mean"), "unknown method 'mean'; choose from isi, count"),
        ((10.0, 10.0), "stop must be later than start=10.0 ms"),
        ((np.nan, 10.0), "start must be a finite number of ms"),
    ],
)
def test_a_window_or_method_that_gives_no_rate_is_refused(arguments, words):
    with pytest.raises(InvalidInput, match=words):
        spikes().firing_rate(*arguments)


def test_spikes_too_soon_after_one_that_was_kept_are_left_out():
    trains = {0: [1.0, 1.5, 2.9, 3.0, 5.1], 2: [0.0, 2.0], 3: [4.0]}
    left = spikes(trains).refractory(2.0)
    # 1.5 and 2.9 are within 2 ms of 1.0. 3.0 is kept, and 5.1 is 2.1 ms later.
    assert_array_equal(left.neuron, [0, 0, 0, 2, 2, 3])
    assert_array_equal(left.time, [1.0, 3.0, 5.1, 0.0, 2.0, 4.0])
    assert len(left.valid) == 5


trains_of_spikes = st.dictionaries(
    st.integers(0, 4), st.lists(st.floats(0.0, 20.0), max_size=12).map(sorted), max_size=5
).map(lambda trains: dict(sorted(trains.items())))


@given(trains_of_spikes, st.floats(0.01, 10.0))
def test_a_dead_time_agrees_with_a_loop_over_each_train(trains, ms):
    expected = {}
    for neuron, times in trains.items():
        kept = expected.setdefault(neuron, [])
        for time in times:
            if not kept or time - kept[-1] >= ms:
                kept.append(time)
    left, expected = spikes(trains).refractory(ms), spikes(expected)
    assert_array_equal(left.neuron, expected.neuron)
    assert_array_equal(left.time, expected.time)


@pytest.mark.parametrize("ms", [0.0, -1.0, np.nan])
def test_a_dead_time_is_positive(ms):
    with pytest.raises(InvalidInput, match="ms must be a positive number of ms"):
        spikes().refractory(ms)


def test_a_noisy_crossing_counts_once_after_a_dead_time():
    # An upstroke that crosses 0 mV up, down and up again within 0.2 ms, twice.
    double = spikes({0: [10.0, 10.15, 40.0, 40.2]}, valid=[True])
    assert double.firing_rate(0.0, 50.0) == pytest.approx(3 / 30.2e-3)
    assert double.refractory(1.0).firing_rate(0.0, 50.0) == pytest.approx(1 / 30e-3)


def test_the_dataset_of_spikes_names_neuron_time_and_validity():
    pytest.importorskip("xarray")
    data = spikes().to_xarray()
    assert dict(data.sizes) == {"spike": 10}
    assert_array_equal(data["time"], spikes().time)
    assert data["time"].attrs["units"] == "ms"
    assert_array_equal(data["neuron"], spikes().neuron)
    assert_array_equal(data["valid"], spikes().neuron != 4)
    assert data.attrs["n_neurons"] == 5
    assert data.identical(spikes().to_xarray())
