"""How many steps make a block: as many as take BLOCK_SECONDS or a part of the run, found while
running."""

from time import perf_counter

BLOCK_SECONDS = 0.1  # of work aimed at, so that progress moves and Ctrl-C answers
FIRST_STEPS = 64  # before any speed is known …
FIRST_WORK = 2**18  # … and neuron-steps: Ctrl-C waits for two blocks, also of the reference
MOST_GROWTH = 128  # from one block to the next
LEAST_BLOCKS = 4  # of a run: one's results come home while the next computes …
LEAST_SECONDS = 5e-3  # … in blocks that take no less
APART = 3  # one block the other's multiple, so that they tell the time of steps from the rest
BESIDE = 0.2  # of a block's time, that it may take beside its steps, however long it then lasts


class Pace:
    """Of one run, in blocks of max_steps at most; known: of an earlier run on the same backend."""

    def __init__(self, n_neurons: int, n_steps: int, max_steps: int, known: "Pace | None" = None):
        self._n_neurons, self._n_steps, self._max_steps = n_neurons, n_steps, max_steps
        self._beside: float | None = None  # s, that a block takes whatever its steps; None: unknown
        if known:  # more neurons take longer, in proportion at most; fewer may take as long
            self._step = known._step * max(1.0, n_neurons / known._n_neurons)  # s
            if n_neurons == known._n_neurons:
                self._beside = known._beside
            self.steps = self._possible()
        else:
            self.steps = max(1, min(FIRST_STEPS, max_steps, FIRST_WORK // n_neurons))
        self._compared = 0, 0.0  # an earlier block's steps and seconds
        self.go_on()

    def _possible(self) -> int:
        beside = self._beside or 0.0
        least = max(LEAST_SECONDS, beside / BESIDE)
        most = max(BLOCK_SECONDS, least) - beside
        steps = min(most / self._step, max(self._n_steps / LEAST_BLOCKS, least / self._step))
        return max(1, round(min(self._max_steps, steps)))

    def go_on(self) -> None:
        """The time since a block was read was not the backend's."""
        self._last = perf_counter()

    def took(self, count: int) -> None:
        """A block of count steps has been read."""
        seconds = max(perf_counter() - self._last, 1e-9)
        other, its_seconds = self._compared
        apart = max(count, other) >= APART * min(count, other)
        if other and apart:
            slope = (seconds - its_seconds) / (count - other)
            self._beside = min(max(0.0, seconds - slope * count), seconds / 2)
        if apart or count == other:
            self._compared = count, seconds
        self._step = (seconds - min(self._beside or 0.0, seconds / 2)) / count
        self.steps = min(self._possible(), MOST_GROWTH * count)
        if self._beside is None and count < APART * self.steps < APART**2 * count:
            self.steps = min(APART * count, self._max_steps)
        self.go_on()
