"""Run a whole problem on a store, which goes on from what is committed there."""

from collections.abc import Callable
from pathlib import Path

from hhplug.errors import Interrupted, InvalidInput
from hhplug.plugins.choice import OpenedBackend
from hhplug.problem import Problem
from hhplug.results.result import Result
from hhplug.running.advancing import advance, problem_of_store
from hhplug.running.interruption import Interruption
from hhplug.running.workspace import Workspace
from hhplug.stores.opening import result_of
from hhplug.stores.shard import Shard
from hhplug.stores.store import RunStore, lay_out


def run_on_store(
    problem: Problem,
    backend: OpenedBackend,
    workspace: Workspace,
    path: str | Path,
    report: Callable[[float], object],
) -> Result:
    """Run a problem to its end on the store at a path, and return its Result.

    report: called with the fraction of the run that is done. Raises what `advance` and `lay_out`
    do. Ctrl-C raises Interrupted, whose result has the steps that are committed, or
    KeyboardInterrupt if there are none.
    """
    problem = problem_of_store(problem, backend)
    n = problem.n_neurons
    store = RunStore(path) if Path(path).exists() else lay_out(path, problem, n, n)
    if store.grid.n_neurons != n or store.grid.n_shards != 1:
        raise InvalidInput(
            f"{path} holds another run: it has {store.grid.n_neurons:,} neurons, computed "
            f"{store.grid.shard:,} together, and this has {n:,}; name a new store"
        )
    shard = Shard(store, 0)
    with Interruption() as interruption:
        interruption.hold()
        complete = advance(shard, problem, backend, workspace, report, lambda: interruption.pending)
        if complete and not interruption.pending:
            return result_of(store, problem)
    again = "the same call goes on from there"
    if shard.committed() is None:
        raise KeyboardInterrupt(f"interrupted before anything was written to {path}")
    result = result_of(store, problem)
    done = f"{result.problem.T:g} of {problem.T:g} ms"
    raise Interrupted(f"interrupted; {path} has {done}, and {again}", result)
