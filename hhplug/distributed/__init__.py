"""Populations on many machines: the shards of a store, computed wherever a process takes one.

The neurons are made where they are computed, by a function of a slice of them. `run` takes a Dask
client. Without Dask, `hhplug layout`, `hhplug advance` and `hhplug status` do the same.
"""

from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from hhplug.checks import known_arguments
from hhplug.extras import needs_dask, needs_store
from hhplug.running.progress import Progress, reporter

if TYPE_CHECKING:
    from distributed import Client

    from hhplug.distributed.shards import Population


@known_arguments
def run(
    population: "Population",
    client: "Client",
    n_neurons: int,
    store: str | Path,
    shard: int | None = None,
    backend: str = "auto",
    progress: Progress = None,
) -> Path:
    """Compute a population on the workers of a Dask client, and return the path of its store.

    population: a function of a slice, for example slice(0, 1000), that returns the Problem of these
        neurons. It is called on the workers, so they must be able to import it or unpickle it. A
        neuron must have the same values in whichever slice it is.
    client: a `distributed.Client` of any cluster. All its workers and this process must reach the
        store. On GPUs, start one worker with one thread for each GPU.
    n_neurons: of the whole population.
    store: a folder. If it has a part of the same population, that isn't computed again.
    shard: neurons that are computed together, by default one shard for each worker.
    backend: the name of one that every worker has.
    progress: True for a bar, or a function of the fraction done.

    Open the store by `hhplug.open_result`, or by xarray if it doesn't fit into memory. A worker
    that dies loses what it did since its last commit, and another one goes on from there. After
    Ctrl-C or an error, or the end of this process, the workers stop within a second, and the same
    call goes on.

    Raises what `Simulator.run` does, InvalidInput for a store of another population, KilledWorker
    if a shard's workers died again and again, and MissingExtra if Dask or Zarr isn't installed.
    """
    with needs_store():
        from hhplug.distributed.shards import layout
    with needs_dask():
        from hhplug.distributed.dask import n_workers, run_on_workers
    path = Path(store).absolute()
    if shard is None and not path.exists():
        shard = ceil(n_neurons / n_workers(client))
    plan = layout(path, population, n_neurons, shard, backend)
    with reporter(progress) as report:
        run_on_workers(client, plan, population, backend, report)
    return path
