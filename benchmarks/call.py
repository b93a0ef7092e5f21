"""The time of a whole call of `run`: 10,000 neurons for 50 ms, with the result on the host."""

import gc
from functools import cache

from hhplug import Simulator

from .clock import clock
from .contestants import BACKENDS, ENTRIES
from .inputs import CALL, DTYPES, Population
from .runs import checked_run, population_simulator

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
    """The calls find spike times and copy the samples to the host."""

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
