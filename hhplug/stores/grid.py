"""The cells of a store: a population in shards of neurons, and a run in segments of steps."""

from dataclasses import dataclass
from math import ceil

import numpy as np

from hhplug.problem import Problem
from hhplug.spike_order import SORTING_BYTES

SEGMENT_BYTES = 2**25  # samples of one segment of a shard, over all variables
SPIKE_BYTES = 2**28  # memory for one segment's spikes while they are sorted
SPIKES_PER_MS = 0.1  # of a neuron, at most; used for the length of a segment alone
# Ctrl-C may lose a segment. 2**28 neuron-steps take NumPy 28 s and Numba 4 s on two cores, and 1000
# steps of 15 million neurons take a GPU 0.1 s.
SEGMENT_WORK = 2**28  # neuron-steps of a segment, unless these are fewer than LEAST_SEGMENT
LEAST_SEGMENT = 1000  # steps; of a large shard, since each segment has files of its own
MOST_SEGMENT = 250_000  # steps; of a small shard, whose steps take NumPy 67 µs however few it has
CHUNK_ROWS = 1000  # most samples in a chunk
CHUNK_VALUES = 256_000  # values in a chunk, 1 MB in float32
MOST_IN_SHARD = 2**27  # neurons; a value of each is one object, which compressors limit to 2 GB


@dataclass(frozen=True)
class Grid:
    """How a run is cut into cells: a cell is one segment of one shard.

    Shard s has the neurons s·shard ≤ i < (s + 1)·shard. Segment j has the steps
    start_step + j·segment ≤ k < start_step + (j + 1)·segment. The last of each may be shorter.
    """

    n_neurons: int
    shard: int  # neurons
    start_step: int
    n_steps: int
    every: int  # steps from one sample to the next
    segment: int  # steps; a multiple of `every`, or shorter than it
    width: int  # columns of a shard in the arrays of samples, of which the last may be empty
    chunk: tuple[int, int]  # samples and columns of a chunk

    @property
    def n_shards(self) -> int:
        return ceil(self.n_neurons / self.shard)

    @property
    def n_segments(self) -> int:
        return ceil(self.n_steps / self.segment)

    @property
    def shape(self) -> tuple[int, int]:
        """Samples and columns of the whole run."""
        columns = self.n_shards * self.width
        if self.width == self.shard:
            columns = min(columns, self.n_neurons)
        return len(self._samples(self.start_step, self.n_steps)), columns

    @property
    def cell(self) -> tuple[int, int]:
        """Samples and columns of a whole cell, as multiples of a chunk's."""
        rows = max(1, self.segment // self.every)
        return tuple(
            ceil(size / chunk) * chunk
            for size, chunk in zip((rows, self.width), self.chunk, strict=True)
        )  # type: ignore[return-value]

    @property
    def index_dtype(self) -> str:
        """The dtype of a spike's neuron."""
        return "u4" if self.n_neurons <= 2**32 else "u8"

    def neurons(self, shard: int) -> slice:
        """The neurons of a shard, numbered in the whole population."""
        begin = shard * self.shard
        return slice(begin, min(begin + self.shard, self.n_neurons))

    def first_step(self, segment: int) -> int:
        """The first step of a segment, or the end of the run for the segment after the last."""
        return self.start_step + min(segment * self.segment, self.n_steps)

    def segment_of(self, step: int) -> int:
        """The segment of a step."""
        return (step - self.start_step) // self.segment

    def end_of_segment(self, step: int) -> int:
        """The end of the segment that a step is in."""
        return self.first_step(self.segment_of(step) + 1)

    def rows(self, segment: int) -> slice:
        """The rows of a segment's samples in the arrays of the whole run."""
        begin, end = (self.first_step(j) - self.start_step for j in (segment, segment + 1))
        return slice(
            len(self._samples(self.start_step, begin)), len(self._samples(self.start_step, end))
        )

    def _samples(self, first: int, count: int) -> range:
        return range(-(-first // self.every) * self.every, first + count, self.every)


def grid_of(problem: Problem, n_neurons: int, shard: int) -> Grid:
    """The grid of a population of n_neurons, whose first shard is the problem.

    A segment is as long as the memory for its samples and spikes allows.
    """
    every, dt = problem.record_every, problem.dt
    itemsize = np.dtype(problem.dtype or "float32").itemsize
    sample = itemsize * len(problem.record) * problem.n_recorded / every  # bytes per step
    spikes = SORTING_BYTES * SPIKES_PER_MS * dt * shard if problem.spikes == "times" else 0.0
    steps = min(
        problem.n_steps,
        min(max(SEGMENT_WORK / shard, LEAST_SEGMENT), MOST_SEGMENT),
        SEGMENT_BYTES / max(sample, 1e-9),
        SPIKE_BYTES / max(spikes, 1e-9),
    )
    segment = max(1, int(steps))
    chunk_rows = min(max(1, segment // every), CHUNK_ROWS)
    if segment >= every:
        segment -= segment % (chunk_rows * every)
    columns = problem.n_recorded
    parts = max(1, round(chunk_rows * columns / CHUNK_VALUES))
    chunk_columns = max(1, ceil(columns / parts))
    return Grid(
        n_neurons=n_neurons,
        shard=shard,
        start_step=problem.start_step,
        n_steps=problem.n_steps,
        every=every,
        segment=segment,
        width=columns if n_neurons <= shard else ceil(columns / chunk_columns) * chunk_columns,
        chunk=(chunk_rows, chunk_columns),
    )
