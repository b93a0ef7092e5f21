"""The interfaces of a recorder, which keeps what the blocks of one run record."""

from typing import Protocol

from hhplug.backend import OrderedSpikes, Recorded
from hhplug.results.outcome import Outcome
from hhplug.state import State


class BlockRecorder(Protocol):
    """Hands out the arrays that each block of a run writes to, and collects the blocks in order."""

    def block(self, first: int, count: int) -> Recorded:
        """The arrays for the samples and spikes of steps first ≤ k < first + count.

        It is called once for each block, in order, when the block is enqueued.
        """
        ...

    def collect(self, block: Recorded) -> None:
        """Keep what a backend wrote to a block. It is called once for each block, in order."""


class Recorder(BlockRecorder, Protocol):
    """A recorder whose run has one outcome."""

    sample_bytes: int
    """Largest size of a block's samples, on each device."""

    ordered_spikes: bool
    """Whether it may be given the spikes at the end of the run, instead of in blocks."""

    def take_spikes(self, spikes: OrderedSpikes) -> None:
        """Keep the spikes of all blocks. It is called before `finish`, if the backend has them."""

    def finish(self, n_steps: int, final: State) -> Outcome:
        """What the first n_steps steps recorded, once their blocks have been collected.

        final: the state after them.
        """
        ...
