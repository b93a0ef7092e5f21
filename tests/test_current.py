"""A current as backends see it: its rows, waveforms, means and active steps."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from stimuli import MIXED, ROUNDING

from hhplug import Stimulus
from hhplug.currents.current import ArrayCurrent
from hhplug.currents.pieces import PIECE


@pytest.mark.parametrize("as_array", [False, True])
def test_the_mean_of_a_sine_over_whole_periods_is_zero(as_array):
    stimulus = Stimulus.sine([-5.0, 0.0, 5.0], 100.0)  # ten periods
    current = ArrayCurrent(stimulus.sample(0.01, 10_000), 0) if as_array else stimulus.current(0.01)
    assert_array_equal(current.mean(0, 10_000), [0.0, 0.0, 0.0])


def test_the_rounding_error_of_a_sum_counts_as_zero_current():
    stimulus = Stimulus.constant(0.1) + Stimulus.constant(0.2) - Stimulus.constant(0.3)
    assert stimulus.sample(0.1, 1)[0] != 0.0
    stimulus += Stimulus.step(5.0, 0.3, 0.7)
    assert stimulus.current(0.1).active_steps(0, 20) == range(3, 7)


N_STEPS = 67
COMPUTED = (
    Stimulus.step([1.0, 2.0, 3.0], 0.5, [1.0, 2.0, 4.0])
    + Stimulus.sine(2.0, [37.0, 50.0, 600.0], 0.4, offset=[1, 2, 3])
    + Stimulus.pulse_train(1.0, 0.1, [0.3, 0.1, 0.7], 0.7, 9)
    + Stimulus.constant(0.25)
)
NOISY = (
    COMPUTED
    + Stimulus.ornstein_uhlenbeck(1.0, [0.5, 1.0, 2.0], tau=1.5, seed=1)
    + Stimulus.white_noise(0.1, seed=1)
)


@pytest.mark.parametrize("stimulus", [Stimulus(), Stimulus.step(2.0, 1, 3), MIXED, COMPUTED])
@given(st.integers(0, N_STEPS - 1), st.data())
def test_the_rows_of_a_separable_current_equal_the_sample_wherever_it_is_cut(stimulus, first, data):
    count = data.draw(st.integers(1, N_STEPS - first))
    sampled = stimulus.sample(0.07, N_STEPS).reshape(N_STEPS, -1)[first : first + count]
    current = stimulus.current(0.07)
    assert_array_equal(list(current.rows(first, count)), sampled)
    assert_allclose(current.mean(first, count), sampled.mean(axis=0), rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("n", [1, 2, 3, 31, 257])
def test_gain_times_waveform_is_summed_in_the_order_of_the_terms_to_the_last_bit(n):
    rng = np.random.default_rng(n)
    amplitudes = rng.uniform(-10, 10, (12, n))
    current = sum(map(Stimulus.constant, amplitudes)).current(0.1)
    one_after_the_other = np.zeros(n)
    for amplitude in amplitudes:
        one_after_the_other += amplitude
    (row,) = current.rows(5, 1)
    assert_array_equal(row, one_after_the_other)
    assert_array_equal(current.gain, amplitudes)
    assert_array_equal(current.waveform(5, 3), np.ones((3, 12)))


def test_a_waveform_far_into_a_run_counts_from_time_zero():
    # 100 s to 100.01 s at 0.01 ms: on in step 10,000,000 alone.
    pulse = Stimulus.step(1.0, 100_000.0, 100_000.01).current(0.01)
    assert_array_equal(pulse.waveform(9_999_999, 3), [[0], [1], [0]])
    # 250 Hz at 1 ms: the middle of step 10,000,001 is 3/8 of a turn after a whole number of them.
    sine = Stimulus.sine(1.0, 250.0).current(1.0)
    wave = sine.waveform(10_000_001, 1)[0, 0]
    assert abs(wave - math.sqrt(0.5)) < 1e-8  # 2π · 2.5e6 turns has an ulp of 1.9e-9


LONG = 3 * PIECE + 5


@pytest.mark.parametrize("amplitude", [0.1, -7.3, [0.1, 1 / 3]])
def test_the_mean_of_a_constant_current_is_that_current_to_the_last_bit(amplitude):
    current = Stimulus.constant(amplitude).current(0.01)
    assert_array_equal(current.mean(7, LONG), np.atleast_1d(amplitude))


def test_the_mean_of_a_long_current_is_that_of_its_steps():
    current = MIXED.current(0.07)
    expected = [math.fsum(column) / LONG for column in current.waveform(3, LONG).T] @ current.gain
    assert_allclose(current.mean(3, LONG), expected, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize(
    "current",
    [
        MIXED.current(0.07),
        NOISY.current(0.07),
        ArrayCurrent(np.ones(20 * PIECE, np.float32), 0),
        ArrayCurrent(np.ones((20 * PIECE, 2), np.int16), 0),
    ],
)
def test_the_mean_of_a_long_current_is_taken_in_little_memory(current):
    tracemalloc.start()
    current.mean(0, 20 * PIECE)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 16 * PIECE * 8  # bytes; a float64 of every step is 20 · PIECE · 8


ACTIVE = {
    "a step": (Stimulus.step([0.0, 1.0], 0.3, 0.7), range(3, 7)),
    "a step of amplitude 0": (Stimulus.step([0.0, 0.0], 0.3, 0.7), range(0)),
    "two steps": (Stimulus.step(1.0, 0.3, 0.4) + Stimulus.step(-1.0, 0.8, 0.9), range(3, 9)),
    "terms that cancel": (Stimulus.constant(2.0) - Stimulus.step(2.0, 0.0, 0.5), range(5, 20)),
    "terms that cancel in one neuron": (
        Stimulus.constant([2.0, 3.0]) - Stimulus.step(2.0, 0.0, 0.5), range(20),
    ),
    "a sine that is zero in the middle of step 1": (Stimulus.sine(1.0, 1e4 / 3), range(20)),
    "nothing": (Stimulus(), range(0)),
    "what is over before the run": (Stimulus.step(1.0, -5.0, 0.0), range(0)),
}  # fmt: skip


@pytest.mark.parametrize(("stimulus", "active"), ACTIVE.values(), ids=ACTIVE)
@pytest.mark.parametrize("piece", [1, 3, 64])
def test_the_active_steps_are_those_from_the_first_to_the_last_with_a_current(
    stimulus, active, piece, monkeypatch
):
    monkeypatch.setattr("hhplug.currents.pieces.PIECE", piece)
    sampled = stimulus.sample(0.1, 20)
    # The definition, on the current as it is.
    on = np.flatnonzero(sampled.reshape(20, -1).any(axis=1))
    assert active == (range(on[0], on[-1] + 1) if on.size else range(0))
    assert stimulus.current(0.1).active_steps(0, 20) == active
    # The same with a time per neuron, which is nothing itself.
    nothing = Stimulus.sine(0.0, np.full(stimulus.n_neurons or 1, 50.0))
    for computed in (stimulus + nothing).current(0.1), (nothing + stimulus).current(0.1):
        assert computed.array
        assert computed.active_steps(0, 20) == active
    assert ArrayCurrent(sampled, 0).active_steps(0, 20) == active
    late = ArrayCurrent(sampled, 100).active_steps(100, 20)
    assert (len(late), late.start) == (len(active), active.start + 100 if active else 0)


@pytest.mark.parametrize("steps", [[0, 5, 6], [66], []])
@pytest.mark.parametrize("neurons", [np.arange(3), np.array([2, 0]), np.array([1])])
def test_a_current_at_some_steps_and_neurons_is_that_of_the_sample(steps, neurons):
    steps = np.array(steps, np.int64)
    sampled = MIXED.sample(0.07, N_STEPS)
    expected = sampled[steps][:, neurons]
    assert_array_equal(MIXED.current(0.07).at(steps, neurons), expected)
    assert_array_equal(ArrayCurrent(sampled, 50).at(steps + 50, neurons), expected)


@pytest.mark.parametrize("shape", [(23,), (23, 1), (23, 4)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int16, ">f4"])
@pytest.mark.parametrize(("first", "count"), [(0, 23), (0, 1), (22, 1), (5, 11)])
def test_the_rows_of_an_array_current_equal_the_array_wherever_it_is_cut(
    shape, dtype, first, count
):
    array = np.linspace(-30, 50, math.prod(shape)).reshape(shape).astype(dtype)
    current = ArrayCurrent(array, start_step=100)
    expected = array[first : first + count].reshape(count, -1).astype(np.float64)
    rows = list(current.rows(100 + first, count))
    assert_array_equal(rows, expected)
    assert {row.dtype for row in rows} == {np.dtype(np.float64)}
    assert_allclose(current.mean(100 + first, count), expected.mean(axis=0), rtol=1e-14)


def test_a_chunk_of_an_array_current_is_a_view_in_the_users_dtype():
    array = np.arange(20, dtype=np.float32).reshape(10, 2)
    chunk = ArrayCurrent(array, start_step=3).chunk(5, 4)
    assert np.shares_memory(chunk, array)
    assert chunk.dtype == np.float32
    assert_array_equal(chunk, array[2:6])


@pytest.mark.parametrize(
    ("stimulus", "active"),
    [
        (Stimulus.step(1.0, 0.3, [0.7, 1.2]), range(3, 12)),
        (Stimulus.step([0.0, 1.0], [0.3, 0.5], 0.9), range(5, 9)),
        (Stimulus.ramp(1.0, 1.0, [0.6, 0.3], [0.7, 0.5]), range(3, 7)),
        (Stimulus.pulse_train(1.0, 0.2, [0.1, 0.3], 0.5, 3), range(2, 15)),
        (Stimulus.step(1.0, -5.0, [-1.0, 0.0]), range(0)),
        (Stimulus.step(1.0, 3.0, [4.0, 5.0]), range(0)),
        (Stimulus.white_noise(0.0, seed=1), range(0)),
        (Stimulus.white_noise([0.0, 1.0], seed=1), range(20)),
        (Stimulus.ornstein_uhlenbeck(1.0, 0.0, tau=1.0, seed=1), range(20)),
        (
            Stimulus.recorded([1.0, 2.0], dt=0.4) * [0.0, 1.0] + Stimulus.white_noise(0.0, 1),
            range(8),
        ),
    ],
    ids=repr,
)
def test_a_computed_current_is_active_where_any_neuron_has_a_current(stimulus, active):
    assert stimulus.current(0.1).active_steps(0, 20) == active
    sampled = stimulus.sample(0.1, 20).reshape(20, -1)
    on = np.flatnonzero(sampled.any(axis=1))
    assert active == (range(on[0], on[-1] + 1) if on.size else range(0))


@pytest.mark.parametrize("current", [COMPUTED, NOISY], ids=["times per neuron", "noise"])
@pytest.mark.parametrize("neurons", [np.arange(3), np.array([2, 0]), np.array([1]), []])
def test_a_computed_current_gives_any_steps_and_neurons_again(current, neurons):
    neurons = np.array(neurons, np.int64)
    sampled = current.sample(0.07, N_STEPS)
    one = current.current(0.07)
    for steps in ([0, 5, 6], [66], [], [10, 3, 3], [4]):
        expected = sampled[np.array(steps, np.int64)][:, neurons]
        assert_array_equal(one.at(np.array(steps, np.int64), neurons), expected)
    for first, count in ((0, 67), (40, 20), (0, 1), (66, 1), (30, 5)):
        assert_array_equal(one.chunk(first, count), sampled[first : first + count])
    assert (one.row_length, one.bytes_per_step(4)) == (3, 24)


def test_the_mean_of_noise_is_that_of_its_distribution():
    current = NOISY.current(0.07)
    expected = COMPUTED.sample(0.07, N_STEPS)[5:].mean(axis=0) + 1.0
    assert_allclose(current.mean(5, N_STEPS - 5), expected, rtol=0, atol=ROUNDING)
    silent = Stimulus.white_noise([1.0, 2.0], seed=1) + Stimulus.sine([-5.0, 5.0], [100.0, 50.0])
    assert_array_equal(silent.current(0.01).mean(0, 10_000), [0.0, 0.0])
