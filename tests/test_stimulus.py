"""Expected currents are worked by hand from the definitions in the docstrings."""

import math
import re
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from hhplug import InvalidInput, Problem, Stimulus
from hhplug.currents.current import PIECE, ArrayCurrent

DTS = (0.01, 0.025, 0.1, 0.3, 1 / 3, 0.7)  # ms; most have no exact binary form

ROUNDING = 1e-12  # µA/cm², a few float64 roundings of values near 1


def exact(number):
    """Return the exact value of a decimal."""
    return number if isinstance(number, Fraction) else Fraction(str(number))


def nearest(time, dt):
    """Return time/dt rounded to an integer, halves up, without a float error."""
    return math.floor(exact(time) / exact(dt) + Fraction(1, 2))


def steps_of(dt, start, stop):
    """Return the steps by their definition, round(start/dt) ≤ k < round(stop/dt)."""
    return range(max(0, nearest(start, dt)), max(0, nearest(stop, dt)))


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


@pytest.mark.parametrize("start", [0.05 + 0.05 * i for i in range(12)])
def test_a_step_of_a_whole_number_of_steps_is_as_long_wherever_it_begins(start):
    # 0.55/0.1 and 0.65/0.1 are 5.5 and 6.5, of which Python's round makes 6 and 6.
    start = round(start, 2)
    sampled = Stimulus.step(1.0, start, round(start + 0.3, 2)).sample(0.1, 20)
    assert_array_equal(np.flatnonzero(sampled), nearest(start, 0.1) + np.arange(3))


@pytest.mark.parametrize(
    ("dt", "start", "width", "period"),
    [
        (0.1, 1.0, 0.3, 1.25),
        (0.025, 1.0, 0.2, 3.3125),
        (0.01, 1.0, 0.105, 50 / 3),
        (0.1, 0.55, 0.25, 0.85),
        (1 / 3, 0.1, 0.4, 1.7),
        (0.3, 2.5, 1.1, 1.7),
        (0.01, -1.0, 0.05, math.pi / 2),
        (0.7, 0.0, 1.0, 2.2),
    ],
)
def test_all_pulses_of_a_train_are_equally_many_steps_wide_and_begin_at_the_nearest(
    dt, start, width, period
):
    count = 50
    n_steps = math.ceil((start + (count + 1) * period) / dt)
    sampled = Stimulus.pulse_train(1.0, start, width, period, count).sample(dt, n_steps)
    edges = np.diff(np.r_[0.0, sampled, 0.0])
    begins, ends = np.flatnonzero(edges > 0), np.flatnonzero(edges < 0)
    onsets = [nearest(exact(start) + i * exact(period), dt) for i in range(count)]
    assert_array_equal(begins, [onset for onset in onsets if onset >= 0])
    assert_array_equal(ends - begins, nearest(width, dt))


@pytest.mark.parametrize(("dt", "width"), [(0.01, 0.005), (0.01, 0.003), (0.3, 0.7), (0.1, 0.125)])
def test_pulses_as_wide_as_their_period_are_one_pulse(dt, width):
    train = Stimulus.pulse_train(1.0, 0.02, width, width, count=40)
    on = np.flatnonzero(train.sample(dt, 1000))
    assert_array_equal(on, steps_of(dt, 0.02, round(0.02 + 40 * width, 6)))


@pytest.mark.parametrize(
    "stimulus",
    [
        Stimulus.step(1.0, 0.11, 0.14),
        Stimulus.ramp(1.0, 2.0, 0.41, 0.44),
        Stimulus.pulse_train(1.0, 0.1, 0.04, 0.3, 3),
    ],
)
def test_a_term_that_is_too_short_for_a_step_is_zero_and_gives_a_warning(stimulus):
    assert not stimulus.sample(0.1, 20).any()
    with pytest.warns(RuntimeWarning, match=r"Stimulus\..* is shorter than half a step of dt=0\.1"):
        Problem(2.0, 0.1, stimulus=stimulus + Stimulus.constant(1.0))
    assert stimulus.sample(0.01, 200).any()
    Problem(2.0, 0.01, stimulus=stimulus)


def test_a_ramp_has_in_each_step_its_value_in_the_middle_and_is_zero_outside():
    up = Stimulus.ramp(0.0, 10.0, start=1.0, stop=3.0)
    assert_array_equal(up.sample(0.5, 8), [0, 0, 1.25, 3.75, 6.25, 8.75, 0, 0])
    down = Stimulus.ramp(4.0, 1.0, start=0.5, stop=2.0)
    assert_allclose(down.sample(0.5, 6), [0, 3.5, 2.5, 1.5, 0, 0], rtol=0, atol=ROUNDING)


def test_a_ramp_between_steps_never_leaves_the_range_from_first_to_last():
    sampled = Stimulus.ramp(1.0, 2.0, start=0.17, stop=0.76).sample(0.1, 9)
    # Covers the steps 2 to 7; the middle of step 7, at 0.75 ms, is near the stop.
    line = [1.0 + (t - 0.17) / 0.59 for t in (0.25, 0.35, 0.45, 0.55, 0.65, 0.75)]
    assert_allclose(sampled, [0, 0, *line, 0], rtol=0, atol=ROUNDING)
    late = Stimulus.ramp(1.0, 2.0, start=0.26, stop=0.74).sample(0.1, 9)  # steps 3 to 6
    assert 1.0 <= late[3:7].min() <= late.max() <= 2.0


def test_a_sine_counts_its_frequency_in_hertz_and_its_phase_in_radians():
    # 250 Hz: a period of 4 ms, whose eighths are the middles of steps of 1 ms.
    half = math.sqrt(0.5)
    plain = Stimulus.sine(2.0, frequency=250.0)
    expected = [2 * half, 2 * half, -2 * half, -2 * half, 2 * half]
    assert_allclose(plain.sample(1.0, 5), expected, rtol=0, atol=ROUNDING)
    shifted = Stimulus.sine(2.0, frequency=250.0, phase=math.pi / 4, offset=0.5)
    assert_allclose(shifted.sample(1.0, 4), [2.5, 0.5, -1.5, 0.5], rtol=0, atol=ROUNDING)


@pytest.mark.parametrize(
    "stimulus", [Stimulus.sine(3.0, 40.0, 0.3, 1.0), Stimulus.ramp(-1.0, 4.0, 0.0, 50.0)]
)
def test_a_coarse_step_holds_the_mean_of_the_fine_ones_within_it(stimulus):
    coarse, fine = stimulus.sample(0.1, 500), stimulus.sample(0.001, 50_000)
    mean = fine.reshape(500, 100).mean(axis=1)
    assert np.abs(coarse - mean).max() < 1e-4  # the midpoint rule's: 3 · (2π·0.04·0.1)²/24


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
    # The ramp's share in the middle of its steps is 1/8, 3/8 and 5/8.
    expected = [[1, 2, 3], [11, 12, 13], [1, 2.5, 4], [1, 3.5, 6], [1, 4.5, 8]]
    assert_allclose(stimulus.sample(0.1, 5), expected, rtol=0, atol=ROUNDING)
    assert stimulus.n_neurons == 3


def test_sum_adds_stimuli():
    total = sum([Stimulus.constant(1.0), Stimulus.step(2.0, 0, 1), Stimulus.constant(4.0)])
    assert_array_equal(total.sample(1.0, 2), [7, 5])


SUMS = {
    "array + stimulus": lambda array, stimulus: array + stimulus,
    "stimulus + array": lambda array, stimulus: stimulus + array,
    "stimulus - array": lambda array, stimulus: stimulus - array,
    "array - stimulus": lambda array, stimulus: array - stimulus,
}


@pytest.mark.parametrize("other", [np.float64(2.0), 5.0, 0.0, None, "x"])
@pytest.mark.parametrize("form", SUMS)
def test_a_stimulus_adds_to_nothing_but_a_stimulus(other, form):
    with pytest.raises(InvalidInput, match=r"Stimulus\.constant\(number\)") as error:
        SUMS[form](other, Stimulus.constant(1.0))
    assert type(other).__name__ in str(error.value)


@pytest.mark.parametrize("form", SUMS)
@pytest.mark.parametrize("array", [np.arange(10.0), np.arange(30.0).reshape(10, 3)])
@pytest.mark.parametrize("amplitude", [2.0, [2.0, 3.0, 4.0]])
def test_the_proposal_for_a_sum_with_an_array_is_that_sum(form, array, amplitude):
    stimulus, dt = Stimulus.step(amplitude, 0.2, 0.7), 0.1
    with pytest.raises(InvalidInput) as error:
        SUMS[form](array, stimulus)
    proposed = re.search("pass (.*), an array", str(error.value))[1]
    total = eval(proposed, {"array": array, "stimulus": stimulus, "np": np, "dt": dt})
    column = array.reshape(10, -1)
    expected = SUMS[form](column, stimulus.sample(dt, 10).reshape(10, -1))
    assert_array_equal(total, expected.reshape(total.shape))
    assert Problem(1.0, dt, stimulus=total).n_neurons == expected.shape[1]


def test_a_sample_may_begin_later_than_time_zero():
    whole = MIXED.sample(0.07, 40)
    assert_array_equal(MIXED.sample(0.07, 25, start_step=15), whole[15:])
    # The proposal for a sum with an array, in a run that continues at 1 ms.
    array, pulse = np.ones(10), Stimulus.step(2.0, 1.2, 1.5)
    total = array + pulse.sample(0.1, n_steps=10, start_step=10)
    assert_array_equal(total, [1, 1, 3, 3, 3, 1, 1, 1, 1, 1])


def test_scaling_by_an_array_says_how_many_neurons_there_are():
    assert (Stimulus.constant(0.0) * [1, 2, 3]).n_neurons == 3
    assert (Stimulus.sine(1.0, 50.0) * [1, 2, 3]).n_neurons == 3
    assert len((Stimulus.sine(1.0, 50.0) * [1, 2, 3]).gains) == 1  # no offset


def test_a_stimulus_is_divided_by_numbers():
    assert_array_equal((Stimulus.constant([2, 4]) / 2).gains[0], [1, 2])
    assert_array_equal((Stimulus.constant(6.0) / [2, 3]).gains[0], [3, 2])
    for divisor in (0, Stimulus.constant(1.0), "x"):
        with pytest.raises(InvalidInput):
            Stimulus.constant(1.0) / divisor


@pytest.mark.parametrize("as_array", [False, True])
def test_the_mean_of_a_sine_over_whole_periods_is_zero(as_array):
    stimulus = Stimulus.sine([-5.0, 0.0, 5.0], 100.0)  # ten periods
    current = ArrayCurrent(stimulus.sample(0.01, 10_000), 0) if as_array else stimulus.current(0.01)
    assert_array_equal(current.mean(0, 10_000), [0.0, 0.0, 0.0])


def test_the_rounding_error_of_a_sum_is_no_current():
    stimulus = Stimulus.constant(0.1) + Stimulus.constant(0.2) - Stimulus.constant(0.3)
    assert stimulus.sample(0.1, 1)[0] != 0.0
    stimulus += Stimulus.step(5.0, 0.3, 0.7)
    assert stimulus.current(0.1).active_steps(0, 20) == range(3, 7)


def test_a_width_that_is_the_period_but_for_rounding_is_the_period():
    train = Stimulus.pulse_train(1.0, 0.0, 3 * 0.1, 0.3, 3)
    assert_array_equal(train.sample(0.1, 12), [1] * 9 + [0] * 3)


def test_a_stimulus_is_scaled_negated_and_subtracted():
    one = Stimulus.step([1, 2], 0.0, 0.5) + Stimulus.sine(3.0, 100.0, offset=[0.5, 0.25])
    sampled = one.sample(0.1, 9)
    ramp = Stimulus.ramp(0.0, 2.0, 0.0, 0.9)
    for scaled, expected in (
        (2 * one, 2 * sampled),
        (one * 2.0, 2 * sampled),
        (np.float32(2) * one, 2 * sampled),
        (one * np.array([10, 100]), sampled * [10, 100]),
        (np.array([10, 100]) * one, sampled * [10, 100]),
        ([10, 100] * ramp, ramp.sample(0.1, 9)[:, np.newaxis] * [10, 100]),
        (-one, -sampled),
        (one - ramp, sampled - ramp.sample(0.1, 9)[:, np.newaxis]),
        (0 * one, 0 * sampled),
    ):
        assert_allclose(scaled.sample(0.1, 9), expected, rtol=0, atol=ROUNDING)
    assert repr(-Stimulus.ramp(0.0, 2.0, 0.0, 1.0)) == (
        "Stimulus.ramp(0.0, last=-2.0, start=0.0, stop=1.0)"
    )


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (Stimulus.constant(1.0), "by numbers, not by another Stimulus"),
        ([1, 2, 3], "each of the 2 neurons of the stimulus, got 3"),
        ([1], "each of the 2 neurons of the stimulus, got 1"),
        (math.nan, "factor must be a finite number, got nan"),
        ("x", "factor must hold real numbers, got 'x'"),
        (None, "factor must hold real numbers"),
        (1e308, "amplitude must be a finite number of µA/cm²"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_a_factor_that_scales_nothing_is_refused(factor, words):
    with pytest.raises(InvalidInput, match=re.escape(words)):
        Stimulus.constant([10, 20]) * factor


@pytest.mark.parametrize(
    ("make", "meant"),
    [
        (lambda: Stimulus.step(1.0, 0.0, stopp=5.0), "stop"),
        (lambda: Stimulus.constant(amplitud=5.0), "amplitude"),
        (lambda: Stimulus.sine(1.0, frequenzy=5.0), "frequency"),
        (lambda: Stimulus.ramp(1.0, lst=5.0, start=0, stop=1), "last"),
        (lambda: Stimulus.pulse_train(1.0, 0.0, 1.0, 2.0, counts=3), "count"),
        (lambda: Stimulus().sample(0.1, n_step=3), "n_steps"),
    ],
)
def test_the_error_for_a_misspelt_keyword_has_a_suggestion(make, meant):
    with pytest.raises(TypeError, match=f"Did you mean '{meant}'") as error:
        make()
    assert isinstance(error.value, InvalidInput)


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
    "a step for nobody": (Stimulus.step([0.0, 0.0], 0.3, 0.7), range(0)),
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
    monkeypatch.setattr("hhplug.currents.current.PIECE", piece)
    sampled = stimulus.sample(0.1, 20)
    # The definition, on the current as it is.
    on = np.flatnonzero(sampled.reshape(20, -1).any(axis=1))
    assert active == (range(on[0], on[-1] + 1) if on.size else range(0))
    assert stimulus.current(0.1).active_steps(0, 20) == active
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
