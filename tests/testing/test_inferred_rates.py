"""The kit infers the six rates from single steps; here the backend's rates are known."""

import numpy as np
import pytest
from sabotaged.changes import with_function, with_rate

from hhplug.problem import Problem
from hhplug.running.simulate import simulate
from hhplug.testing.accuracy import BOUNDS
from hhplug.testing.membranes import MEMBRANES
from hhplug.testing.rates import LEAST_SHARE, SINGULAR, voltages, worst_rate_error

pytestmark = pytest.mark.filterwarnings("ignore:.* became invalid:RuntimeWarning")

RATES = [f"{kind}_{gate}" for gate in "mhn" for kind in ("alpha", "beta")]
BOUND = BOUNDS["float64"].rate
OFF = 1e-3  # relative
NOISE = 1e-10  # relative: what the inference adds to an error of this size, and more


def step(T, **arguments):
    return simulate(Problem(T, dtype="float64", **arguments), "reference")


def step_with(name, change):
    """Return a step of the reference with one of its rates changed by change(V, rate)."""

    def changed(T, **arguments):
        with with_rate(name, change):
            return step(T, **arguments)

    return changed


@pytest.mark.parametrize("membrane", MEMBRANES.values(), ids=lambda membrane: membrane.name)
def test_the_references_rates_are_inferred_to_rounding(membrane):
    assert worst_rate_error(step, "float64", membrane) < BOUND
    assert worst_rate_error(step, "float32", membrane) < BOUND  # at the voltages of float32


# Each is of another kind: by inf and tau, with a speed; instantaneous; of a pool.
@pytest.mark.parametrize(
    ("membrane", "gate", "part"),
    [
        ("instantaneous", "h", "inf"),
        ("instantaneous", "h", "tau"),
        ("instantaneous", "h", "speed"),
        ("instantaneous", "m", "alpha"),
        ("shifted", "p", "tau"),
        ("calcium", "s", "inf"),
        ("calcium", "q", "alpha"),
    ],
)
def test_a_wrong_rate_of_any_kind_of_gate_is_seen_at_its_size(membrane, gate, part):
    membrane = MEMBRANES[membrane]
    equations = membrane.equations
    right = equations._gates[gate].functions[part]

    def changed(T, **arguments):
        with with_function(equations, gate, part, lambda values: right(values) * (1.0 + OFF)):
            return step(T, **arguments)

    error = worst_rate_error(changed, "float64", membrane)
    # Where inf is nearly 1, β = (1 − inf)/tau is off by more; LEAST_SHARE bounds it.
    assert 0.3 * OFF < error < 1.1 * OFF / LEAST_SHARE


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_wrong_constant_is_seen_at_its_size(name, sign):
    error = worst_rate_error(step_with(name, lambda _, rate: rate * (1 + sign * OFF)), "float64")
    assert error == pytest.approx(OFF, abs=NOISE)


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("V", [-149.0, -40.0, -20.0, 20.0, 149.0])
def test_a_rate_that_is_wrong_near_one_voltage_is_seen(name, V):
    def change(voltage, rate):
        return np.where(np.abs(voltage - V) < 0.5, rate * (1 + OFF), rate)

    assert worst_rate_error(step_with(name, change), "float64") > BOUND


@pytest.mark.filterwarnings("ignore:.* became NaN:RuntimeWarning")
@pytest.mark.parametrize(("name", "V"), [("alpha_m", -40.0), ("alpha_n", -55.0)])
@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_a_rate_that_is_wrong_only_at_a_singular_voltage_is_seen(name, V, value):
    error = worst_rate_error(
        step_with(name, lambda voltage, rate: np.where(voltage == V, value, rate)), "float64"
    )
    assert error == np.inf if np.isnan(value) else error == 1.0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_voltages_are_exact_in_the_backends_precision(dtype):
    V = voltages(dtype, SINGULAR["squid"])
    np.testing.assert_array_equal(V, V.astype(dtype))
    assert (V.min(), V.max()) == (-150.0, 150.0)
    for singular in np.array([-40.0, -55.0], dtype):
        assert {np.nextafter(singular, -200), singular, np.nextafter(singular, 200)} <= set(V)
