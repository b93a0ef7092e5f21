"""The time of whole calls of `run`, with the result on the host."""

import gc
from functools import cache
from statistics import median
from time import perf_counter

from hhplug import Simulator, Stimulus
from hhplug.problem import SpikeMode

from .clock import clock
from .contestants import BACKENDS, ENTRIES
from .inputs import CALL, CALLS, DT, DTYPES, Population
from .runs import TOO_LONG, checked_run, population_simulator, timed_runs

N, STEPS = CALL
POPULATION = Population(N)
TRACES = {
    "none": {"record": ()},
    "V of every step": {"record": ("V",)},
    "V m h n of every tenth": {"record_all": True, "record_every": 10},
}


@cache
def ready(name: str, dtype: str, traces: str) -> Simulator:
    """Return a simulator that has run once; raises NotImplementedError if it is not measured."""
    if not ENTRIES[name].whole_calls:
        raise NotImplementedError(f"{name} would take seconds; step.py has its speed")
    sim = population_simulator(name, dtype, POPULATION)
    call(sim, traces)
    return sim


def call(sim: Simulator, traces: str) -> float:
    """Return the seconds of a call, without those of checking and freeing its result.

    Garbage collection is off during the call, as in timeit. There is none just before it either:
    a collection visits all of PyTorch's objects, which empties the CPU's caches, and the next call
    takes 1.5 times as long.
    """
    gc.disable()
    try:
        return checked_run(sim, POPULATION, STEPS, spikes="times", **TRACES[traces])[0]
    finally:
        gc.enable()


class Call:
    """10,000 neurons for 50 ms. The calls find spike times and copy the samples to the host."""

    params = (BACKENDS, DTYPES, list(TRACES))
    param_names = ("backend", "dtype", "traces")
    version = "2"
    timeout = 300
    timer = clock
    number, repeat, rounds, warmup_time = 1, 5, 2, 0

    def setup(self, name: str, dtype: str, traces: str) -> None:
        ready(name, dtype, traces)

    def time_call(self, name: str, dtype: str, traces: str) -> None:
        clock.add(call(ready(name, dtype, traces), traces))


class OverSteps:
    """The time of a call that records nothing over that of its steps alone, in float32.

    Both are measured in turn in one process. What exceeds 1 is the host's share. All calls have
    the same Simulator and stimulus, as in a notebook's cell that is run again.
    """

    params = (BACKENDS, list(CALLS), ["times", "counts"])
    param_names = ("backend", "neurons", "spikes")
    unit = "of the time of the steps"
    version = "1"
    timeout = 300
    TURNS = 5

    def setup(self, name: str, n: int, spikes: SpikeMode) -> None:
        steps = timed_runs(name, "float32", n)
        if steps.seconds_per_step() * CALLS[n] > TOO_LONG:
            raise NotImplementedError(f"{CALLS[n]} steps of {n:,} neurons would take seconds")
        self._call(name, n, spikes)

    def track_call_over_steps(self, name: str, n: int, spikes: SpikeMode) -> float:
        steps = timed_runs(name, "float32", n)
        times = [(self._call(name, n, spikes), steps.seconds_per_step()) for _ in range(self.TURNS)]
        return median(mine for mine, _ in times) / (median(one for _, one in times) * CALLS[n])

    def _call(self, name: str, n: int, spikes: SpikeMode) -> float:
        sim, stimulus = called(name, n)
        began = perf_counter()
        result = sim.run(CALLS[n] * DT, DT, stimulus=stimulus, record=(), spikes=spikes)
        seconds = perf_counter() - began
        assert result.valid.all()
        assert result.spike_count.any()
        return seconds


@cache
def called(name: str, n: int) -> tuple[Simulator, Stimulus]:
    """Return the simulator of a backend for a population in float32, and its stimulus."""
    population = Population(n)
    return population_simulator(name, "float32", population), population.stimulus
