"""Measure the speed of backends on the user's own machine."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median

import numpy as np

from hhplug.currents.stimulus import Stimulus
from hhplug.running.simulator import Simulator

DURATION = 2.5  # ms; each run has 250 steps


@dataclass(frozen=True)
class Measurement:
    """The speed of one backend with one number of neurons."""

    backend: str
    device: str
    dtype: str
    neurons: int
    steps: int
    seconds: float  # of the median run, without compiling
    neuron_steps_per_second: float
    speedup: float  # relative to the first backend with as many neurons


def measure(
    backends: Iterable[str], sizes: Iterable[int], n_runs: int, dtype: str | None = None
) -> Iterator[Measurement]:
    """Yield the time of an F-I sweep for each size and backend, the median of n_runs runs.

    The sweep is 0–20 µA/cm², with spikes counted and nothing recorded. A first run isn't timed.
    Raises InvalidInput or BackendUnavailable, as `Simulator` does, before anything is timed.
    """
    simulators = [Simulator(backend, dtype) for backend in backends]
    for size in sizes:
        stimulus = Stimulus.constant(np.linspace(0.0, 20.0, size))
        first = None
        for simulator in simulators:
            runs = [
                simulator.run(
                    DURATION, batch_size=size, stimulus=stimulus, record=(), spikes="counts"
                )
                for _ in range(n_runs + 1)
            ][1:]  # the first run compiles
            seconds = median(run.timing.run for run in runs)
            first = first or seconds
            steps = runs[0].problem.n_steps
            yield Measurement(
                backend=simulator.backend,
                device=simulator.device,
                dtype=runs[0].dtype,
                neurons=size,
                steps=steps,
                seconds=seconds,
                neuron_steps_per_second=size * steps / seconds,
                speedup=first / seconds,
            )
