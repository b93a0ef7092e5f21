"""Time backends side by side: the quick look at a user's own machine."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median

import numpy as np

from hhplug.simulator import Simulator
from hhplug.stimulus import Stimulus

DURATION = 2.5  # ms a run: 250 steps


@dataclass(frozen=True)
class Measurement:
    """One backend at one size."""

    backend: str
    device: str
    dtype: str
    neurons: int
    steps: int
    seconds: float  # of the median run, compiling not counted
    neuron_steps_per_second: float
    speedup: float  # over the first backend at this size


def measure(
    backends: Iterable[str], sizes: Iterable[int], n_runs: int, dtype: str | None = None
) -> Iterator[Measurement]:
    """Run an F-I sweep (0–20 µA/cm², spikes counted, nothing recorded) n_runs times after a first.

    Raises InvalidInput or BackendUnavailable before anything is timed.
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
            ][1:]  # the first warms up
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
