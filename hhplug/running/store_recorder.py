"""A recorder that writes what a run records to a shard of a store, segment by segment."""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from time import perf_counter

import numpy as np

from hhplug.backend import Recorded
from hhplug.buffer_pool import BufferPool
from hhplug.problem import Problem
from hhplug.results.outcome import Outcome
from hhplug.results.timing import Timing, summed
from hhplug.running.memory_check import refuse_too_large
from hhplug.running.memory_recorder import MemoryRecorder
from hhplug.state import State
from hhplug.stores.faults import loss_in_words
from hhplug.stores.shard import Committed, Shard
from hhplug.validity import earliest, nonfinite_neurons

COMMIT_SECONDS = 60.0  # s; longest time between two commits, apart from that of a segment
LEAST_SECONDS = 1.0  # s; shortest time between two commits
COMMIT_SHARE = 0.02  # largest share of the time that commits may take
KEPT = "keeps what is committed, and the same call goes on from there"  # for an OSError
CELLS = 3  # most segments in memory: one is written, one is read, and one is enqueued


class StoreRecorder:
    """Keeps each segment in memory until its end, and writes it while the next is computed.

    A context manager. Its blocks may not reach beyond the end of a segment. Commits are made at the
    ends of segments alone, with the state there.

    problem: the steps from the last commit on. Raises NotEnoughMemory, before anything is
    allocated, if three segments don't fit. Writing raises OSError, which a later call raises.
    """

    def __init__(self, shard: Shard, problem: Problem, before: Committed | None, pool: BufferPool):
        self._shard, self._problem, self._pool = shard, problem, pool
        self._grid = shard.store.grid
        rows = self._grid.rows(self._grid.segment_of(problem.start_step))
        refuse_too_large(problem, (CELLS * (rows.stop - rows.start), problem.n_recorded), pool)
        none = np.zeros(problem.n_neurons, np.int64)
        self._spike_count = before.spike_count if before else none
        self._invalid = problem.invalid
        self._seconds = before.timing if before else Timing(0.0, 0.0, 0.0)
        self.step = problem.start_step  # the end of the last block that was enqueued
        self._committed_step = problem.start_step
        self._segments: deque[MemoryRecorder] = deque()  # those with blocks that aren't collected
        self._ends: deque[int] = deque()  # the step at which each such block ends
        self._writer = ThreadPoolExecutor(1, "hhplug-writer")
        self._writing: Future[None] | None = None
        self._began = self._committed = perf_counter()
        self._interval = LEAST_SECONDS
        self._prepared = 0.0

    def __enter__(self) -> "StoreRecorder":
        return self

    def __exit__(self, *exception: object) -> None:
        self._writer.shutdown(cancel_futures=True)

    def prepared(self, seconds: float) -> None:
        """The first step begins, and it took some seconds to prepare it."""
        self._prepared = seconds

    @property
    def at_boundary(self) -> bool:
        """Whether the last block that was enqueued ends a segment, or none was enqueued."""
        begin = self._problem.start_step
        return self.step == begin or self.step == self._grid.end_of_segment(self.step - 1)

    @property
    def due(self) -> bool:
        """Whether a commit should be made now, of blocks enqueued since the last one."""
        new = self.step > self._committed_step
        return new and self.at_boundary and perf_counter() - self._committed >= self._interval

    def block(self, first: int, count: int) -> Recorded:
        """The arrays for the samples and spikes of steps first ≤ k < first + count."""
        if self.at_boundary:
            end = self._grid.end_of_segment(first)
            problem = self._problem.between(first, end)
            self._segments.append(MemoryRecorder(problem, self._pool, checked=True))
        self.step = first + count
        self._ends.append(self.step)
        return self._segments[-1].block(first, count)

    def collect(self, block: Recorded) -> None:
        """Keep what a backend wrote to a block, and write the segment that it completes."""
        self._segments[0].collect(block)
        end = self._ends.popleft()
        segment = self._grid.segment_of(end - 1)
        if end != self._grid.first_step(segment + 1):
            return
        recorder, first = self._segments.popleft(), self._grid.first_step(segment)
        # Its last state isn't at hand. The next segment finds what isn't finite there.
        unknown = State(np.empty((len(self._problem.membrane.states), 0)))
        outcome = recorder.finish(end - first, unknown)
        if outcome.spike_count is not None:
            self._spike_count = self._spike_count + outcome.spike_count
        self._invalid = earliest([self._invalid, outcome.invalid])
        self._wait()
        self._writing = self._writer.submit(self._write, segment, outcome)

    def _write(self, segment: int, outcome: Outcome) -> None:
        self._shard.write(segment, self._problem, outcome)

    def _wait(self) -> None:
        """Wait until the segments that were completed are written."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            with loss_in_words(self._shard.store.path, KEPT):
                writing.result()

    def commit(self, state: State) -> None:
        """Commit everything up to the end of a segment, which all blocks have reached.

        state: the state there.
        """
        self._wait()
        began, segments = perf_counter(), self._grid.segment_of(self.step - 1) + 1
        if self.step == self._problem.end_step:
            nonfinite = nonfinite_neurons(state.variables)
            self._invalid = earliest([self._invalid, (nonfinite, nonfinite * 0 + self.step)])
        ran = began - self._began
        seconds = summed([self._seconds, Timing(self._prepared, ran - self._prepared, ran)])
        count, invalid, now = self._spike_count, self._invalid, datetime.now(UTC)
        with loss_in_words(self._shard.store.path, KEPT):
            done = Committed(segments, state, count, invalid, seconds, now)
            self._shard.commit(self._problem, done)
        self._committed, self._committed_step = perf_counter(), self.step
        took = self._committed - began
        self._interval = min(max(LEAST_SECONDS, took / COMMIT_SHARE), COMMIT_SECONDS)
