"""Runs on disk: a store holds what a run records, shard by shard and segment by segment.

Importing the other modules imports Zarr.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from hhplug.checks import known_arguments
from hhplug.extras import needs_store

if TYPE_CHECKING:
    from hhplug.results.result import Result


@known_arguments
def open_result(path: str | Path) -> "Result":
    """The Result of a store, the folder that `run(..., store=path)` wrote.

    Its samples and spikes are read when they are used; `result.V[:, 3]` reads one neuron, and
    `to_xarray()` is a Dataset that reads what is computed with. Parameters, the stimulus (an array
    as well) and the last state are read at once. If the run was broken off, the
    result has the steps that are committed.

    Raises InvalidInput for anything else, if nothing is committed yet, and if the shards of a
    population have reached different steps; MissingExtra if Zarr isn't installed.

    >>> import hhplug
    >>> run = hhplug.Simulator("numpy").run(T=5.0, batch_size=4, store="run.zarr")
    >>> hhplug.open_result("run.zarr").V[:, 3].shape
    (500,)
    """
    with needs_store():
        from hhplug.stores.opening import open_store
    return open_store(path)
