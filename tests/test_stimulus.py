"""Expected currents are worked by hand from the definitions in the docstrings and design.md."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from hhplug import InvalidInput, Stimulus
from hhplug.stimulus import MEAN_STEPS, ArrayCurrent, SeparableCurrent

DTS = (0.01, 0.025, 0.1, 0.3, 1 / 3, 0.7)  # ms; most have no exact binary form

ROUNDING = 1e-12  # µA/cm², a few float64 roundings of values near 1


def steps_of(dt, start, stop):
    """The design's own words, in Python's integers: round(start/dt) ≤ k < round(stop/dt)."""
    return range(max(0, round(start / dt)), max(0, round(stop / dt)))


def test_a_constant_is_the_same_at_every_step():
    assert_array_equal(Stimulus.constant(-2.5).sample(0.1, 3), [-2.5, -2.5, -2.5])


@pytest.mark.parametrize(
    ("start", "stop", "dt", "on"),
    [
        (0.2, 0.5, 0.1, [2, 3, 4]),
        (0.3, 0.7, 0.1, [3, 4, 5, 6]),  # 0.3/0.1 and 0.7/0.1 fall just below 3 and 7 in float64
        (1.0, 2.0, 0.3, [3, 4, 5, 6]),  # 3.33 and 6.67 steps
        (-5.0, 0.2, 0.1, [0, 1]),
        (0.7, 1e9, 0.1, [7, 8, 9]),
        (0.11, 0.14, 0.1, []),  # shorter than half a step
        (-3.0, -1.0, 0.1, []),
    ],
)
def test_a_step_begins_and_ends_at_the_nearest_step(start, stop, dt, on):
    expected = np.zeros(10)
    expected[on] = 5.0
    assert_array_equal(Stimulus.step(5.0, start, stop).sample(dt, 10), expected)


@pytest.mark.parametrize("dt", DTS)
@pytest.mark.parametrize(("start", "stop"), [(0.1, 2.3), (1.0, 6.6), (0.35, 0.7), (2.2, 2.9)])
def test_a_step_covers_round_start_over_dt_up_to_round_stop_over_dt(start, stop, dt):
    sampled = Stimulus.step(1.0, start, stop).sample(dt, 1000)
    assert_array_equal(np.flatnonzero(sampled), steps_of(dt, start, stop))


@given(
    st.floats(0.001, 1.0),
    st.floats(0.0, 30.0, exclude_min=True),
    st.floats(0.0, 30.0, exclude_min=True),
)
def test_steps_laid_end_to_end_neither_overlap_nor_leave_a_gap(dt, first, second):
    there, end = sorted((first, first + second))
    joined = Stimulus.step(1.0, -1.0, there) + Stimulus.step(1.0, there, end + 1.0)
    assert set(joined.sample(dt, min(300, round(end / dt)))) <= {1.0}


def test_a_pulse_train_is_count_pulses_one_period_apart():
    train = Stimulus.pulse_train(2.0, start=1.0, width=0.5, period=1.5, count=3)
    assert_array_equal(train.sample(0.5, 12), [0, 0, 2, 0, 0, 2, 0, 0, 2, 0, 0, 0])


def test_a_pulse_as_wide_as_its_period_never_ends_between_pulses():
    train = Stimulus.pulse_train(1.0, start=0.1, width=0.7, period=0.7, count=4)
    # On from 0.1 to 2.9 ms: 0.33 and 9.67 steps of 0.3 ms.
    assert_array_equal(train.sample(0.3, 12), [1] * 10 + [0] * 2)


@pytest.mark.parametrize("dt", DTS)
@pytest.mark.parametrize(
    ("start", "width", "period"),
    [
        (0.1, 0.4, 0.7),
        (0.0, 0.1, 1 / 3),
        (2.5, 1.1, 1.7),
        (-1.0, 0.05, math.pi / 2),
        (0.0, 0.005, 0.005),  # half a step or less, on all the time
        (0.01, 0.003, 0.003),
        (0.015, 0.0005, 0.005),
        (0.0375, 0.00125, 0.0125),
        (0.0, 0.0005, 0.001),  # on at the middle of some steps
    ],
)
def test_each_pulse_covers_the_steps_of_a_step_however_awkward_the_period(start, width, period, dt):
    train = Stimulus.pulse_train(1.0, start, width, period, count=50)
    onsets = [start + i * period for i in range(50)]
    on = sorted({k for onset in onsets for k in steps_of(dt, onset, onset + width)})
    n_steps = math.ceil(100 / dt)  # past the last pulse
    assert_array_equal(np.flatnonzero(train.sample(dt, n_steps)), on)


def test_a_ramp_is_a_straight_line_and_zero_outside():
    up = Stimulus.ramp(0.0, 10.0, start=1.0, stop=3.0)
    assert_array_equal(up.sample(0.5, 8), [0, 0, 0, 2.5, 5, 7.5, 0, 0])
    down = Stimulus.ramp(4.0, 1.0, start=0.5, stop=2.0)
    assert_allclose(down.sample(0.5, 6), [0, 4, 3, 2, 0, 0], rtol=0, atol=ROUNDING)


def test_a_ramp_between_steps_never_leaves_the_range_from_first_to_last():
    sampled = Stimulus.ramp(1.0, 2.0, start=0.24, stop=0.76).sample(0.1, 9)
    # Covers the steps 2 to 7; step 2, at 0.2 ms, is before the start and so at `first`.
    line = [1.0 + (t - 0.24) / 0.52 for t in (0.3, 0.4, 0.5, 0.6, 0.7)]
    assert_allclose(sampled, [0, 0, 1.0, *line, 0], rtol=0, atol=ROUNDING)


def test_a_sine_counts_its_frequency_in_hertz_and_its_phase_in_radians():
    # 250 Hz: a period of 4 ms, so four steps of 1 ms are a quarter turn each.
    plain = Stimulus.sine(2.0, frequency=250.0)
    assert_allclose(plain.sample(1.0, 5), [0, 2, 0, -2, 0], rtol=0, atol=ROUNDING)
    shifted = Stimulus.sine(2.0, frequency=250.0, phase=math.pi / 2, offset=0.5)
    assert_allclose(shifted.sample(1.0, 4), [2.5, 0.5, -1.5, 0.5], rtol=0, atol=ROUNDING)


@pytest.mark.parametrize(
    ("terms", "given"),
    [
        (10, "int"),
        (np.zeros(4), "ndarray"),
        ([Stimulus.constant(1)], "list"),
        ((Stimulus.constant(1),), "tuple"),
    ],
)
def test_a_stimulus_is_made_by_its_class_methods_and_says_so(terms, given):
    with pytest.raises(
        InvalidInput, match=rf"Stimulus\.constant\(amplitude\).* got {given}"
    ) as error:
        Stimulus(terms)
    assert "add them with +" in str(error.value)


def test_no_stimulus_is_no_current():
    assert_array_equal(Stimulus().sample(0.1, 3), [0, 0, 0])


def test_one_stimulus_serves_every_dt():
    stimulus = Stimulus.step(3.0, 1.0, 2.0)
    assert_array_equal(stimulus.sample(0.5, 6), [0, 0, 3, 3, 0, 0])
    assert_array_equal(stimulus.sample(1.0, 3), [0, 3, 0])
    assert_array_equal(stimulus.sample(0.5, 6), [0, 0, 3, 3, 0, 0])


def test_terms_are_added_in_the_order_written():
    big, one, minus_big = map(Stimulus.constant, (1e16, 1.0, -1e16))
    # 1e16 + 1 rounds to 1e16 in float64.
    assert (big + one + minus_big).sample(0.1, 1) == 0.0
    assert (big + minus_big + one).sample(0.1, 1) == 1.0


def test_amplitudes_per_neuron_and_for_all_neurons_mix():
    stimulus = Stimulus.constant([1, 2, 3]) + Stimulus.step(10.0, 0.1, 0.2)
    stimulus += Stimulus.ramp(0.0, np.array([0, 4, 8]), 0.2, 0.6)
    expected = [[1, 2, 3], [11, 12, 13], [1, 2, 3], [1, 3, 5], [1, 4, 7]]
    assert_allclose(stimulus.sample(0.1, 5), expected, rtol=0, atol=ROUNDING)
    assert stimulus.batch_size == 3


def test_sum_adds_stimuli():
    total = sum([Stimulus.constant(1.0), Stimulus.step(2.0, 0, 1), Stimulus.constant(4.0)])
    assert_array_equal(total.sample(1.0, 2), [7, 5])


@pytest.mark.parametrize("other", [np.ones(3), np.float64(2.0), [1.0], 5.0, 0.0, None])
@pytest.mark.parametrize("reflected", [False, True])
def test_a_stimulus_adds_to_nothing_but_a_stimulus(other, reflected):
    stimulus = Stimulus.constant(1.0)
    with pytest.raises(InvalidInput) as error:
        other + stimulus if reflected else stimulus + other
    assert type(other).__name__ in str(error.value)
    assert "stimulus.sample(dt, n_steps)" in str(error.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Stimulus.constant([1, 2]) + Stimulus.constant([1, 2, 3]),
        lambda: Stimulus.ramp([1, 2, 3], [1, 2], 0, 1),
        lambda: Stimulus.sine([1, 2, 3], 10.0, offset=[1, 2]),
    ],
)
def test_amplitudes_for_different_numbers_of_neurons_do_not_mix(make):
    with pytest.raises(InvalidInput, match="equally many neurons, got 2 and 3"):
        make()


def test_a_stimulus_keeps_its_own_copy_of_an_amplitude():
    amplitude = np.array([1.0, 2.0])
    stimulus = Stimulus.constant(amplitude)
    amplitude[:] = 99.0
    assert_array_equal(stimulus.sample(0.1, 1), [[1, 2]])
    with pytest.raises(ValueError, match="read-only"):
        stimulus.gains[0][0] = 99.0


@pytest.mark.parametrize(
    "stimulus",
    [
        Stimulus(),
        Stimulus.constant(np.float32(0.1)),
        Stimulus.step(0.1, np.int64(1), 2.3),
        Stimulus.pulse_train(-5, 0.1, 0.2, 0.3, np.int32(7)),
        Stimulus.ramp(1, 2.5, 0.1, 1e3),
        Stimulus.sine(1.5, 40.0, 0.5, -2.0) + Stimulus.constant(1.0),
    ],
    ids=repr,
)
def test_the_repr_of_a_stimulus_makes_it_again(stimulus):
    again = eval(repr(stimulus))
    assert repr(again) == repr(stimulus)
    assert_array_equal(again.sample(0.1, 50), stimulus.sample(0.1, 50))


def test_the_repr_of_many_amplitudes_stays_short():
    text = repr(Stimulus.constant(np.arange(1000)))
    assert len(text) < 100
    assert "999." in text


@pytest.mark.parametrize(
    ("make", "named", "given", "would_do"),
    [
        (lambda: Stimulus.constant(math.nan), "amplitude", "nan", "finite number of µA/cm²"),
        (lambda: Stimulus.constant([1, math.nan, 3]), "amplitude", "neuron 1", "finite number"),
        (lambda: Stimulus.constant([[1.0]]), "amplitude", "(1, 1)", "one value per neuron"),
        (lambda: Stimulus.constant([]), "amplitude", "empty", "one value per neuron"),
        (lambda: Stimulus.constant([[1], [1, 2]]), "amplitude", "ragged", "array of numbers"),
        (lambda: Stimulus.constant("high"), "amplitude", "'high'", "real numbers"),
        (lambda: Stimulus.constant(1j), "amplitude", "1j", "real numbers"),
        (lambda: Stimulus.constant(True), "amplitude", "True", "real numbers"),
        (lambda: Stimulus.step(1, math.nan, 5), "start", "nan", "finite number of ms"),
        (lambda: Stimulus.step(1, 0, math.inf), "stop", "inf", "finite number of ms"),
        (lambda: Stimulus.step(1, "soon", 5), "start", "'soon'", "finite number of ms"),
        (lambda: Stimulus.step(1, 5, 5), "stop", "got 5.0", "later than start=5.0 ms"),
        (lambda: Stimulus.ramp(1, 2, 5, 4), "stop", "got 4.0", "later than start=5.0 ms"),
        (lambda: Stimulus.ramp(math.inf, 2, 0, 4), "first", "inf", "finite number"),
        (lambda: Stimulus.ramp(1, [0, math.inf], 0, 4), "last", "inf for neuron 1", "finite"),
        (lambda: Stimulus.pulse_train(1, math.nan, 1, 2, 3), "start", "nan", "finite number"),
        (lambda: Stimulus.pulse_train(1, 0, 0, 2, 3), "width", "got 0", "positive number of ms"),
        (lambda: Stimulus.pulse_train(1, 0, math.nan, 2, 3), "width", "nan", "positive"),
        (lambda: Stimulus.pulse_train(1, 0, 1, -2, 3), "period", "-2", "positive number of ms"),
        (lambda: Stimulus.pulse_train(1, 0, 3, 2, 3), "width", "got 3.0", "at most the period"),
        (lambda: Stimulus.pulse_train(1, 0, 1, 2, 0), "count", "got 0", "1 or more"),
        (lambda: Stimulus.pulse_train(1, 0, 1, 2, 1.5), "count", "1.5", "whole number"),
        (lambda: Stimulus.pulse_train(1, 0, 1, 2, True), "count", "True", "whole number"),
        (lambda: Stimulus.sine(1, 0.0), "frequency", "0.0", "positive number of Hz"),
        (lambda: Stimulus.sine(1, 10, phase=math.nan), "phase", "nan", "finite number of rad"),
        (
            lambda: Stimulus.sine(1, 10, offset=[1, math.nan]),
            "offset",
            "nan for neuron 1",
            "finite",
        ),
        (lambda: Stimulus().sample(0.0, 5), "dt", "0.0", "positive number of ms"),
        (lambda: Stimulus().sample(0.1, -1), "n_steps", "-1", "0 or more"),
    ],
)
def test_a_bad_argument_is_refused_by_name(make, named, given, would_do):
    with pytest.raises(InvalidInput) as error:
        make()
    message = str(error.value)
    assert message.startswith(f"{named} must "), message
    assert given in message
    assert would_do in message


MIXED = (
    Stimulus.constant([0.1, 0.2, 0.3])
    + Stimulus.sine(2.0, 37.0, 0.4, offset=[1, 2, 3])
    + Stimulus.pulse_train(1.0, 0.1, 0.3, 0.7, 9)
    + Stimulus.ramp(-1.0, [1, 2, 3], 0.5, 3.5)
)
N_STEPS = 67


@pytest.mark.parametrize("stimulus", [Stimulus(), Stimulus.step(2.0, 1, 3), MIXED])
@given(st.integers(0, N_STEPS - 1), st.data())
def test_a_separable_current_is_the_sample_wherever_it_is_cut(stimulus, first, data):
    count = data.draw(st.integers(1, N_STEPS - first))
    sampled = stimulus.sample(0.07, N_STEPS).reshape(N_STEPS, -1)[first : first + count]
    current = SeparableCurrent(stimulus, 0.07)
    assert_array_equal(list(current.rows(first, count)), sampled)
    assert_allclose(current.mean(first, count), sampled.mean(axis=0), rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("n", [1, 2, 3, 31, 257])
def test_gain_times_waveform_is_summed_in_the_order_of_the_terms_to_the_last_bit(n):
    rng = np.random.default_rng(n)
    amplitudes = rng.uniform(-10, 10, (12, n))
    current = SeparableCurrent(sum(map(Stimulus.constant, amplitudes)), 0.1)
    one_after_the_other = np.zeros(n)
    for amplitude in amplitudes:
        one_after_the_other += amplitude
    (row,) = current.rows(5, 1)
    assert_array_equal(row, one_after_the_other)
    assert_array_equal(current.gain, amplitudes)
    assert_array_equal(current.waveform(5, 3), np.ones((3, 12)))


def test_a_waveform_far_into_a_run_counts_from_time_zero():
    # 100 s to 100.01 s at 0.01 ms: on in step 10,000,000 alone.
    pulse = SeparableCurrent(Stimulus.step(1.0, 100_000.0, 100_000.01), 0.01)
    assert_array_equal(pulse.waveform(9_999_999, 3), [[0], [1], [0]])
    # 250 Hz at 1 ms: step 10,000,001 is a quarter turn after a whole number of them.
    sine = SeparableCurrent(Stimulus.sine(1.0, 250.0), 1.0)
    wave = sine.waveform(10_000_001, 1)[0, 0]
    assert abs(wave - 1.0) < 1e-8  # 2π · 2.5e6 turns has an ulp of 1.9e-9


LONG = 3 * MEAN_STEPS + 5


@pytest.mark.parametrize("amplitude", [0.1, -7.3, [0.1, 1 / 3]])
def test_the_mean_of_a_constant_current_is_that_current_to_the_last_bit(amplitude):
    current = SeparableCurrent(Stimulus.constant(amplitude), 0.01)
    assert_array_equal(current.mean(7, LONG), np.atleast_1d(amplitude))


def test_the_mean_of_a_long_current_is_that_of_its_steps():
    current = SeparableCurrent(MIXED, 0.07)
    expected = [math.fsum(column) / LONG for column in current.waveform(3, LONG).T] @ current.gain
    assert_allclose(current.mean(3, LONG), expected, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize(
    "current",
    [
        SeparableCurrent(MIXED, 0.07),
        ArrayCurrent(np.ones(20 * MEAN_STEPS, np.float32), 0),
        ArrayCurrent(np.ones((20 * MEAN_STEPS, 2), np.int16), 0),
    ],
)
def test_the_mean_of_a_long_current_is_taken_in_little_memory(current):
    tracemalloc.start()
    current.mean(0, 20 * MEAN_STEPS)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 16 * MEAN_STEPS * 8  # bytes; a float64 of every step is 20 · MEAN_STEPS · 8


@pytest.mark.parametrize("shape", [(23,), (23, 1), (23, 4)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int16, ">f4"])
@pytest.mark.parametrize(("first", "count"), [(0, 23), (0, 1), (22, 1), (5, 11)])
def test_an_array_current_is_the_array_wherever_it_is_cut(shape, dtype, first, count):
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


def test_a_pulse_train_may_have_more_pulses_than_memory():
    endless = Stimulus.pulse_train(3.0, start=0.0, width=0.2, period=1.0, count=10**15)
    np.testing.assert_array_equal(endless.sample(0.1, 25), 3.0 * (np.arange(25) % 10 < 2))
