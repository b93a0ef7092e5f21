"""Compute the shards of a store on the workers of a Dask client."""

from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any
from uuid import uuid4

from distributed import Client, Reschedule, get_worker, wait
from distributed.system import MEMORY_LIMIT

from hhplug.distributed.shards import Population, advance_shard, unfinished
from hhplug.errors import InvalidInput
from hhplug.running.memory_check import share_of_memory
from hhplug.stores.store import RunStore

POLL_SECONDS = 0.2  # s; how often the client looks at its workers, and how often they tell it


def n_workers(client: Client) -> int:
    """How many workers the client's cluster has now, at least 1."""
    return max(1, len(client.scheduler_info(n_workers=-1)["workers"]))


def run_on_workers(
    client: Client,
    plan: RunStore,
    population: Population,
    backend: str,
    report: Callable[[float], object],
) -> None:
    """Compute the shards of a store that aren't complete, as `hhplug.distributed.run` does.

    report: called with the fraction of the whole population that is done.
    """
    done = dict(enumerate(plan.segments_done() / plan.grid.n_segments))
    topic = f"hhplug-{uuid4()}"
    client.subscribe_topic(topic, lambda event: done.update([event[1]]))
    tasks = []
    try:
        tasks = _submitted(client, plan, population, backend, topic)
        waiting = set(tasks)
        while waiting:
            with suppress(TimeoutError):
                found: Any = wait(waiting, POLL_SECONDS, "FIRST_COMPLETED")
                waiting = found.not_done
                for task in found.done:
                    task.result()  # raises what it raised
            report(sum(done.values()) / len(done))
        report(1.0)
    finally:
        client.cancel(tasks)
        client.unsubscribe_topic(topic)


def _submitted(
    client: Client, plan: RunStore, population: Population, backend: str, topic: str
) -> list[Any]:
    """The tasks of the shards that aren't complete. Raises InvalidInput if they can't be sent."""
    shards, shared = unfinished(plan), {"store": plan, "population": population, "topic": topic}
    try:
        return client.map(_compute, shards, **shared, backend=backend, key=topic, pure=False)
    except TypeError as error:
        raise InvalidInput(
            f"population can't be sent to the workers ({error.__cause__ or error}); define it as a "
            "function of a module that they can import"
        ) from error


def _compute(
    number: int, store: RunStore, population: Population, backend: str, topic: str
) -> bool:
    """Compute a shard on a worker, until it is complete or nobody wants it any more.

    topic: of the events by which progress is told.
    """
    worker, told = get_worker(), 0.0
    key = worker.get_current_task()

    def report(fraction: float) -> None:
        nonlocal told
        if monotonic() - told >= POLL_SECONDS or fraction == 1.0:
            told = monotonic()
            worker.log_event(topic, (number, fraction))

    def stopped() -> bool:
        """Whether the client has cancelled the task, or is gone. Dask doesn't stop a thread."""
        task = worker.state.tasks.get(key)
        return task is None or task.state == "cancelled"

    with share_of_memory(_share(worker)):
        if advance_shard(store, population, number, backend, report=report, stopped=stopped):
            return True
    raise Reschedule  # for the case that it is wanted again


def _share(worker: Any) -> float:
    """The share of the machine's memory that a task of a worker may take."""
    limit = worker.memory_manager.memory_limit or MEMORY_LIMIT
    return min(1.0, limit / MEMORY_LIMIT) / worker.state.nthreads
