"""The time of a neuron-step of membranes of the library, by backend, precision and size."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug import Simulator

from .clock import clock
from .contestants import BACKENDS
from .inputs import DT, DTYPES, LENGTHS, MEMBRANE_SIZES, MEMBRANES, MembranePopulation
from .runs import TimedRuns

Counts = dict[str, dict[int, NDArray[np.int64]]]
"""The reference's number of spikes of the hundred neurons, by membrane and steps of a run."""


RUNS: dict[tuple[str, str, str, int], TimedRuns] = {}


def setup_cache() -> Counts:
    """Count the reference's spikes once; there are none for commits that know no membranes."""
    try:
        return {name: _spikes(name) for name in MEMBRANES}
    except ImportError:
        return {}


setup_cache.timeout = 600  # pyright: ignore[reportFunctionMemberAccess]  # of asv; s


def _spikes(name: str) -> dict[int, NDArray[np.int64]]:
    population = MembranePopulation(name, 100, {})
    longest = population.lengths[-1]
    result = Simulator("reference", **population.model).run(
        longest * DT, DT, stimulus=population.stimulus, record=()
    )
    step = result.spikes.time / DT
    return {
        steps: np.bincount(result.spikes.neuron[step < steps], minlength=100)
        for steps in LENGTHS
        if steps <= longest
    }


class MembraneStep:
    """The runs are those of `step.Step`, with a membrane of the library."""

    params = (BACKENDS, MEMBRANES, DTYPES, MEMBRANE_SIZES)
    param_names = ("backend", "membrane", "dtype", "neurons")
    version = "1"
    timeout = 300
    timer = clock
    number, repeat, rounds, warmup_time = 1, 6, 2, 0

    def setup(self, counts: Counts, backend: str, membrane: str, dtype: str, n: int) -> None:
        if membrane not in counts:
            raise NotImplementedError(f"this commit has no membrane {membrane}")
        key = backend, membrane, dtype, n
        if key not in RUNS:  # asv calls setup again before each sample
            population = MembranePopulation(membrane, n, counts[membrane])
            RUNS[key] = TimedRuns(backend, dtype, n, population=population)
        self._runs = RUNS[key]

    def time_million_neuron_steps(self, *parameters: Any) -> None:
        clock.add(self._runs.seconds_per_step() / parameters[-1] * 1e6)
