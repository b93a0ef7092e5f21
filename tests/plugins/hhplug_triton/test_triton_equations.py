"""The printed steps of membranes, in Triton's interpreter."""

import numpy as np
import pytest
from described_rates import worst_rate_errors
from lowering.program_steps import described, population
from triton_cases import DT, DTYPES, MEMBRANES, STIFF, N, awkward_voltages

from hhplug.stiff import stiff_step
from hhplug.testing.accuracy import BOUNDS

# Error of a variable relative to its largest change in a step; found: 2e-14 and 1.4e-3,
# the latter in slow gates, which change by few float32 in a step.
STEP_BOUND = {"float64": 1e-13, "float32": 5e-3}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", MEMBRANES)
def test_plain_triton_makes_the_step_that_the_description_says(interpreter, name, dtype):
    state, *given = population(MEMBRANES[name], N)
    expected = described(MEMBRANES[name], state, *given)
    ours = np.load(interpreter / f"step-{name}-{dtype}.npy")
    assert ours.dtype == dtype
    change = np.abs(expected - state).max(axis=1, keepdims=True)
    assert (np.abs(ours - expected) / change).max() < STEP_BOUND[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", STIFF)
def test_plain_triton_makes_the_stiff_step_that_the_description_says(interpreter, name, dtype):
    state, I_ext, parameters = population(MEMBRANES[name], N)
    expected, _ = stiff_step(MEMBRANES[name].equations, state, I_ext, DT, parameters)
    ours = np.load(interpreter / f"stiff-{name}-{dtype}.npy")
    change = np.abs(expected - state).max(axis=1, keepdims=True)
    assert (np.abs(ours - expected) / change).max() < STEP_BOUND[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", MEMBRANES)
def test_plain_triton_has_the_rates_within_bounds(interpreter, name, dtype):
    with np.load(interpreter / f"rates-{name}-{dtype}.npz") as ours:
        worst = worst_rate_errors(MEMBRANES[name], awkward_voltages(name, dtype), ours)
    assert len(worst) >= len(MEMBRANES[name].reading.gates)
    assert max(worst.values()) < BOUNDS[dtype].rate, worst
