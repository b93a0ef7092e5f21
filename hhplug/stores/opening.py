"""Open a store as a Result, whose samples and spikes are read when they are used."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hhplug.errors import InvalidInput
from hhplug.problem import Problem
from hhplug.results.feature_values import feature_values
from hhplug.results.join import invalid_side_by_side, whole_population
from hhplug.results.joining import named
from hhplug.results.outcome import Outcome
from hhplug.results.result import Result
from hhplug.results.spikes import Spikes
from hhplug.results.timing import summed
from hhplug.state import side_by_side
from hhplug.stores.samples import StoredSamples
from hhplug.stores.shard import Committed, Shard
from hhplug.stores.store import RunStore
from hhplug.stores.trains import all_spikes


def open_store(path: str | Path) -> Result:
    """The result of what a store holds, as `hhplug.open_result` documents it."""
    return result_of(RunStore(path))


def result_of(store: RunStore, problem: Problem | None = None) -> Result:
    """The result of what is committed. problem: of all neurons, if it is at hand.

    Raises InvalidInput if nothing is committed, or shards have reached different steps.
    """
    shards = [Shard(store, number) for number in range(store.grid.n_shards)]
    commits = [commit for shard in shards if (commit := shard.committed())]
    reached = {commit.segments for commit in commits}
    if len(commits) < len(shards) or len(reached) > 1:
        complete = sum(commit.segments == store.grid.n_segments for commit in commits)
        raise InvalidInput(
            f"{store.path} has {complete} of {len(shards)} shards complete; run it to its end, or "
            "read its arrays with xarray.open_zarr"
            if len(shards) > 1
            else f"nothing is computed yet in {store.path}; run it again"
        )
    problems = [shard.problem for shard in shards] if problem is None else [problem]
    begins = np.cumsum([0, *(one.n_neurons for one in problems)])
    everyone = np.arange(begins[-1])
    columns = np.concatenate(
        [store.grid.width * s + np.arange(one.n_recorded) for s, one in enumerate(problems)]
    )
    whole = problems[0]
    if len(problems) > 1:
        some = whole.record_neurons is not None
        recorded = [begin + one.neurons for begin, one in zip(begins, problems, strict=False)]
        whole = whole_population(problems, everyone, np.concatenate(recorded) if some else None)
    segments = reached.pop()
    n_steps = store.grid.first_step(segments) - whole.start_step
    if n_steps < whole.n_steps:
        whole = whole.shortened(n_steps)
    final = side_by_side([commit.state for commit in commits], everyone)
    outcome = _outcome(store, whole, shards, commits, columns)
    if whole.features:
        values = feature_values(whole, final, outcome.invalid)
        outcome = outcome._replace(features=values)
    origins = [shard.origin for shard in shards]
    return Result(
        problem=whole,
        backend=named(origin["backend"] for origin in origins),
        backend_version=named(origin["backend_version"] for origin in origins),
        device=named(origin["device"] for origin in origins),
        noise_from=named(origin["noise_from"] for origin in origins),
        timing=summed([commit.timing for commit in commits]),
        written=max(commit.written for commit in commits),
        outcome=outcome,
        final=final,
    )


def _outcome(
    store: RunStore,
    whole: Problem,
    shards: list[Shard],
    commits: list[Committed],
    columns: NDArray[np.int64],
) -> Outcome:
    """What the shards recorded. columns: of the recorded neurons in the store's arrays."""
    rows = len(whole.sample_steps(whole.start_step, whole.n_steps))
    begins = np.array([shard.neurons.start for shard in shards])
    everyone = np.arange(whole.n_neurons)
    invalid = invalid_side_by_side([commit.invalid for commit in commits], begins, everyone)
    segments = commits[0].segments

    return Outcome(
        samples={name: StoredSamples(store.array(name), rows, columns) for name in whole.record},
        spikes=Spikes.unsorted(lambda: all_spikes(store, segments), invalid.valid(whole.n_neurons))
        if whole.spikes == "times"
        else None,
        spike_count=None
        if whole.spikes == "off"
        else np.concatenate([commit.spike_count for commit in commits]),
        invalid=invalid,
    )
