"""The spikes of a run, which stay on the device until the run ends and are put in order there."""

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hhplug.backend import OrderedSpikes, TimeArrays
from hhplug.device.downloads import spikes_on_host
from hhplug.device.interface import Array, Arrays, Event, PlacedSpikes
from hhplug.device.launch import SpikeRoom
from hhplug.device.transfers import SMALL, Copy
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

    def ordered(
        self,
        also: Sequence[Copy],
        counts: NDArray[np.int64],
        times: TimeArrays,
        first_neuron: int = 0,
    ) -> OrderedSpikes:
        """The spikes of all blocks, as `Session.ordered_spikes` describes them.

        also: copies that are made together with those of the spikes, which is faster.
        """
        timed = self._session.problem.spikes == "times"
        if not self._on_host and (timed or counts.nbytes > SMALL):
            with suppress(NotEnoughMemory):
                return self._by_device(also, counts, times if timed else None, first_neuron)
        ready = self._session.stream.record()
        self._session.device.transfers.to_host(ready, [*also, Copy(counts, self._count, INT)])
        if not timed:
            return OrderedSpikes(counts, None)
        for _, part in self._parts:
            self._sort_on_host(part, ready, part.total, part.first_step)
        sorted_ = self._sorter.in_order()
        filled = times(len(sorted_[0]))
        for array, values in zip(filled, sorted_, strict=True):
            array[:] = values
        filled[0][:] += first_neuron
        return OrderedSpikes(counts, filled)

    def _by_device(
        self,
        also: Sequence[Copy],
        counts: NDArray[np.int64],
        times: TimeArrays | None,
        first_neuron: int,
    ) -> OrderedSpikes:
        """The same, as the device has put it in order. times: None for counts alone."""
        session, filled = self._session, None
        n, total = session.problem.n_neurons, self._n_kept if times else 0
        room = _room(total) if times else 0
        ordered = session.take(
            "ordered", {"places": (n, WIDE), "neuron": (room, WIDE), "time": (room, DOUBLE)}
        )
        arrays = ordered.arrays
        try:
            if total:
                parts = [part for _, part in self._parts]
                session.place_spikes(parts, arrays, first_neuron)
            if counts.nbytes <= SMALL:  # they are widened on the host
                copies = [*also, Copy(counts, self._count, INT)]
            else:
                session.widen_counts(arrays["places"])  # which nothing else needs from here on
                copies = [*also, Copy(counts, arrays["places"])]
            if times:
                # Once, and after all that may lack room: several devices wait here for each other.
                filled = times(total)
                copies += Copy(filled[0], arrays["neuron"]), Copy(filled[1], arrays["time"])
            session.device.transfers.to_host(session.stream.record(), copies)
        except BaseException:
            session.stream.synchronize()  # before another session uses the arrays
            raise
        finally:
            session.give_back("ordered", ordered)
        return OrderedSpikes(counts, filled)

    def free(self) -> None:
        """Free the device's memory. The stream must be done."""
        for arrays, _ in self._parts:
            if arrays:
                arrays.free()
        self._parts.clear()


def _room(total: int) -> int:
    """Room for so many spikes: up to an eighth more, so that similar runs share the arrays."""
    step = max(LEAST_PLACES, 1 << max(0, total.bit_length() - 4))
    return -(-max(total, 1) // step) * step
