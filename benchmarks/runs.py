"""Timed runs of backends and peers, and the check that every run must pass."""

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug import BackendUnavailable, InvalidInput, Simulator, Stimulus
from hhplug.problem import Method

from .contestants import ALSO, ENTRIES, ON_GPU, Work, names_in
from .inputs import DT, Population
from .peers import MakePeer

REQUIRE = "HHPLUG_BENCH_REQUIRE"  # comma-separated names that must be available

FLOAT64_TIMES = 4  # float64 is this much slower than float32 on a GPU
LONG_ENOUGH = 0.2  # s, of the long run of a backend whose work is unknown
TOO_LONG = 5.0  # s, of a run of which a benchmark takes dozens


class InvalidRun(Exception):
    """The run is wrong, so its time must not be used."""


def absent(name: str, reason: object) -> Exception:
    """Return the exception for a missing backend or peer; asv skips on NotImplementedError."""
    for variable in (REQUIRE, ALSO):
        if name in names_in(variable):
            return RuntimeError(f"{name} is required by {variable}, but: {reason}")
    return NotImplementedError(str(reason))


def population_simulator(
    name: str, dtype: str | None, population: Population, method: Method = "rk4"
) -> Simulator:
    """Return a simulator.

    Raises NotImplementedError if the backend, its dtype or the method is unavailable.
    """
    try:
        Simulator(name)
    except (BackendUnavailable, InvalidInput) as error:
        raise absent(name, error) from None
    try:
        return Simulator(name, dtype, **population.model, method=method)
    except InvalidInput as error:
        raise NotImplementedError(str(error)) from None


def check(state: NDArray[Any], spike_count: NDArray[Any], population: Population, steps: int):
    """Raise InvalidRun if the final state is not finite or a neuron's spike count is wrong."""
    if not np.isfinite(state).all():
        raise InvalidRun(f"{np.count_nonzero(~np.isfinite(state))} values are not finite")
    wrong = np.flatnonzero(spike_count != population.spike_count(steps))
    if wrong.size:
        raise InvalidRun(f"{wrong.size:,} of {population.n:,} neurons have a wrong spike count")


def checked_run(
    sim: Simulator, population: Population, steps: int, **changes: Any
) -> tuple[float, Any]:
    """Run the first steps of the population and return the seconds of the call and the result.

    Nothing is recorded unless `changes` says so.
    """
    arguments = {
        "stimulus": population.stimulus,
        "initial_state": population.initial_state,
        "record": (),
        "spikes": "counts",
    }
    began = perf_counter()
    result = sim.run(steps * DT, DT, **arguments | changes)
    seconds = perf_counter() - began
    check(result.final_state, result.spike_count, population, steps)
    return seconds, result


class TimedRuns:
    """Runs of a backend or a peer with n neurons, which are timed and checked.

    current: one of `Population.current`. method: that of a backend; a peer has its own.
    population: by default `Population(n)`.

    Raises NotImplementedError, with the reason, if it is unavailable or would take too long.
    """

    def __init__(
        self,
        name: str,
        dtype: str,
        n: int,
        *,
        current: str = "held",
        method: Method = "rk4",
        population: Population | None = None,
    ):
        entry = ENTRIES[name]
        work = entry.work() if callable(entry.work) else entry.work
        if work and n > work.neurons:
            raise NotImplementedError(f"{n:,} neurons would take {name} too long")
        self._population = population or Population(n, varied=not entry.peer)
        if entry.peer:
            self._run = self._peer(name, entry.peer, dtype)
        else:
            self._run = self._backend(name, dtype, self._population.current(current), method)
        self._warm: set[int] = set()
        if work:
            slower = FLOAT64_TIMES if name in ON_GPU and dtype == "float64" else 1
            self._short, self._long = _lengths(work, slower, self._population)
        else:
            self._short, self._long = self._lengths_by_trial()

    def _backend(
        self, name: str, dtype: str, stimulus: Stimulus, method: Method
    ) -> Callable[[int], float]:
        population = self._population
        sim = population_simulator(name, dtype, population, method)
        return lambda steps: checked_run(sim, population, steps, stimulus=stimulus)[1].timing.run

    def _peer(self, name: str, make: MakePeer, dtype: str) -> Callable[[int], float]:
        current, state = self._population.row("I_ext"), self._population.row("state")
        try:
            peer = make(current, state, DT, dtype)
        except ImportError as error:
            raise absent(name, error) from None

        def run(steps: int) -> float:
            began = perf_counter()
            final_state, spike_count = peer(steps)
            seconds = perf_counter() - began
            check(final_state, spike_count, self._population, steps)
            return seconds

        return run

    def _lengths_by_trial(self) -> tuple[int, int]:
        """Return the steps of a short run and of the first one that is long enough."""
        lengths = self._population.lengths
        for short, long in pairwise((0, *lengths)):
            seconds = self._seconds(long)
            if seconds > TOO_LONG:
                n = self._population.n
                raise NotImplementedError(f"{long} steps of {n:,} neurons take {seconds:.0f} s")
            if short and seconds > LONG_ENOUGH:
                return short, long
        return lengths[-2], lengths[-1]

    def seconds_per_step(self) -> float:
        """Return the seconds per step, without the fixed cost of a run.

        The difference between a long and a short run has no fixed cost.
        """
        return (self._seconds(self._long) - self._seconds(self._short)) / (self._long - self._short)

    def _seconds(self, steps: int) -> float:
        """Return the seconds of a run, without compilation and the first launch."""
        if steps not in self._warm:
            self._run(steps)
            self._warm.add(steps)
        return self._run(steps)


def _lengths(work: Work, slower: int, population: Population) -> tuple[int, int]:
    """Return the steps of a short and a long run of a population; `slower` divides the work."""
    lengths = population.lengths
    most = max(lengths[1], min(work.neuron_steps // slower // population.n, work.steps))
    short, long = [length for length in lengths if length <= most][-2:]
    return short, long


timed_runs = cache(TimedRuns)
"""The cached constructor, because asv calls setup again before each sample."""
