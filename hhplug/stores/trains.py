"""The spikes of a store, segment by segment or joined, sorted by neuron, then time."""

import shutil
from collections.abc import Iterator

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.storage import LocalStore

from hhplug.errors import InvalidInput
from hhplug.spike_order import Ordered
from hhplug.stores.arrays import create, put, read, values_of
from hhplug.stores.faults import loss_in_words
from hhplug.stores.shard import SPIKE_ARRAYS, Shard
from hhplug.stores.store import RunStore, appears

JOINED = "spikes"  # the group of all spikes of a store that is finished
SPIKES_AT_ONCE = 2**25  # of neurons that are joined together; 1 GB while they are sorted
CHUNK = 2**20  # spikes in a chunk


def all_spikes(store: RunStore, segments: int) -> Ordered:
    """Neuron and time (ms) of all spikes in the first segments, sorted by neuron, then time."""
    if (store.path / JOINED).exists():
        neuron, time = (values_of(read(store.zarr, f"{JOINED}/{name}")) for name in SPIKE_ARRAYS)
        return neuron.astype(np.int64), time
    shards = [Shard(store, number) for number in range(store.grid.n_shards)]
    found = [_train(shard, segments, shard.neurons) for shard in shards]
    neuron, time = (np.concatenate(values) for values in zip(*found, strict=True))
    return neuron, time


def _train(shard: Shard, segments: int, neurons: slice) -> Ordered:
    """Neuron and time (ms) of the spikes of some of a shard's neurons, sorted."""
    found = []
    for segment in range(segments):
        neuron, time = shard.spikes(segment)
        part = slice(*np.searchsorted(neuron, (neurons.start, neurons.stop)))
        found.append((neuron[part], time[part]))
    neuron, time = (np.concatenate(values) for values in zip(*found, strict=True))
    order = np.argsort(neuron, kind="stable")  # keeps the order of time
    return neuron[order], time[order]


def join_spikes(store: RunStore) -> int:
    """Write all spikes of a complete store into its group `spikes`, and return their number.

    The group appears when it is complete. If it is there already, nothing is written. Raises
    InvalidInput unless all shards are complete and have spike times, and OSError.
    """
    if store.problem["spikes"] != "times":
        raise InvalidInput(f"{store.path} has no spike times; it was run with another `spikes`")
    left = int((store.segments_done() < store.grid.n_segments).sum())
    if left:
        raise InvalidInput(
            f"{left} of {store.grid.n_shards} shards of {store.path} aren't complete; run it to "
            "its end first"
        )
    ends = np.cumsum(values_of(store.array("spike_count")))
    folder = store.path / JOINED
    if not folder.exists():
        with loss_in_words(store.path, "keeps all that it had"):
            appears(folder, lambda partial: _write(partial, store, ends))
    return int(ends[-1])


def _write(joined: LocalStore, store: RunStore, ends: NDArray[np.int64]) -> None:
    """Write the spikes shard by shard. ends: number of spikes up to each neuron's last, (n,)."""
    zarr.create_group(joined, zarr_format=3)
    n_spikes = int(ends[-1])
    chunks = (min(CHUNK, n_spikes),)
    dtypes = {"neuron": store.grid.index_dtype, "time": "f8"}
    neuron, time = (
        create(
            joined,
            name,
            (n_spikes,),
            dtypes[name],
            ("spike",),
            chunks=chunks,
            attributes=attributes,
        )
        for name, attributes in SPIKE_ARRAYS.items()
    )
    name = {"long_name": "end of each neuron's spikes, where those of the next begin"}
    put(joined, "index", ends, ("all_neurons",), name)
    for number in range(store.grid.n_shards):
        shard = Shard(store, number)
        for some in _parts(shard.neurons, ends):
            found, times = _train(shard, store.grid.n_segments, some)
            part = slice(int(ends[some.start - 1]) if some.start else 0, int(ends[some.stop - 1]))
            neuron[part], time[part] = found, times


def _parts(neurons: slice, ends: NDArray[np.int64]) -> Iterator[slice]:
    """Parts of some neurons that have SPIKES_AT_ONCE spikes at most, or are a single neuron."""
    begin = neurons.start
    while begin < neurons.stop:
        most = (ends[begin - 1] if begin else 0) + SPIKES_AT_ONCE
        end = int(np.searchsorted(ends[: neurons.stop], most, side="right"))
        end = max(end, begin + 1)
        yield slice(begin, end)
        begin = end


def remove_segments(store: RunStore) -> None:
    """Delete the spikes of each segment, all of which the group `spikes` has."""
    for number in range(store.grid.n_shards):
        shutil.rmtree(store.path / Shard(store, number).spikes_folder, ignore_errors=True)
