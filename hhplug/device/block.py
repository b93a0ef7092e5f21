"""A block of steps on a device: its launch, and how its samples and spikes are read."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hhplug.backend import Block, Recorded
from hhplug.device.downloads import spikes_on_host
from hhplug.device.interface import Event
from hhplug.device.launch import ANY, TOTAL, InvalidRoom, Slot, SpikeRoom, Start
from hhplug.device.transfers import Copy

if TYPE_CHECKING:
    from hhplug.device.session import DeviceSession

INT = np.dtype(np.int32)
UNSIGNED = np.dtype(np.uint32)  # type of the flags on the host, since TOTAL may exceed 2**31


class DeviceBlock(Block):
    """The enqueued steps first ≤ k < first + count."""

    def __init__(self, session: "DeviceSession", first: int, count: int, slot: Slot):
        self._session, self._first, self._slot = session, first, slot
        held = session.steady
        if not held:
            rows = session.current(first, count)
            held = not session.array_current and bool((rows == rows[0]).all())
            session.upload(slot.current, rows[:1] if held else rows)
        first_sample = session.problem.sample_steps(first, count).start - first
        self._work = session.work(count, slot, first_sample, held)
        if slot.start is not None:
            self._copy(slot.start, Start(session.arrays["state"], session.arrays["spike_count"]))
        slot.done = session.enqueue(self._work, slot)

    def read(self, out: Recorded) -> None:
        session, slot = self._session, self._slot
        assert slot.done
        assert slot.found is not None
        copies = [Copy(array, slot.samples[name]) for name, array in out.samples.items()]
        counted = session.spike_count.size > 0
        if counted:
            assert slot.spike_count is not None
            copies.append(Copy(session.spike_count, slot.spike_count))
        with session.device.current():
            if self._is_last:
                session.ending.begin_state()
            if copies:
                session.device.transfers.to_host(slot.done, copies)
            slot.done.synchronize()
            if counted:
                out.spike_count += session.spike_count
            total, any_invalid = self._total(), bool(slot.found[ANY])
            if total > session.room:
                self._replay(out)
            elif slot.spikes and total:
                self._give_spikes(out, slot.spikes, slot.done, total, self._first, self._is_last)
            session.note_validity(not any_invalid)
            if any_invalid:
                self._give_invalid(out, slot.invalid, slot.done)

    @property
    def _is_last(self) -> bool:
        """Whether the run ends with the block."""
        return self._first + self._work.n_steps == self._session.problem.end_step

    def _total(self) -> int:
        """The spikes of the latest launch, those for which there was no room too."""
        assert self._slot.found is not None
        return int(self._slot.found.view(UNSIGNED)[TOTAL])

    def _give_invalid(self, out: Recorded, invalid: InvalidRoom, ready: Event) -> None:
        first = np.empty(self._session.problem.n_neurons, INT)
        self._session.device.transfers.to_host(ready, [Copy(first, invalid.first)])
        self._session.stream.zero(invalid.first)
        neuron = np.flatnonzero(first)
        out.add_invalid(neuron, first[neuron] + np.int64(self._first - 1))

    def _give_spikes(
        self, out: Recorded, spikes: SpikeRoom, ready: Event, total: int, first: int, last: bool
    ) -> None:  # fmt: skip
        """Give the core the spikes of a launch that began with step `first`, or keep them.

        last: whether no launch follows.
        """
        session = self._session
        if session.store:
            session.store.add(spikes, ready, total, first, last)
            out.n_kept_spikes += total
            return
        out.add_spikes(*spikes_on_host(session, spikes, ready, total, first))

    def _replay(self, out: Recorded) -> None:
        """Repeat the block from its saved start, for the spikes only, in launches whose spikes fit.

        There is room for one spike of each neuron, so that a launch of one step always fits.
        """
        session, whole, spikes = self._session, self._work, self._work.spikes
        start, end = self._slot.start, session.replay
        assert spikes
        assert start
        assert end
        work = replace(
            whole,
            state=end.state,
            spike_count=end.spike_count,
            samples={},
            invalid=None,
            sums=False,
        )
        done, steps = 0, max(1, whole.n_steps // 2)
        while done < whole.n_steps:
            steps = min(steps, whole.n_steps - done)
            current = whole.current if whole.held else whole.current[done * session.row_length :]
            self._copy(end, start)
            first = self._first + done
            again = replace(work, n_steps=steps, first_step=first, current=current)
            ready = session.enqueue(again, self._slot)
            ready.synchronize()
            total = self._total()
            if total > session.room:
                steps = max(1, steps // 2)
                continue
            if total:
                self._give_spikes(out, spikes, ready, total, first, last=False)
            self._copy(start, end)
            done += steps

    def _copy(self, target: Start, source: Start) -> None:
        for to, of in zip(target, source, strict=True):
            self._session.stream.copy(to, of)
