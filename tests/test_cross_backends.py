"""Every two backends that HHPLUG_TEST_BACKENDS names agree with each other."""

from functools import cache
from itertools import combinations

import numpy as np
import pytest
from under_test import NAMES

from hhplug import simulate
from hhplug.plugins import choice
from hhplug.testing.accuracy import BOUNDS, accuracy_problem

# From this state every neuron spikes within 0.3 ms.
HORIZONS = {
    "long": {"T": 20.0},
    "short": {"T": 1.0, "initial_state": [-30.0, 0.1, 0.6, 0.3]},
}
DTYPES = ("float32", "float64")


@cache
def run(backend, dtype, horizon):
    """Run in this precision, or in another if the backend doesn't have it."""
    chosen = choice.choose(backend)
    has = chosen.spec.capabilities.dtypes
    precision = dtype if dtype in has else None
    return simulate(accuracy_problem(dtype=precision, **HORIZONS[horizon]), chosen)


@pytest.mark.parametrize(("one", "other"), list(combinations(NAMES, 2)))
@pytest.mark.parametrize("dtype", DTYPES)
def test_two_backends_agree(pytestconfig, one, other, dtype):
    horizon = pytestconfig.getoption("--hhplug-horizon")
    a, b = run(one, dtype, horizon), run(other, dtype, horizon)
    difference = np.abs(a.V.astype(np.float64) - b.V)
    assert difference[:501].max() < BOUNDS[dtype].V_5_ms
    assert difference.max() < BOUNDS[dtype].V_50_ms
    assert a.spike_count.any()
    np.testing.assert_array_equal(a.spike_count, b.spike_count)
    np.testing.assert_array_equal(a.spikes.neuron, b.spikes.neuron)
    assert np.abs(a.spikes.time - b.spikes.time).max() < BOUNDS[dtype].spike_time
