"""Membranes of the library agree with traces of Brian2, spike times of NEURON and SciPy's rates."""

from pathlib import Path

import numpy as np
import pytest
from rk4 import run

from hhplug import membranes

DATA = Path(__file__).parent.parent / "data"


def stored(name):
    with np.load(DATA / f"{name}.npz") as file:
        return dict(file)


def parameters_of(data, known):
    return {name: data[f"p_{name}"] for name in known}


# V in mV, and gates without a unit, over one interval between samples. Found: 1.6e-12 and 1.2e-14.
TRACE_TOLERANCE = {"V": 1e-11, "gate": 1e-13}


@pytest.mark.parametrize("name", ["RS", "WB"])
def test_every_piece_of_a_trace_of_Brian2_leads_to_the_next_sample(name):
    """The whole trace is checked at once: each sample is integrated up to the next one."""
    membrane, data = getattr(membranes, name), stored(f"{name}_brian2")
    assert membrane.states == tuple(data["states"])
    n, every, dt = data["current"].shape[1], int(data["every"]), float(data["dt"])
    samples = np.stack([data[x] for x in membrane.states])  # (states, samples, n)
    ends = np.concatenate([samples[:, 1:], data["final"][:, None]], axis=1)
    count = samples.shape[1]
    pieces = np.diff([*data["current_start"], data["steps"]])
    rows = np.repeat(data["current"], pieces, axis=0).reshape(count, every, n)
    parameters = {
        key: np.tile(column, count)
        for key, column in parameters_of(data, membrane.parameters).items()
    }
    reached, *_ = run(
        membrane.equations,
        samples.reshape(len(samples), -1),
        lambda k: rows[:, k].ravel(),
        parameters,
        dt,
        every,
    )
    error = np.abs(reached.reshape(ends.shape) - ends).max(axis=(1, 2))
    assert error[0] < TRACE_TOLERANCE["V"]
    assert error[1:].max() < TRACE_TOLERANCE["gate"]


# Relative. Found: 2.2e-16.
SETTLED_TOLERANCE = 1e-14


@pytest.mark.parametrize("name", ["RS", "WB"])
def test_gates_settle_where_Brian2_begins(name):
    """The last neurons begin exactly where a rate is 0/0."""
    membrane, data = getattr(membranes, name), stored(f"{name}_brian2")
    settled = membrane.equations.settled(
        data["initial"][0], parameters_of(data, membrane.parameters)
    )
    np.testing.assert_allclose(settled, data["initial"], rtol=SETTLED_TOLERANCE)


DT = 0.02  # ms
STOP = 40.0  # ms, up to which a run is compared


def population(name):
    """Return the parameter sets of NEURON and of SciPy's F-I curve as one population.

    That is the parameters, the current from start to stop, start, stop, and the spikes by STOP.
    """
    neuron, fi = stored(f"{name}_neuron"), stored(f"{name}_fi")
    n, m = len(neuron["current"]), len(fi["current"])
    membrane = getattr(membranes, name)
    known = [
        *membrane.parameters,
        *({"phi"} - membrane.parameters.keys() if name == "squid" else ()),
    ]
    parameters = {
        key: np.concatenate([neuron[f"p_{key}"], np.full(m, fi[f"p_{key}"])]) for key in known
    }
    start = np.concatenate([np.full(n, neuron["start"]), np.zeros(m)])
    current = np.concatenate([neuron["current"], fi["current"]])
    neurons = np.concatenate([neuron["spike_neuron"], n + fi["spike_neuron"]])
    times = np.concatenate([neuron["spike_time"], fi["spike_time"]])
    return parameters, current, start, neurons, times


def with_phi(squid):
    """Return the squid membrane with a factor phi of all rates, as NEURON has it."""
    channels = squid.to_dict()["parts"]
    for channel in channels.values():
        for gate in channel["gates"].values():
            gate["speed"] = "phi"
    parts = {**channels, "phi": {"kind": "parameter", "value": 1.0, "unit": ""}}
    return membranes.squid.from_dict({"name": "squid with phi", "celsius": None, "parts": parts})


# ms at DT, RK4's own error. Found: squid 7.0e-6, RS 4.1e-5, WB 1.8e-4.
SPIKE_TOLERANCE = {"squid": 2e-5, "RS": 1e-4, "WB": 5e-4}


@pytest.mark.parametrize("name", ["squid", "RS", "WB"])
def test_spikes_come_when_NEURON_and_SciPy_have_them(name):
    parameters, current, start, neurons, times = population(name)
    membrane = getattr(membranes, name)
    membrane = with_phi(membrane) if name == "squid" else membrane
    begin = np.rint(start / DT)
    state = membrane.equations.settled(np.full(len(current), -65.0), parameters)
    _, neuron, time = run(
        membrane.equations,
        state,
        lambda k: np.where(k >= begin, current, 0.0),
        parameters,
        DT,
        round(STOP / DT),
    )
    expected = times < STOP
    assert np.array_equal(neuron, neurons[expected])
    assert np.abs(time - times[expected]).max() < SPIKE_TOLERANCE[name]


# Relative, at dt 0.025 ms after 60 ms. Found: 7.1e-6 for WB, and 3.8e-5 for squid at
# 8 µA/cm², which has not settled to the last digit.
RATE_TOLERANCE = 1e-4


@pytest.mark.parametrize("name", ["squid", "WB"])
def test_the_last_interval_is_that_of_the_settled_rate(name):
    membrane, data = getattr(membranes, name), stored(f"{name}_fi")
    fires = np.flatnonzero(data["rate"] > 50.0)
    parameters = membrane.equations.defaults
    state = membrane.equations.settled(np.full(len(fires), -65.0), parameters)
    current = data["current"][fires]
    _, neuron, time = run(
        membrane.equations, state, lambda _k: current, parameters, 0.025, round(60.0 / 0.025)
    )
    for k, rate in enumerate(data["rate"][fires]):
        interval = np.diff(time[neuron == k])[-1]  # ms
        assert abs(1000.0 / interval - rate) < RATE_TOLERANCE * rate, current[k]
