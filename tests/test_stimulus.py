"""How stimuli are made, added, scaled, sampled and printed; the currents are worked out by hand."""

import math
import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from stimuli import MIXED, ROUNDING

from hhplug import InvalidInput, Problem, Stimulus


@pytest.mark.parametrize(
    ("terms", "given"),
    [
        (10, "int"),
        (np.zeros(4), "ndarray"),
        ([Stimulus.constant(1)], "list"),
        ((Stimulus.constant(1),), "tuple"),
    ],
)
def test_the_error_of_the_constructor_names_the_class_methods(terms, given):
    with pytest.raises(
        InvalidInput, match=rf"Stimulus\.constant\(amplitude\).* got {given}"
    ) as error:
        Stimulus(terms)
    assert "add them with +" in str(error.value)


def test_an_empty_stimulus_has_zero_current():
    assert_array_equal(Stimulus().sample(0.1, 3), [0, 0, 0])


def test_a_stimulus_can_be_sampled_at_any_dt():
    stimulus = Stimulus.step(3.0, 1.0, 2.0)
    assert_array_equal(stimulus.sample(0.5, 6), [0, 0, 3, 3, 0, 0])
    assert_array_equal(stimulus.sample(1.0, 3), [0, 3, 0])
    assert_array_equal(stimulus.sample(0.5, 6), [0, 0, 3, 3, 0, 0])


def test_terms_are_added_in_the_order_written():
    big, one, minus_big = map(Stimulus.constant, (1e16, 1.0, -1e16))
    # 1e16 + 1 rounds to 1e16 in float64.
    assert (big + one + minus_big).sample(0.1, 1) == 0.0
    assert (big + minus_big + one).sample(0.1, 1) == 1.0


def test_amplitudes_per_neuron_and_for_all_neurons_can_be_added():
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
def test_a_stimulus_can_be_added_only_to_a_stimulus(other, form):
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


def test_scaling_by_an_array_sets_the_number_of_neurons():
    assert (Stimulus.constant(0.0) * [1, 2, 3]).n_neurons == 3
    assert (Stimulus.sine(1.0, 50.0) * [1, 2, 3]).n_neurons == 3
    assert len((Stimulus.sine(1.0, 50.0) * [1, 2, 3]).gains) == 1  # no offset


def test_a_stimulus_is_divided_by_numbers():
    assert_array_equal((Stimulus.constant([2, 4]) / 2).gains[0], [1, 2])
    assert_array_equal((Stimulus.constant(6.0) / [2, 3]).gains[0], [3, 2])
    refused = {
        "divided by numbers other than 0": (0, [1.0, 0.0]),
        "divided by numbers, not by another Stimulus": (Stimulus.constant(1.0),),
        "divisor must hold real numbers": ("x",),
    }
    for message, divisors in refused.items():
        for divisor in divisors:
            with pytest.raises(InvalidInput, match=message):
                Stimulus.constant(1.0) / divisor


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
def test_an_invalid_factor_is_refused(factor, words):
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
        (lambda: Stimulus.recorded([1.0], dt=1.0, gian=3), "gain"),
        (lambda: Stimulus.white_noise(1.0, sead=3), "seed"),
        (lambda: Stimulus.ornstein_uhlenbeck(1.0, sigma=1.0, taw=3.0, seed=3), "tau"),
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
        lambda: Stimulus.step([1, 2, 3], 0.0, [1.0, 2.0]),
        lambda: Stimulus.step(1.0, [0, 0.1, 0.2], [1.0, 2.0]),
        lambda: Stimulus.pulse_train(1.0, 0.0, [0.1, 0.1, 0.1], [1.0, 2.0], 3),
        lambda: Stimulus.sine(1.0, [10, 20, 30]) + Stimulus.white_noise([1, 2], seed=1),
    ],
)
def test_amplitudes_for_different_numbers_of_neurons_are_refused(make):
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
        Stimulus.white_noise(-0.5, 3),
        -Stimulus.ornstein_uhlenbeck(1, 2.5, 3, 2**64 - 1) + Stimulus.white_noise(1.0, 2),
    ],
    ids=repr,
)
def test_evaluating_the_repr_of_a_stimulus_gives_an_equal_stimulus(stimulus):
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
        (lambda: Stimulus.step(1, [1, math.nan], 5), "start", "neuron 1", "finite number of ms"),
        (lambda: Stimulus.step(1, 5, [6, 5, 4]), "stop", "5.0 for neuron 1", "later than start=5"),
        (lambda: Stimulus.ramp(1, 2, [5, 6], 6), "stop", "6.0 for neuron 1", "later than start=6"),
        (
            lambda: Stimulus.step(1, [0, 5], [1, 4]),
            "stop",
            "4.0 for neuron 1",
            "later than start=5",
        ),
        (lambda: Stimulus.step(1, [[1.0]], 5), "start", "(1, 1)", "one value per neuron"),
        (
            lambda: Stimulus.pulse_train(1, 0, [1, 0], 2, 3),
            "width",
            "0.0 for neuron 1",
            "positive number of ms",
        ),
        (
            lambda: Stimulus.pulse_train(1, 0, [1, 3], 2, 3),
            "width",
            "3.0 for neuron 1",
            "at most the period of 2.0",
        ),
        (
            lambda: Stimulus.sine(1, [10, -1]),
            "frequency",
            "-1.0 for neuron 1",
            "positive number of Hz",
        ),
        (lambda: Stimulus.recorded([[1.0, 2.0]], 1), "current", "(1, 2)", "one value per sample"),
        (lambda: Stimulus.recorded(3.0, 1), "current", "()", "one value per sample"),
        (lambda: Stimulus.recorded([1.0, math.nan], 1), "current", "nan at 1", "finite (µA/cm²)"),
        (lambda: Stimulus.recorded([1.0], 0), "dt", "got 0", "positive number of ms"),
        (lambda: Stimulus.recorded([1.0], 1, math.inf), "gain", "inf", "finite number"),
        (lambda: Stimulus.white_noise(math.nan, 1), "sigma", "nan", "number of µA/cm²·√ms"),
        (lambda: Stimulus.white_noise(1.0, -1), "seed", "-1", "0 or more"),
        (lambda: Stimulus.white_noise(1.0, 1.5), "seed", "1.5", "whole number"),
        (lambda: Stimulus.white_noise(1.0, 2**64), "seed", str(2**64), "at most 2⁶⁴ − 1"),
        (
            lambda: Stimulus.ornstein_uhlenbeck(1, 1, [3, 0], 1),
            "tau",
            "0.0 for neuron 1",
            "positive number of ms",
        ),
        (lambda: Stimulus().sample(0.0, 5), "dt", "0.0", "positive number of ms"),
        (lambda: Stimulus().sample(0.1, 5, batch_size=0), "batch_size", "0", "1 or more"),
        (
            lambda: Stimulus.constant([1, 2]).sample(0.1, 5, batch_size=3),
            "batch_size",
            "got 3",
            "2, the number of neurons",
        ),
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


def test_a_sample_of_noise_has_a_column_for_each_neuron():
    noise = Stimulus.white_noise(1.0, seed=3)
    assert noise.sample(0.1, 40).shape == (40,)
    many = noise.sample(0.1, 40, batch_size=5)
    assert many.shape == (40, 5)
    assert_array_equal(many[:, 0], noise.sample(0.1, 40))
    assert len(np.unique(many)) == many.size
    assert_array_equal(Stimulus.constant(2.0).sample(0.1, 3, batch_size=2), np.full((3, 2), 2.0))
    # The proposal for a sum with an array is the sum for n neurons, each with its own noise.
    for array in (np.zeros((40, 5)), np.zeros(40)):
        with pytest.raises(InvalidInput) as error:
            array + noise
        proposed = re.search("pass (.*), an array", str(error.value))[1]
        names = {"array": array, "stimulus": noise, "dt": 0.1, "n": 5, "np": np}
        assert_array_equal(eval(proposed, names), many)


def test_noise_is_scaled_with_its_mean():
    one = Stimulus.ornstein_uhlenbeck(5.0, 2.0, tau=3.0, seed=1)
    sampled = one.sample(0.1, 30, batch_size=3)
    expected = sampled * [1.0, -2.0, 0.0]
    assert_allclose(([1.0, -2.0, 0.0] * one).sample(0.1, 30), expected, rtol=0, atol=1e-14)
    assert repr(2 * one) == "Stimulus.ornstein_uhlenbeck(10.0, sigma=4.0, tau=3.0, seed=1)"


def test_two_noises_of_one_seed_in_a_sum_are_independent_and_others_do_not_change_them():
    one, other = (Stimulus.white_noise(1.0, seed=seed) for seed in (1, 2))
    first = one.sample(0.1, 5000)
    second = (one + one).sample(0.1, 5000) - first
    assert abs(np.corrcoef(first, second)[0, 1]) < 5.0 / np.sqrt(5000)
    assert abs(second.std() / first.std() - 1.0) < 5.0 / np.sqrt(2 * 5000)
    # Noise of another seed is added to the same noise.
    assert_allclose((other + one).sample(0.1, 50) - other.sample(0.1, 50), first[:50], atol=1e-14)
    assert (one + other + one).seeds == (1, 2, 1)
