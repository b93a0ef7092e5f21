"""The spikes of a run, which stay on the device until the run ends and are put in order there."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hhplug.backend import EndArrays, OrderedSpikes
from hhplug.device.downloads import SpikesOnHost, spikes_on_host
from hhplug.device.interface import Array, Event, PlacedSpikes
from hhplug.device.kept import Allocation
from hhplug.device.launch import SpikeRoom
from hhplug.device.transfers import SMALL, Begun, Copy
from hhplug.errors import NotEnoughMemory
from hhplug.spike_order import SpikeSorter

if TYPE_CHECKING:
    from hhplug.device.session import DeviceSession

INT, WIDE, DOUBLE = np.dtype(np.int32), np.dtype(np.int64), np.dtype(np.float64)

PART = "spikes of a block"  # purpose of kept memory, with the block's number

FEW = 2**7  # spikes, which are sorted on the host sooner than the device is asked to
LEAST_PLACES = 2**10  # spikes; there is room for so many at least
MOST_KEPT = 2**26  # spikes on the device; of more, those of later blocks are sorted on the host


class SpikeStore:
    """Keeps the spikes of a session's blocks. count: those of each neuron, (N,) int32."""

    def __init__(self, session: "DeviceSession", count: Array):
        self._session, self._count = session, count
        problem = session.problem
        self._parts: list[tuple[Allocation | None, PlacedSpikes]] = []
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
        self._sorter.add(*spikes_on_host(self._session, spikes, ready, total, first))

    def _keep(self, spikes: SpikeRoom, total: int, first: int, last: bool) -> None:
        session = self._session
        if last:
            here = (getattr(spikes, name)[:total] for name in PlacedSpikes.ARRAYS)
            self._parts.append((None, PlacedSpikes(total, first, *here)))
            self._n_kept += total
            return
        size, real = _room(total), session.dtype
        kept = session.take(
            (PART, len(self._parts)),
            {name: (size, real if name == "fraction" else INT) for name in PlacedSpikes.ARRAYS},
        )
        here = (kept.arrays[name][:total] for name in PlacedSpikes.ARRAYS)
        part = PlacedSpikes(total, first, *here)
        self._parts.append((kept, part))
        for name in PlacedSpikes.ARRAYS:
            session.stream.copy(getattr(part, name), getattr(spikes, name)[:total])
        self._n_kept += total

    def begin_home(self, arrays: EndArrays, state: Begun) -> Callable[[], OrderedSpikes]:
        """Begin to put the spikes of all blocks in order, and to copy them to these arrays.

        state: copies of the state, which were begun already.

        The function that is returned waits for all of this. Any thread may call it, within
        device.current().
        """
        counts = arrays.counts
        assert counts is not None
        many = counts.nbytes > SMALL or (arrays.times and self._n_kept > FEW)
        if many and not self._on_host:
            with suppress(NotEnoughMemory):
                return self._begin_on_device(arrays, counts, state)
        return partial(self._by_host, arrays, counts, state)

    def _by_host(self, arrays: EndArrays, counts: NDArray[np.int64], state: Begun) -> OrderedSpikes:
        session, times = self._session, arrays.times
        found = [SpikesOnHost(session, part, part.total) for _, part in self._parts if times]
        copies = [*state.left, Copy(counts, self._count, INT)]
        copies += (copy for each in found for copy in each.copies)
        session.finish_home([Begun(state.done, copies)])
        if not times:
            return OrderedSpikes(counts, None)
        for each, (_, part) in zip(found, self._parts, strict=True):
            self._sorter.add(each.neuron, each.step + np.int64(part.first_step), each.fraction)
        sorted_ = self._sorter.in_order()
        filled = times(len(sorted_[0]))
        for array, values in zip(filled, sorted_, strict=True):
            array[:] = values
        filled[0][:] += arrays.first_neuron
        return OrderedSpikes(counts, filled)

    def _begin_on_device(
        self, arrays: EndArrays, counts: NDArray[np.int64], state: Begun
    ) -> Callable[[], OrderedSpikes]:
        session, times, filled = self._session, arrays.times, None
        n, total = session.problem.n_neurons, self._n_kept if times else 0
        places = _room(total) if times else 0
        room = session.take(
            "ordered", {"places": (n, WIDE), "neuron": (places, WIDE), "time": (places, DOUBLE)}
        )
        there, begun = room.arrays, [state]
        try:
            if total:
                parts = [part for _, part in self._parts]
                session.place_spikes(parts, there, arrays.first_neuron)
            if counts.nbytes <= SMALL:  # they are widened on the host
                copies = [Copy(counts, self._count, INT)]
            else:
                session.widen_counts(there["places"])  # which nothing else needs from here on
                copies = [Copy(counts, there["places"])]
            if times:
                filled = times(total)
                copies += Copy(filled[0], there["neuron"]), Copy(filled[1], there["time"])
            begun.append(session.begin_home(copies))
        except BaseException:
            session.hold(begun)
            session.stream.synchronize()  # before another session uses the arrays
            session.give_back("ordered", room)
            raise
        session.hold(begun[1:])
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
        number = 0
        for kept, _ in self._parts:
            if kept:
                self._session.give_back((PART, number), kept)
                number += 1
        while self._session.drop((PART, number)):  # of an earlier run with more blocks
            number += 1
        self._parts.clear()


def _room(total: int) -> int:
    """Room for so many spikes: up to an eighth more, so that similar runs share the arrays."""
    step = max(LEAST_PLACES, 1 << max(0, total.bit_length() - 4))
    return -(-max(total, 1) // step) * step
