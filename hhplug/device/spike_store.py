"""The spikes of a run, which stay on the device until the run ends and are put in order there."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hhplug.backend import EndArrays, OrderedSpikes
from hhplug.device.downloads import spikes_on_host
from hhplug.device.interface import Array, Arrays, Event, PlacedSpikes
from hhplug.device.kept import Allocation
from hhplug.device.launch import SpikeRoom
from hhplug.device.transfers import SMALL, Begun, Copy
from hhplug.errors import NotEnoughMemory
from hhplug.spike_order import SpikeSorter

if TYPE_CHECKING:
    from hhplug.device.session import DeviceSession

INT, WIDE, DOUBLE = np.dtype(np.int32), np.dtype(np.int64), np.dtype(np.float64)

LEAST_PLACES = 2**10  # spikes; there is room for so many at least
MOST_KEPT = 2**26  # spikes on the device; of more, those of later blocks are sorted on the host


class SpikeStore:
    """Keeps the spikes of a session's blocks. count: those of each neuron, (N,) int32."""

    def __init__(self, session: "DeviceSession", count: Array):
        self._session, self._count = session, count
        problem = session.problem
        self._parts: list[tuple[Arrays | None, PlacedSpikes]] = []
        self._n_kept = 0
        self._sorter = SpikeSorter(
            problem.n_neurons, problem.start_step, problem.n_steps, problem.dt
        )
        self._on_host = False  # whether there was no room on the device
        self._room: Allocation | None = None  # where the spikes are put in order

    def add(self, spikes: SpikeRoom, ready: Event, total: int, first: int, last: bool) -> None:
        """Keep the spikes of a launch that began with step `first`, after `ready`.

        last: whether no launch follows that writes its spikes to the same arrays.
        """
        if not self._on_host and self._n_kept + total <= MOST_KEPT:
            try:
                self._keep(spikes, total, first, last)
                return
            except NotEnoughMemory:
                pass
        self._on_host = True
        self._sort_on_host(spikes, ready, total, first)

    def _keep(self, spikes: SpikeRoom, total: int, first: int, last: bool) -> None:
        session = self._session
        if last:
            here = (getattr(spikes, name)[:total] for name in PlacedSpikes.ARRAYS)
            self._parts.append((None, PlacedSpikes(total, first, *here)))
            self._n_kept += total
            return
        real = session.dtype
        arrays = session.allocate(
            {name: (total, real if name == "fraction" else INT) for name in PlacedSpikes.ARRAYS}
        )
        part = PlacedSpikes(total, first, *(arrays[name] for name in PlacedSpikes.ARRAYS))
        for name in PlacedSpikes.ARRAYS:
            session.stream.copy(arrays[name], getattr(spikes, name)[:total])
        self._parts.append((arrays, part))
        self._n_kept += total

    def _sort_on_host(
        self, spikes: SpikeRoom | PlacedSpikes, ready: Event, total: int, first: int
    ) -> None:
        neuron, step, fraction = spikes_on_host(self._session, spikes, ready, total)
        self._sorter.add(neuron, step + np.int64(first), fraction)

    def begin_home(self, arrays: EndArrays, also: Sequence[Copy]) -> Callable[[], OrderedSpikes]:
        """Begin to put the spikes of all blocks in order, and to copy them to these arrays.

        also: copies of what is ready already, which are made at the same time.

        The function that is returned waits for all of this. Any thread may call it, within
        device.current().
        """
        assert arrays.counts is not None
        if not self._on_host and (arrays.times or arrays.counts.nbytes > SMALL):
            with suppress(NotEnoughMemory):
                return self._begin_on_device(arrays, arrays.counts, also)
        return partial(self._by_host, arrays, arrays.counts, also)

    def _by_host(
        self, arrays: EndArrays, counts: NDArray[np.int64], also: Sequence[Copy]
    ) -> OrderedSpikes:
        ready = self._session.stream.record()
        self._session.device.transfers.to_host(ready, [*also, Copy(counts, self._count, INT)])
        if not arrays.times:
            return OrderedSpikes(counts, None)
        for _, part in self._parts:
            self._sort_on_host(part, ready, part.total, part.first_step)
        sorted_ = self._sorter.in_order()
        filled = arrays.times(len(sorted_[0]))
        for array, values in zip(filled, sorted_, strict=True):
            array[:] = values
        filled[0][:] += arrays.first_neuron
        return OrderedSpikes(counts, filled)

    def _begin_on_device(
        self, arrays: EndArrays, counts: NDArray[np.int64], also: Sequence[Copy]
    ) -> Callable[[], OrderedSpikes]:
        session, filled = self._session, None
        n, total = session.problem.n_neurons, self._n_kept if arrays.times else 0
        places = _room(total) if arrays.times else 0
        room = session.take(
            "ordered", {"places": (n, WIDE), "neuron": (places, WIDE), "time": (places, DOUBLE)}
        )
        there, begun = room.arrays, []
        try:
            begun.append(session.begin_home(also))
            if total:
                parts = [part for _, part in self._parts]
                session.place_spikes(parts, there, arrays.first_neuron)
            if counts.nbytes <= SMALL:  # they are widened on the host
                copies = [Copy(counts, self._count, INT)]
            else:
                session.widen_counts(there["places"])  # which nothing else needs from here on
                copies = [Copy(counts, there["places"])]
            if arrays.times:
                filled = arrays.times(total)
                copies += Copy(filled[0], there["neuron"]), Copy(filled[1], there["time"])
            begun.append(session.begin_home(copies))
        except BaseException:
            session.hold(begun)
            session.stream.synchronize()  # before another session uses the arrays
            session.give_back("ordered", room)
            raise
        session.hold(begun)
        self._room = room  # which is in use until the session's stream is done
        return partial(self._finish, begun, OrderedSpikes(counts, filled))

    def _finish(self, begun: Sequence[Begun], spikes: OrderedSpikes) -> OrderedSpikes:
        self._session.finish_home(begun)
        return spikes

    def free(self) -> None:
        """Free the device's memory, or keep it. The stream must be done."""
        room, self._room = self._room, None
        if room:
            self._session.give_back("ordered", room)
        for arrays, _ in self._parts:
            if arrays:
                arrays.free()
        self._parts.clear()


def _room(total: int) -> int:
    """Room for so many spikes: up to an eighth more, so that similar runs share the arrays."""
    step = max(LEAST_PLACES, 1 << max(0, total.bit_length() - 4))
    return -(-max(total, 1) // step) * step
