"""Measure the errors of every membrane of the library on backends, and their speed.

`python -m benchmarks.tools.membranes numpy numba` prints the table of docs/validation.md, of as
many backends as are named. Errors don't depend on the machine's load; --neurons 8000000 measures
the speed too, on a machine that does nothing else.
"""

import argparse
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import chain
from typing import Any

import numpy as np

from benchmarks.inputs import DTYPES
from benchmarks.tools.checkout import TOP
from hhplug import Simulator, Stimulus, membranes
from hhplug.membranes.membrane import Membrane
from hhplug.problem import Problem
from hhplug.running.simulate import simulate
from hhplug.testing.rates import worst_rate_error

CURRENTS = {  # µA/cm²; none is near the one from which on the neuron fires
    "squid": (8.0, 20.0), "RS": (2.0, 10.0), "FS": (3.0, 15.0), "LTS": (1.0, 8.0),
    "WB": (1.0, 8.0), "CS": (10.0, 20.0),
}  # fmt: skip
NEURONS = 63
SPREAD = 0.01  # of every parameter
TRACE_T, DT = 50.0, 0.01  # ms
NEURON_T = 60.0  # ms, up to which spikes are compared with NEURON's
USUAL_TEMPERATURE = 30  # parameter sets of the squid that are at 6.3 °C
SPEED_STEPS = 1000
HEADER = ("membrane", "backend", "a rate, relative", "V over 50 ms", "a spike time, of NEURON's")


def rate_error(membrane: Membrane, backend: str, dtype: Any) -> float:
    """The largest relative error of the membrane's rates, as the kit measures it."""
    return worst_rate_error(
        lambda T, **arguments: simulate(Problem(T=T, dtype=dtype, **arguments), backend),
        dtype,
        membrane,
    )


def spread_parameters(membrane: Membrane, neurons: int) -> dict[str, Any]:
    """Parameters of so many neurons, which differ by up to SPREAD from the usual values."""
    random = np.random.default_rng(1952)
    return {
        name: p.value * (1.0 + SPREAD * random.uniform(-1.0, 1.0, neurons))
        for name, p in membrane.parameters.items()
    }


def trace(membrane: Membrane, backend: str, dtype: Any) -> np.ndarray:
    """V of NEURONS neurons over TRACE_T, mV: (samples, neurons)."""
    parameters = spread_parameters(membrane, NEURONS)
    stimulus = Stimulus.constant(np.linspace(*CURRENTS[membrane.name], NEURONS))
    sim = Simulator(backend, dtype, parameters, membrane=membrane)
    return sim.run(TRACE_T, DT, stimulus=stimulus, record_every=10, spikes="off").V


@cache
def reference_trace(membrane: Membrane) -> np.ndarray:
    return trace(membrane, "reference", "float64")


def trace_error(membrane: Membrane, backend: str, dtype: Any) -> float:
    """The largest difference of V from the reference's over TRACE_T, mV."""
    return float(np.abs(trace(membrane, backend, dtype) - reference_trace(membrane)).max())


def spike_time_error(membrane: Membrane, backend: str, dtype: Any) -> float | None:
    """The largest difference of a spike time from NEURON's by NEURON_T, ms; None without data."""
    file = TOP / "tests" / "data" / f"{membrane.name}_neuron.npz"
    if not file.exists():
        return None
    with np.load(file) as data:
        n = USUAL_TEMPERATURE if membrane.name == "squid" else len(data["current"])
        known = (data["spike_neuron"] < n) & (data["spike_time"] < NEURON_T)
        neuron, time = data["spike_neuron"][known], data["spike_time"][known]
        parameters = {name: data[f"p_{name}"][:n] for name in membrane.parameters}
        stimulus = Stimulus.step(data["current"][:n], float(data["start"]), float(data["stop"]))
    spikes = (
        Simulator(backend, dtype, parameters, membrane=membrane)
        .run(NEURON_T, DT, stimulus=stimulus, record=())
        .spikes
    )
    if not np.array_equal(spikes.neuron, neuron):
        return np.inf
    return float(np.abs(spikes.time - time).max())


def speed(
    membrane: Membrane, backend: str, dtype: Any, neurons: int, parameters: Mapping[str, Any]
) -> float:
    """Neuron-steps/s of a warm run that counts spikes."""
    sim = Simulator(backend, dtype, parameters, membrane=membrane)
    stimulus = Stimulus.constant(np.linspace(*CURRENTS[membrane.name], neurons))
    runs = [
        sim.run(SPEED_STEPS * DT, DT, stimulus=stimulus, record=(), spikes="counts")
        for _ in range(4)
    ]
    return max(run.neuron_steps_per_second for run in runs[1:])


def rows(backends: list[str], neurons: int) -> Iterator[list[str]]:
    for name in membranes.__all__:
        membrane: Membrane = getattr(membranes, name)
        parameters = spread_parameters(membrane, neurons)
        for backend in backends:
            for dtype in DTYPES:
                time = spike_time_error(membrane, backend, dtype)
                row = [
                    name,
                    f"`{backend}` {dtype}",
                    f"{rate_error(membrane, backend, dtype):.1e}",
                    f"{trace_error(membrane, backend, dtype):.1e} mV",
                    "" if time is None else f"{time:.1e} ms",
                ]
                if neurons:
                    row.append(f"{speed(membrane, backend, dtype, neurons, parameters):.2e}")
                yield row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("backends", nargs="+")
    parser.add_argument("--neurons", type=int, default=0, help="measure the speed with so many")
    chosen = parser.parse_args()
    header = [*HEADER, *(["neuron-steps/s"] if chosen.neurons else [])]
    lines = chain([header, ["---"] * len(header)], rows(chosen.backends, chosen.neurons))
    for row in lines:
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
