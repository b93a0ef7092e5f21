"""One interface to time backends and peers, and the check that every run must pass."""

import os
from collections.abc import Callable
from functools import cache
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug import BackendUnavailable, InvalidInput, Simulator

from . import peers
from .inputs import DT, LENGTHS, ON_GPU, PEERS, Population

REQUIRE = "HHPLUG_BENCH_REQUIRE"  # comma-separated names that must be available

# Most neuron-steps and most steps of a run, which took about 0.2 s on the first machines, and most
# neurons. On a GPU a run takes a second, because the fixed cost of millions of neurons varies by
# 0.05 s.
WORK = {
    "reference": (10**6, 1256, 10_000),
    "numpy": (5 * 10**6, 1256, 10**6),
    "numba": (10**8, 20_008, 10**6),
    "triton": (17 * 10**10, 100_000, 8 * 10**6),
    "pycuda": (17 * 10**10, 100_000, 8 * 10**6),
    "peer-textbook": (10**6, 1256, 10_000),
    "peer-jax": (10**7, 1256, 10**6),
    "peer-jax on a GPU": (4 * 10**10, 5000, 8 * 10**6),
    "peer-launches": (4 * 10**10, 5000, 8 * 10**6),
}
FLOAT64_TIMES = 4  # float64 is this much slower than float32 on a GPU


class InvalidRun(Exception):
    """The run is wrong, so its time must not be used."""


def absent(name: str, reason: object) -> Exception:
    """Return the exception for a missing backend or peer; asv skips on NotImplementedError."""
    if name in os.environ.get(REQUIRE, "").split(","):
        return RuntimeError(f"{name} is required by {REQUIRE}, but: {reason}")
    return NotImplementedError(str(reason))


def population_simulator(name: str, dtype: str | None, population: Population) -> Simulator:
    """Return a simulator; raises NotImplementedError if the backend or its dtype is unavailable."""
    try:
        Simulator(name)
    except (BackendUnavailable, InvalidInput) as error:
        raise absent(name, error) from None
    try:
        return Simulator(name, dtype, population.parameters)
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
        "initial_state": population.row("state"),
        "record": (),
        "spikes": "counts",
    }
    began = perf_counter()
    result = sim.run(steps * DT, DT, **arguments | changes)
    seconds = perf_counter() - began
    check(result.final_state, result.spike_count, population, steps)
    return seconds, result


class Contestant:
    """A backend or a peer with n neurons, whose runs are timed and checked.

    Raises NotImplementedError, with the reason, if it is unavailable or would take too long.
    """

    def __init__(self, name: str, dtype: str, n: int):
        on_gpu = name == "peer-jax" and peers.jax_has_a_gpu()
        work, most_steps, most_neurons = WORK[f"{name} on a GPU" if on_gpu else name]
        if n > most_neurons:
            raise NotImplementedError(f"{n:,} neurons would take {name} too long")
        if name in ON_GPU and dtype == "float64":
            work //= FLOAT64_TIMES
        most = max(LENGTHS[1], min(work // n, most_steps))
        self._short, self._long = [length for length in LENGTHS if length <= most][-2:]
        self._population = Population(n, varied=name not in PEERS)
        run = self._peer if name in PEERS else self._backend
        self._run = run(name, dtype)
        self._warm: set[int] = set()

    def _backend(self, name: str, dtype: str) -> Callable[[int], float]:
        sim = population_simulator(name, dtype, self._population)
        return lambda steps: checked_run(sim, self._population, steps)[1].timing.run

    def _peer(self, name: str, dtype: str) -> Callable[[int], float]:
        current, state = self._population.row("I_ext"), self._population.row("state")
        try:
            peer = peers.MAKE[name](current, state, DT, dtype)
        except ImportError as error:
            raise absent(name, error) from None

        def run(steps: int) -> float:
            began = perf_counter()
            final_state, spike_count = peer(steps)
            seconds = perf_counter() - began
            check(final_state, spike_count, self._population, steps)
            return seconds

        return run

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


contestant = cache(Contestant)
"""The cached constructor, because asv calls setup again before each sample."""
