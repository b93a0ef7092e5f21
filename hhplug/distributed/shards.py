"""Populations that a function makes shard by shard, where they are computed, and their stores.

The store is the plan and holds what is done. Whoever computes takes shards of it, and nothing else
coordinates them.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hhplug import checks
from hhplug.errors import InvalidInput
from hhplug.plugins import choice, discovery
from hhplug.problem import DTYPES, Problem
from hhplug.running.advancing import advance, problem_of_store
from hhplug.running.preparing import default_dtype
from hhplug.running.workspace import Workspace
from hhplug.stores.shard import Shard
from hhplug.stores.store import RunStore, lay_out

Population = Callable[[slice], Problem]
"""A function of a slice of neurons that returns their Problem.

It is called for slices with start and stop, and must give a neuron the same values in each of them.
"""


class ShardStatus(NamedTuple):
    """How far a shard is."""

    shard: int
    neurons: slice
    segments_done: int
    n_segments: int


def layout(
    store: str | Path,
    population: Population,
    n_neurons: int,
    shard: int | None = None,
    backend: str = "auto",
) -> RunStore:
    """The store of a population, with nothing computed, or the one that is there already.

    shard: neurons in a shard, by default all, or as many as the store has that is there. They must
        fit into the memory of one process.
    backend: the name of the one that will compute, which need not be able to run here. It decides
        the precision of a problem that leaves its dtype out. "auto" stands for any with float32.

    Raises InvalidInput for a store of another population, as far as the first shard that has a
    commit tells, and OSError.
    """
    n_neurons = checks.whole("n_neurons", n_neurons, 1)
    shard = None if shard is None else min(checks.whole("shard", shard, 1), n_neurons)
    if Path(store).exists():
        found = RunStore(store)
        shard = shard or found.grid.shard
        if (found.grid.n_neurons, found.grid.shard) != (n_neurons, shard):
            raise InvalidInput(
                f"{store} has {found.grid.n_neurons:,} neurons in shards of {found.grid.shard:,}, "
                f"and this has {n_neurons:,} in shards of {shard:,}; name a new store"
            )
        refuse_other(found, population)
        return found
    shard = shard or n_neurons
    problem = problem_of(population, slice(0, shard))
    if problem.dtype is None:
        spec = None if backend == "auto" else discovery.entry(backend).spec
        dtypes = spec.capabilities.dtypes if spec else DTYPES
        problem = problem.with_dtype(default_dtype(dtypes))
    return lay_out(store, problem, n_neurons, shard)


def refuse_other(store: RunStore, population: Population) -> None:
    """Raise InvalidInput if the first shard with a commit is one of another population.

    Otherwise a complete store would be taken for that of a function which was changed since, and
    the shards of a store that isn't complete would be those of two populations.
    """
    begun = np.flatnonzero(store.segments_done())
    if begun.size:
        shard = Shard(store, int(begun[0]))
        problem = problem_of(population, shard.neurons).with_dtype(store.problem["dtype"])
        shard.refuse_other(problem)


def problem_of(population: Population, neurons: slice) -> Problem:
    """The problem of some neurons, which keep their numbers in the population.

    Raises InvalidInput if the function returns anything but a Problem of so many neurons.
    """
    problem = population(neurons)
    count = neurons.stop - neurons.start
    if not isinstance(problem, Problem):
        raise InvalidInput(
            f"population(neurons) must return a Problem, got a {type(problem).__name__}"
        )
    if problem.n_neurons != count:
        raise InvalidInput(
            f"population(slice({neurons.start}, {neurons.stop})) must return a Problem of "
            f"{count:,} neurons, got {problem.n_neurons:,}; give it "
            "batch_size=neurons.stop - neurons.start"
        )
    return problem.as_part(np.arange(neurons.start, neurons.stop), None)


def advance_shard(
    store: RunStore,
    population: Population,
    number: int,
    backend: str = "auto",
    device: choice.Devices = None,
    report: Callable[[float], object] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> bool:
    """Compute a shard to its end from where it stands, and return whether it is complete.

    The arguments are those of `simulate` and `advance`, and so are the errors.
    """
    shard = Shard(store, number)
    dtype = store.problem["dtype"]
    problem = problem_of(population, shard.neurons).with_dtype(dtype)
    opened = choice.choose(backend, dtype, device, problem.membrane, problem.method)
    problem = problem_of_store(problem, opened)
    return advance(shard, problem, opened, Workspace(opened.backend.result_memory), report, stopped)


def part(store: RunStore, number: int, count: int) -> range:
    """The shards of part `number` of `count`: every count-th, so that the parts are alike."""
    return range(number, store.grid.n_shards, count)


def unfinished(store: RunStore, shards: Iterable[int] | None = None) -> list[int]:
    """Those of the shards, by default of all, that aren't complete."""
    done = store.segments_done()
    some = range(store.grid.n_shards) if shards is None else shards
    return [shard for shard in some if done[shard] < store.grid.n_segments]


def status(store: RunStore) -> list[ShardStatus]:
    """How far each shard is, as of its last commit."""
    grid = store.grid
    return [
        ShardStatus(shard, grid.neurons(shard), int(done), grid.n_segments)
        for shard, done in enumerate(store.segments_done())
    ]
