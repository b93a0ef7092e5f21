"""A whole call as a user makes it: 10,000 neurons for 50 ms, to the result on the host."""

import gc
from functools import cache
from typing import Any

from hhplug import Simulator

from .clock import clock
from .contestants import checked_run, population_simulator
from .inputs import BACKENDS, CALL, DTYPES, Population, clear_of_spikes

N, STEPS = CALL[0], clear_of_spikes(CALL[1])
POPULATION = Population(N)
TOO_SLOW = ("reference",)
TRACES = {"none": (), "V of every step": ("V",)}


@cache
def ready(name: str, dtype: str) -> Simulator:
    """The backend, warm; NotImplementedError, with the reason, for what is not measured here."""
    if name in TOO_SLOW:
        raise NotImplementedError(f"{name} would take seconds; step.py has its speed")
    sim = population_simulator(name, dtype, POPULATION)
    for record in TRACES.values():
        call(sim, record)
    return sim


def call(sim: Simulator, record: tuple[str, ...]) -> tuple[float, Any]:
    gc.collect()
    return checked_run(sim, POPULATION, STEPS, record=record, spikes="times")


class Call:
    """Spike times found; the result is checked and dropped outside the timed part."""

    params = (BACKENDS, DTYPES, list(TRACES))
    param_names = ("backend", "dtype", "traces")
    version = "1"
    timeout = 300
    timer = clock
    number, repeat, rounds, warmup_time = 1, 6, 2, 0

    def setup(self, name: str, dtype: str, _: str) -> None:
        ready(name, dtype)

    def time_call(self, name: str, dtype: str, traces: str) -> None:
        seconds, _ = call(ready(name, dtype), TRACES[traces])
        clock.add(seconds)


class Recording:
    """What recording V of every step adds, brought home to the host, for a million samples."""

    params = (BACKENDS, DTYPES)
    param_names = ("backend", "dtype")
    version = "1"
    timeout = 300
    timer = clock
    number, repeat, rounds, warmup_time = 1, 6, 2, 0

    def setup(self, name: str, dtype: str) -> None:
        ready(name, dtype)

    def time_million_samples(self, name: str, dtype: str) -> None:
        sim = ready(name, dtype)
        with_traces, without = (call(sim, record)[0] for record in (("V",), ()))
        clock.add((with_traces - without) / (N * STEPS) * 1e6)
