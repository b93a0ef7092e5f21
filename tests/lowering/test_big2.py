"""The rates of lowered programs, at every voltage and at removable singularities."""

import numpy as np
import pytest
from hypothesis import given, settings
from made_membranes import made_membranes
from program_steps import values_of

from hhplug.lowering.lower import lowered
from hhplug.lowering.targets import TARGETS
from hhplug.membranes.description import Channel, Gate
from hhplug.membranes.evaluation import compiled
from hhplug.membranes.membrane import Membrane
from hhplug.membranes.squid import squid

BOUND = {"float64": 1e-13, "float32": 2e-5}  # relative, of a rate between −150 and 150 mV
CALCIUM = 1e-4  # mM
SINGULAR = Membrane(
    "m",
    K=Channel(
        "n",
        g=1.0,
        E=-80.0,
        n=Gate(
            alpha="0.01 * (V - V_T - 13) / (1 - exp(-(V - V_T - 13) / 9))",
            beta="0.1 * (V + 3.7) / (exp((V + 3.7) / 6.2) - 1)",
        ),
    ),
    L=Channel(g=0.1, E=-65.0),
    V_T=-55.0,
)


def awkward(points, dtype):
    """Return voltages from −150 to 150 mV, and the points and the floats beside them."""
    points = np.asarray(points, dtype)
    beside = [np.nextafter(points, dtype(np.inf)), np.nextafter(points, dtype(-np.inf))]
    near = [points + dtype(sign * 10.0**k) for sign in (-1, 1) for k in range(-6, 2)]
    return np.concatenate([np.linspace(-150.0, 150.0, 10_007, dtype=dtype), points, *beside, *near])


def worst_error(membrane, target, points=()):
    """Return the largest relative error of what moves a gate: alpha, alpha + beta, inf, 1/tau."""
    dtype = np.dtype(target.rpartition("-")[2]).type
    V = awkward(points, dtype)
    rest = np.full((len(membrane.states) - 1, len(V)), CALCIUM, dtype)
    values = values_of(
        lowered(membrane, target),
        np.stack([V, *rest]),
        0.0,
        membrane.equations.defaults,
        dt=2.0,  # ms: targets that scale slopes by dt/2 then scale them by 1
        dtype=dtype,
    )
    pools = dict.fromkeys(membrane.reading.pools, CALCIUM)
    found = membrane.rates(V.astype(np.float64), pools=pools)
    return max(
        np.abs(values[label] / expected - 1.0).max()
        for name, rates in found.items()
        for label, expected in labelled(membrane, name, rates, target).items()
        if label in values  # the value may have the name of another one that is equal
    )


def labelled(membrane, name, rates, target):
    """Return what the description says of the values of a gate, by their names in a program."""
    gate = membrane.reading.gates[name]
    if gate.instantaneous:
        return {f"{name}_1": rates.inf}
    # The other targets leave the speed to the method.
    scaled = TARGETS[target].scaled_by_step
    speed = 1.0 if scaled else compiled(gate.speed)(membrane.equations.defaults)
    per_tau = 1.0 / (rates.tau * speed)
    if gate.alpha is None:
        return {f"inf_{name}_1": rates.inf, f"per_tau_{name}_1": per_tau}
    return {f"alpha_{name}_1": rates.alpha / speed, f"alpha_beta_{name}_1": per_tau}


@pytest.mark.parametrize("target", TARGETS)
def test_rates_of_squid_are_within_bounds_at_every_voltage(target):
    assert worst_error(squid, target, [-40.0, -55.0]) < BOUND[target.rpartition("-")[2]]


@pytest.mark.parametrize("target", TARGETS)
def test_rates_are_within_bounds_where_a_parameter_shifts_a_singularity(target):
    assert worst_error(SINGULAR, target, [-42.0, -3.7]) < BOUND[target.rpartition("-")[2]]


@settings(max_examples=120, deadline=None)
@given(membrane=made_membranes())
def test_rates_of_made_membranes_are_within_bounds(membrane):
    for target in ("gpu-float32", "gpu-float64", "numpy-float64"):
        assert worst_error(membrane, target) < BOUND[target.rpartition("-")[2]]
