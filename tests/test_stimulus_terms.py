"""The current of each kind of stimulus, worked out by hand from the docstrings."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from stimuli import ROUNDING

from hhplug import Problem, Stimulus

DTS = (0.01, 0.025, 0.1, 0.3, 1 / 3, 0.7)  # ms; most have no exact binary form


def exact(number):
    """Return the exact value of a decimal."""
    return number if isinstance(number, Fraction) else Fraction(str(number))


def nearest(time, dt):
    """Return time/dt rounded to an integer, halves up, without a float error."""
    return math.floor(exact(time) / exact(dt) + Fraction(1, 2))


def steps_of(dt, start, stop):
    """Return the steps by their definition, round(start/dt) ≤ k < round(stop/dt)."""
    return range(max(0, nearest(start, dt)), max(0, nearest(stop, dt)))


def test_a_constant_current_is_the_same_in_every_step():
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
def test_consecutive_steps_neither_overlap_nor_leave_a_gap(dt, first, second):
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
def test_a_step_of_a_whole_number_of_dt_has_that_length_wherever_it_begins(start):
    # Python rounds both 5.5 and 6.5 to 6.
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
def test_all_pulses_of_a_train_have_equally_many_steps_and_begin_at_the_nearest_step(
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
        Stimulus.step(1.0, 0.06, 0.14),
        Stimulus.ramp(1.0, 2.0, 0.41, 0.44),
        Stimulus.pulse_train(1.0, 0.1, 0.04, 0.3, 3),
    ],
)
def test_a_term_that_is_too_short_for_a_step_is_zero_and_gives_a_warning(stimulus):
    assert not stimulus.sample(0.1, 20).any()
    with pytest.warns(RuntimeWarning, match=r"Stimulus\..* is too short for a step of dt=0\.1 ms"):
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
def test_the_current_of_a_long_step_is_the_mean_of_the_short_steps_within_it(stimulus):
    coarse, fine = stimulus.sample(0.1, 500), stimulus.sample(0.001, 50_000)
    mean = fine.reshape(500, 100).mean(axis=1)
    assert np.abs(coarse - mean).max() < 1e-4  # the midpoint rule's: 3 · (2π·0.04·0.1)²/24


def test_a_width_within_rounding_of_the_period_is_the_period():
    train = Stimulus.pulse_train(1.0, 0.0, 3 * 0.1, 0.3, 3)
    assert_array_equal(train.sample(0.1, 12), [1] * 9 + [0] * 3)


def test_a_pulse_train_may_have_more_pulses_than_memory():
    endless = Stimulus.pulse_train(3.0, start=0.0, width=0.2, period=1.0, count=10**15)
    np.testing.assert_array_equal(endless.sample(0.1, 25), 3.0 * (np.arange(25) % 10 < 2))


PER_NEURON = {
    "step": (Stimulus.step, {
        "amplitude": [1.0, -2.0, 3.0], "start": [0.1, 0.55, -1.0], "stop": [0.7, 1.31, 2.05],
    }),
    "pulse_train": (Stimulus.pulse_train, {
        "amplitude": [1.0, -2.0, 3.0], "start": [0.1, 0.55, -1.0], "width": [0.17, 0.3, 0.4],
        "period": [0.4, 0.43, 0.4], "count": 4,
    }),
    "ramp": (Stimulus.ramp, {
        "first": [0.0, 1.0, -1.0], "last": [3.0, -2.0, 0.5], "start": [0.1, 0.55, -1.0],
        "stop": [0.6, 1.31, 2.05],
    }),
    "sine": (Stimulus.sine, {
        "amplitude": [1.0, -2.0, 3.0], "frequency": [40.0, 333.3, 1700.0],
        "phase": [0.0, 0.3, -2.0], "offset": [0.0, 1.0, -1.0],
    }),
}  # fmt: skip
TIMES = [
    (kind, name)
    for kind, (_, values) in PER_NEURON.items()
    for name in [*values, "all"]
    if name != "count"
]


@pytest.mark.parametrize(("kind", "varied"), TIMES)
@pytest.mark.parametrize("dt", [0.01, 0.07])
def test_a_neuron_with_times_of_its_own_has_the_current_of_a_stimulus_with_these_times(
    kind, varied, dt
):
    make, values = PER_NEURON[kind]

    def of(neuron):
        return {
            name: value if name == "count" else value[neuron if varied in (name, "all") else 0]
            for name, value in values.items()
        }

    each = [of(neuron) for neuron in range(3)]
    varied_ones = {n: v if n == "count" else [one[n] for one in each] for n, v in values.items()}
    if varied != "all":
        varied_ones = each[0] | {varied: varied_ones[varied]}
    alone = [make(**arguments).sample(dt, 250) for arguments in each]
    assert_array_equal(make(**varied_ones).sample(dt, 250), np.transpose(alone))


def test_a_recorded_waveform_is_linear_between_its_samples_and_taken_mid_step():
    samples, dt = np.random.default_rng(0).normal(size=40), 0.05
    for run_dt in (0.01, 0.05, 0.07, 0.4):
        sampled = Stimulus.recorded(samples, dt).sample(run_dt, 300)
        middle = (np.arange(300) + 0.5) * run_dt
        expected = np.interp(middle, np.arange(41) * dt, [*samples, samples[-1]], right=0.0)
        assert_allclose(sampled, expected, rtol=0, atol=ROUNDING)
    # A step as long as that between samples has the mean of two neighbours, and the last sample
    # is held.
    pairs = (samples + np.append(samples[1:], samples[-1])) / 2
    assert_allclose(Stimulus.recorded(samples, dt).sample(dt, 40), pairs, rtol=0, atol=ROUNDING)


def test_a_recorded_waveform_has_a_gain_per_neuron_and_stays_separable():
    one = Stimulus.recorded([1.0, 2.0, 4.0], dt=0.2, gain=[0.0, 1.0, -3.0])
    line = Stimulus.recorded([1.0, 2.0, 4.0], dt=0.2).sample(0.1, 10)
    assert_allclose(one.sample(0.1, 10), np.outer(line, [0.0, 1.0, -3.0]), rtol=0, atol=ROUNDING)
    assert_allclose((2 * one).sample(0.1, 10), 2 * one.sample(0.1, 10), rtol=0, atol=ROUNDING)
    assert one.current(0.1).separable
    assert one.current(0.1).active_steps(0, 20) == range(6)


def test_a_warning_says_in_how_many_neurons_a_term_has_no_effect():
    stimulus = Stimulus.step(1.0, 0.5, [0.52, 0.9, 0.53])
    with pytest.warns(RuntimeWarning, match=r"for a step of dt=0\.1 ms .* in 2 of 3 neurons"):
        Problem(2.0, 0.1, stimulus=stimulus)
