"""The number of steps of a Problem, and the steps that it records."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hhplug import InvalidInput, Problem


@pytest.mark.parametrize(
    ("T", "dt", "n_steps"),
    [
        (1000.0, 0.01, 100_000),
        (0.3, 0.1, 3),  # 0.3/0.1 is 2.9999999999999996 in float64
        (1.0, 1 / 3, 3),
        (0.7, 0.007, 100),
        (1.00000005, 0.1, 10),  # off by half of a millionth of a step
        (5, 5, 1),
        (1e6, 0.01, 10**8),
        (10_798_440_571 * 0.007, 0.007, 10_798_440_571),  # T/dt is 1.9e-6 above in float64
        (271_147_984.956, 0.034, 7_974_940_734),  # 1.9e-6 below: T, dt and T/dt are all rounded
    ],
)
def test_n_steps_is_T_over_dt_to_the_nearest_step(T, dt, n_steps):
    assert Problem(T, dt).n_steps == n_steps


@given(st.integers(1, 10**7) | st.integers(10**9, 2**50), st.floats(1e-4, 10.0))
def test_every_whole_number_of_steps_is_accepted(n_steps, dt):
    assert Problem(n_steps * dt, dt).n_steps == n_steps


@given(st.integers(2**32, 2**46), st.integers(1, 10**6))
def test_a_T_and_dt_rounded_from_decimals_are_a_whole_number_of_steps(n_steps, dt):
    T = float(Fraction(n_steps * dt, 10**6))
    assert Problem(T, float(Fraction(dt, 10**6))).n_steps == n_steps


@pytest.mark.parametrize("n_steps", [1, 10**6, 2**32 - 1])
def test_below_four_billion_steps_a_T_may_be_off_by_a_millionth_of_a_step(n_steps):
    assert Problem(n_steps + 0.99e-6, 1.0).n_steps == n_steps
    with pytest.raises(InvalidInput, match="T must be a whole number"):
        Problem(n_steps + 1.01e-6 + np.spacing(float(n_steps)), 1.0)


@given(st.floats(0.01, 1e4) | st.floats(1e7, 1e9), st.floats(0.01, 1.0))
def test_the_two_durations_in_the_error_are_the_nearest_that_are_accepted(T, dt):
    steps = Fraction(T) / Fraction(dt)
    assume(abs(steps - round(steps)) > 1e-4)
    with pytest.raises(InvalidInput) as error:
        Problem(T, dt)
    named = str(error.value).partition("would do are ")[2].removesuffix(" ms").split(" and ")
    below = max(1, math.floor(steps))
    assert [Problem(float(text), dt).n_steps for text in named] == [below, below + 1]


@pytest.mark.parametrize(
    ("every", "first", "count", "kept"),
    [
        (1, 0, 4, [0, 1, 2, 3]),
        (3, 0, 10, [0, 3, 6, 9]),
        (3, 7, 5, [9]),
        (3, 9, 1, [9]),
        (3, 10, 2, []),
        (7, 1, 5, []),
        (7, 20, 16, [21, 28, 35]),
        (100, 0, 10, [0]),
    ],
)
def test_the_recorded_steps_are_the_multiples_of_record_every(every, first, count, kept):
    assert list(Problem(1.0, 0.1, record_every=every).sample_steps(first, count)) == kept


def test_a_record_every_beyond_any_int64_records_only_step_zero():
    made = Problem(1.0, 0.1, record_every=2**70)
    assert np.int64(made.record_every) > made.end_step
    assert list(made.sample_steps(0, 10)) == [0]
    assert list(made.sample_steps(2**53 - 10, 10)) == []


def test_a_run_ends_where_the_next_one_starts():
    made = Problem(0.7, 0.1, start_step=40)
    assert made.end_step == 47
    assert made.T == pytest.approx(0.7, rel=1e-15)
