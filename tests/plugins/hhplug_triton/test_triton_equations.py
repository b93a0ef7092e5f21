"""The printed steps of membranes, in Triton's interpreter."""

import numpy as np
import pytest
from lowering.program_steps import described, population
from triton_cases import DTYPES, MEMBRANES, N, awkward_voltages

from hhplug.membranes.evaluation import compiled
from hhplug.testing.accuracy import BOUNDS

# Of a step, relative to the state's size; found: 2e-15 and 3e-7.
STEP_BOUND = {"float64": 1e-14, "float32": 1e-6}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", MEMBRANES)
def test_plain_triton_makes_the_step_that_the_description_says(interpreter, name, dtype):
    expected = described(MEMBRANES[name], *population(MEMBRANES[name], N))
    ours = np.load(interpreter / f"step-{name}-{dtype}.npy")
    assert ours.dtype == dtype
    size = np.abs(expected).max(axis=1, keepdims=True)
    assert (np.abs(ours - expected) / size).max() < STEP_BOUND[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", MEMBRANES)
def test_plain_triton_has_the_rates_within_bounds(interpreter, name, dtype):
    V = awkward_voltages(name, dtype).astype(np.float64)
    expected = rates_by_name(MEMBRANES[name], V)
    with np.load(interpreter / f"rates-{name}-{dtype}.npz") as ours:
        worst = {
            label: np.abs(values / expected[label] - 1.0).max()
            for label, values in ours.items()
            if label in expected
        }
    assert len(worst) >= len(MEMBRANES[name].reading.gates)
    assert max(worst.values()) < BOUNDS[dtype].rate, worst


def rates_by_name(membrane, V):
    """Return rates (1/ms, without their speed) and steady states by their names in a program."""
    found = {}
    for name, rates in membrane.rates(V).items():
        gate = membrane.reading.gates[name]
        if gate.instantaneous:
            found[f"{name}_1"] = rates.inf
            continue
        per_tau = 1.0 / (rates.tau * compiled(gate.speed)(membrane.equations.defaults))
        found |= {f"alpha_{name}_1": rates.inf * per_tau, f"alpha_beta_{name}_1": per_tau}
        found |= {f"inf_{name}_1": rates.inf, f"per_tau_{name}_1": per_tau}
    return found
