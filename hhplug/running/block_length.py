"""Choose the number of steps in each block of a run.

A block should take BLOCK_SECONDS, and a short run should have LEAST_BLOCKS blocks. The time that a
step takes is measured during the run.
"""

from time import perf_counter

BLOCK_SECONDS = 0.1  # s; short, so that progress moves and Ctrl-C stops a run soon
FIRST_STEPS = 64  # most steps of the first block, while the speed is unknown
FIRST_WORK = 2**18  # most neuron-steps of the first block, since Ctrl-C waits for two blocks
MOST_GROWTH = 128  # largest ratio of a block's length to the length of the one before
LEAST_BLOCKS = 4  # fewest blocks of a run, so that one is copied while the next computes
LEAST_SECONDS = 5e-3  # s; a run has fewer than LEAST_BLOCKS if these would be shorter
LENGTH_RATIO = 3  # least ratio of two blocks' lengths from which their fixed cost is estimated
MAX_OVERHEAD = 0.2  # largest share of a block's time that may go to its fixed cost


class BlockLength:
    """Chooses `steps`, the number of steps of the next block, which is max_steps at most.

    known: the BlockLength of an earlier run on the same backend, whose speed is the first guess.
    """

    def __init__(
        self, n_neurons: int, n_steps: int, max_steps: int, known: "BlockLength | None" = None
    ):
        self._n_neurons, self._n_steps, self._max_steps = n_neurons, n_steps, max_steps
        self._fixed: float | None = None  # s; the fixed cost of a block; None: unknown
        if known:
            # With more neurons a step takes longer, at most in proportion. With fewer neurons it
            # may take as long.
            self._step = known._step * max(1.0, n_neurons / known._n_neurons)  # s
            if n_neurons == known._n_neurons:
                self._fixed = known._fixed
            self.steps = self._possible()
        else:
            self.steps = max(1, min(FIRST_STEPS, max_steps, FIRST_WORK // n_neurons))
        self._compared = 0, 0.0  # an earlier block's steps and seconds
        self.start_timing()

    def _possible(self) -> int:
        fixed = self._fixed or 0.0
        least = max(LEAST_SECONDS, fixed / MAX_OVERHEAD)
        most = max(BLOCK_SECONDS, least) - fixed
        steps = min(most / self._step, max(self._n_steps / LEAST_BLOCKS, least / self._step))
        return max(1, round(min(self._max_steps, steps)))

    def start_timing(self) -> None:
        """Start timing the next block. The time since the last one was read isn't the backend's."""
        self._last = perf_counter()

    def took(self, count: int) -> None:
        """Learn from a block of count steps, which has just been read."""
        seconds = max(perf_counter() - self._last, 1e-9)
        earlier_count, earlier_seconds = self._compared
        lengths_differ = max(count, earlier_count) >= LENGTH_RATIO * min(count, earlier_count)
        if earlier_count and lengths_differ:
            slope = (seconds - earlier_seconds) / (count - earlier_count)
            self._fixed = min(max(0.0, seconds - slope * count), seconds / 2)
        if lengths_differ or count == earlier_count:
            self._compared = count, seconds
        self._step = (seconds - min(self._fixed or 0.0, seconds / 2)) / count
        self.steps = min(self._possible(), MOST_GROWTH * count)
        if self._fixed is None and count < LENGTH_RATIO * self.steps < LENGTH_RATIO**2 * count:
            self.steps = min(LENGTH_RATIO * count, self._max_steps)
        self.start_timing()
