"""The memory check of a recording, its blocks and its spikes."""

import tracemalloc
from itertools import pairwise
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from hhplug import ContractViolation, NotEnoughMemory, Problem, Stimulus
from hhplug.running.memory_recorder import MemoryRecorder
from hhplug.state import State


@pytest.fixture
def free(monkeypatch):
    """Return a function that sets the free memory, in bytes."""

    def set_free(size):
        monkeypatch.setattr("hhplug.running.memory_check.free_memory", lambda: int(size))

    return set_free


def big(**arguments):
    """Return a problem that by default records 40 GB: 4 bytes, 1,000,000 neurons, 10,000 steps."""
    defaults = {"T": 100.0, "dt": 0.01, "batch_size": 10**6, "dtype": "float32"}
    return Problem(**(defaults | arguments))


def test_a_refusal_says_how_much_is_needed_how_much_is_free_and_a_remedy(free):
    free(20.1e9)
    with pytest.raises(NotEnoughMemory) as error:
        MemoryRecorder(big())
    message = str(error.value)
    assert "recording V every step of 1,000,000 neurons for 10,000 steps" in message
    assert "needs 40.0 GB, and 20.1 GB is free" in message
    # 20 GB, for every second step, would leave 0.1 GB for everything else.
    assert "record_every=5 (8.0 GB)" in message
    assert "record=()" in message


@pytest.mark.parametrize(
    ("arguments", "described", "needed"),
    [
        ({"dtype": "float64"}, "recording V every step", "80.0 GB"),
        ({"record_all": True}, "recording V, m, h and n every step", "160.0 GB"),
        ({"record": ("m", "V")}, "recording m and V every step", "80.0 GB"),
        ({"record_every": 3}, "every 3 steps of", "13.3 GB"),  # 3334 of the 10,000 steps
        ({"record_neurons": range(0, 10**6, 4)}, "of 250,000 neurons", "10.0 GB"),
        ({"T": 10.0}, "for 1,000 steps", "4.0 GB"),
    ],
)
def test_the_memory_needed_is_that_of_the_recorded_values(free, arguments, described, needed):
    free(1e9)
    with pytest.raises(NotEnoughMemory) as error:
        MemoryRecorder(big(**arguments))
    assert described in str(error.value)
    assert f"needs {needed}" in str(error.value)


def test_free_memory_is_queried_once_if_it_suffices(monkeypatch):
    asked = Mock(return_value=10**12)
    monkeypatch.setattr("hhplug.running.memory_check.free_memory", asked)
    MemoryRecorder(Problem(50.0, 0.01, batch_size=1000, dtype="float32"))  # 20 MB
    assert asked.call_count == 1  # each takes 0.3 ms in a container


def test_nothing_is_allocated_before_a_refusal(free):
    free(10e6)
    problem = Problem(10.0, 0.01, batch_size=10_000, dtype="float64")
    tracemalloc.start()
    with pytest.raises(NotEnoughMemory, match=r"80\.0 MB.* 10\.0 MB"):
        MemoryRecorder(problem)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6


@pytest.mark.parametrize(
    ("arguments", "free_bytes", "every", "size"),
    [
        # Without record_every 40 MB, a sample 4 kB; 95 % of what is free may be taken.
        ({}, 42.0e6, 2, "20.0 MB"),
        ({}, 39.9e6, 2, "20.0 MB"),
        ({}, 20.1e6, 5, "8.0 MB"),
        ({}, 3e6, 20, "2.0 MB"),
        ({}, 70e3, 1000, "0.0 MB"),
        ({"record_every": 3}, 10e6, 5, "8.0 MB"),
        ({"record_every": 3}, 3e6, 20, "2.0 MB"),
        ({"start_step": 9_999}, 3e6, 20, "2.0 MB"),
    ],
)
def test_the_least_of_1_2_5_10_20_that_fits_is_advised(
    free, monkeypatch, arguments, free_bytes, every, size
):
    monkeypatch.setattr("hhplug.running.memory_check.UNCHECKED_BYTES", 0)
    monkeypatch.setattr("hhplug.running.memory_check.ROWS", 0)
    free(free_bytes)
    problem = {"batch_size": 1000} | arguments
    with pytest.raises(NotEnoughMemory, match=rf"use record_every={every} \({size}\)"):
        MemoryRecorder(big(**problem))
    assert MemoryRecorder(big(**problem | {"record_every": every})).samples["V"].size > 0


def test_no_record_every_is_advised_if_even_one_sample_does_not_fit(free, monkeypatch):
    # A sample of four float64 variables is 32 MB; the states would be refused first.
    problem = Problem(
        1e6,
        1.0,
        batch_size=10**6,
        dtype="float64",
        record_all=True,
    )
    monkeypatch.setattr("hhplug.running.memory_check.ROWS", 0)
    free(30e6)
    with pytest.raises(NotEnoughMemory) as error:
        MemoryRecorder(problem)
    assert "record_every" not in str(error.value)
    assert "use record_neurons for some of them or record=() for spikes alone" in str(error.value)


def test_a_population_whose_states_do_not_fit_is_refused(free):
    free(1e9)
    problem = Problem(1.0, batch_size=10**9, record=(), dtype="float32")
    with pytest.raises(NotEnoughMemory, match=r"states of 1,000,000,000 neurons need 160\.0 GB"):
        MemoryRecorder(problem)


def test_amplitudes_per_neuron_are_counted(free):
    free(1e9)
    amplitudes = sum(Stimulus.constant(np.ones(5_000_000)) for _ in range(4))
    MemoryRecorder(Problem(1.0, stimulus=sum([Stimulus.constant(1.0)] * 99), record=()))
    with pytest.raises(NotEnoughMemory, match=r"states of 5,000,000 neurons need 1\.0 GB"):
        MemoryRecorder(Problem(1.0, stimulus=amplitudes, record=(), dtype="float32"))


def test_a_recording_that_fits_only_without_the_neurons_is_refused(free):
    free(250e6)
    problem = Problem(0.16, 0.01, batch_size=1_200_000, dtype="float32")
    with pytest.raises(NotEnoughMemory, match=r"needs 76\.8 MB beside 0\.2 GB for the neurons"):
        MemoryRecorder(problem)


def test_the_advised_record_every_fits_where_samples_do_not_divide_evenly(free, monkeypatch):
    # A sample takes 8 MB, and 20 MB are free. Every second of the five steps is three samples.
    free(21.06e6)
    problem = Problem(5.0, 1.0, batch_size=2_000_000, dtype="float32")
    monkeypatch.setattr("hhplug.running.memory_check.ROWS", 0)
    with pytest.raises(NotEnoughMemory) as error:
        MemoryRecorder(problem)
    assert "record_every=5 (8.0 MB)" in str(error.value)


def test_a_recording_that_fits_is_made(free):
    free(1e6)
    problem = Problem(1.0, 0.01, batch_size=100, dtype="float64", record=("V", "h"), record_every=3)
    samples = MemoryRecorder(problem).samples
    assert {name: (a.shape, a.dtype) for name, a in samples.items()} == {
        "V": ((34, 100), np.float64),
        "h": ((34, 100), np.float64),
    }


@given(
    n_steps=st.integers(1, 60),
    start_step=st.integers(0, 40),
    every=st.integers(1, 25),
    data=st.data(),
)
def test_the_arrays_of_the_blocks_make_up_the_samples_however_a_run_is_cut(
    n_steps, start_step, every, data
):
    problem = Problem(
        n_steps, 1.0, start_step=start_step, record_every=every, record=("V", "n"), batch_size=2
    )
    recorder = MemoryRecorder(problem)
    for array in recorder.samples.values():
        array[:] = -1
    cuts = sorted(data.draw(st.sets(st.integers(1, n_steps - 1)))) if n_steps > 1 else []
    edges = [start_step + cut for cut in (0, *cuts, n_steps)]
    for first, end in pairwise(edges):
        kept = [k for k in range(first, end) if k % every == 0]
        block = recorder.block(first, end - first)
        for name in ("V", "n"):
            rows = block.samples[name]
            assert rows.shape == (len(kept), 2)
            assert np.shares_memory(rows, recorder.samples[name]) or not kept
            rows[:] = np.reshape(kept, (-1, 1))
    expected = [k for k in range(start_step, start_step + n_steps) if k % every == 0]
    for array in recorder.samples.values():
        assert_array_equal(array, np.repeat(np.reshape(expected, (-1, 1)), 2, axis=1))


def test_every_block_counts_spikes_in_the_same_array():
    recorder = MemoryRecorder(Problem(1.0, 0.1, batch_size=3))
    for first in (0, 5):
        recorder.block(first, 5).spike_count[1] += 1
    assert_array_equal(recorder.spike_count, [0, 2, 0])


FINAL = State(np.zeros((4, 1)))  # these tests don't look at it


def record_spikes(problem, *blocks):
    """Return a recording of blocks, each a list of (neuron, step, fraction) arrays."""
    recorder = MemoryRecorder(problem)
    for spikes in blocks:
        block = recorder.block(problem.start_step, 1)
        for neuron, step, fraction in spikes:
            block.add_spikes(np.asarray(neuron), np.asarray(step), np.asarray(fraction))
            np.add.at(recorder.spike_count, neuron, 1)
        recorder.collect(block)
    return recorder


@pytest.mark.parametrize("neuron_dtype", [np.int64, np.int32, np.uint32, np.uint16])
@pytest.mark.parametrize("step_dtype", [np.int64, np.int32, np.uint32])
def test_spikes_are_sorted_by_neuron_then_time_whatever_order_they_come_in(
    neuron_dtype, step_dtype
):
    problem = Problem(100.0, 0.01, batch_size=7, start_step=500, dtype="float32")
    rng = np.random.default_rng(5)
    neuron, step = (a.ravel() for a in np.meshgrid(range(7), range(500, 10_500, 40)))
    fraction = rng.random(len(neuron), np.float32)
    shuffled = np.array_split(rng.permutation(len(neuron)), 6)
    parts = [
        (neuron[i].astype(neuron_dtype), step[i].astype(step_dtype), fraction[i]) for i in shuffled
    ]
    spikes = (
        record_spikes(problem, parts[:1], [], parts[1:4], parts[4:])
        .finish(problem.n_steps, FINAL)
        .spikes
    )
    order = np.lexsort((step, neuron))
    assert_array_equal(spikes.neuron, neuron[order])
    assert_array_equal(spikes.time, (step + fraction.astype(np.float64))[order] * 0.01)


@pytest.mark.parametrize(
    "n_steps",
    [
        1000,  # the neuron shifted by 10 bits reaches 3e9, past an int32, …
        5
        * 10**11,  # … by 39 bits 1.6e18, with the place of each spike 1.2e19, past an int64, and …
        2 * 10**12,  # … the neuron shifted by 41 bits 6.6e18, an int64 with no bit to spare
    ],
)
def test_spikes_of_a_large_population_are_sorted_without_overflow(n_steps):
    n, last = 3_000_000, n_steps - 1
    problem = Problem(n_steps, 1.0, batch_size=n, record=())
    neuron = np.array([n - 1, 0, 2_200_000, n - 1], np.int32)
    step = np.array([last, last, 1, 0])
    fraction = np.array([0.0, 0.25, 0.5, 0.75])
    spikes = (
        record_spikes(problem, [(neuron, step, fraction)]).finish(problem.n_steps, FINAL).spikes
    )
    assert_array_equal(spikes.neuron, [0, 2_200_000, n - 1, n - 1])
    assert_array_equal(spikes.time, [last + 0.25, 1.5, 0.75, last])


def test_the_time_of_a_spike_is_step_plus_fraction_times_dt():
    problem = Problem(10.0, 0.5, batch_size=3, start_step=1000)
    spikes = (
        record_spikes(problem, [([2, 0], [1019, 1000], [0.25, 1.0])])
        .finish(problem.n_steps, FINAL)
        .spikes
    )
    assert_array_equal(spikes.neuron, [0, 2])
    assert_array_equal(spikes.time, [500.5, 509.625])  # (1000 + 1)/2 and (1019 + 0.25)/2


def test_a_run_without_spikes_has_empty_arrays():
    spikes = record_spikes(Problem(1.0, 0.1), []).finish(10, FINAL).spikes
    assert len(spikes) == len(spikes.time) == 0


@pytest.mark.parametrize("counted", [1, 3])
def test_a_count_that_differs_from_the_spike_times_breaks_the_contract(counted):
    recorder = record_spikes(Problem(1.0, 0.1, batch_size=2), [([0, 1], [3, 4], [0.5, 0.5])])
    recorder.spike_count[:] = [0, counted]
    with pytest.raises(ContractViolation, match=f"counted {counted} spikes but .* times of 2"):
        recorder.finish(10, FINAL)


def test_spike_times_that_no_longer_fit_are_refused_with_a_remedy(free, monkeypatch):
    free(1e9)
    monkeypatch.setattr("hhplug.running.memory_recorder.SORTING_BYTES", 4e8)
    problem = Problem(1.0, 0.1, batch_size=2)
    record_spikes(problem, [([0, 1], [3, 4], [0.5, 0.5])])
    with pytest.raises(NotEnoughMemory, match=r"3 spike times so far.*1\.0 GB.*spikes='counts'"):
        record_spikes(problem, [([0, 1], [3, 4], [0.5, 0.5])], [([0], [7], [0.5])])


def test_memory_that_spikes_already_take_is_not_counted_twice(free):
    problem, n = Problem(1.0, 0.1, batch_size=2), 12_000_000
    neuron, step = np.zeros(n, np.int64), np.ones(n, np.int64)
    free(290e6)  # besides 144 MB of spikes; at most 432 MB are in use
    record_spikes(problem, [(neuron, step, step.astype(np.float32))])
    free(280e6)
    with pytest.raises(NotEnoughMemory, match="12,000,000 spike times so far"):
        record_spikes(problem, [(neuron, step, step.astype(np.float32))])


def test_a_failed_allocation_is_reported_even_if_nothing_is_recorded(monkeypatch):
    problem = Problem(1.0, 0.1, batch_size=7, record=(), dtype="float32")
    assert problem.current.separable  # it is made now, since it allocates too
    monkeypatch.setattr(
        "hhplug.running.memory_recorder.np.zeros", Mock(side_effect=MemoryError("no"))
    )
    with pytest.raises(NotEnoughMemory, match="no room for 10 samples of 7 neurons: no"):
        MemoryRecorder(problem)


def test_a_small_recording_does_not_query_free_memory(free):
    free(0)
    assert (
        MemoryRecorder(Problem(1.0, batch_size=1000, dtype="float32")).samples["V"].size == 100_000
    )
    with pytest.raises(NotEnoughMemory):
        MemoryRecorder(Problem(50.0, batch_size=1000, dtype="float32"))
