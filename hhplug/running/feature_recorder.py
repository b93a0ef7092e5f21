"""A recorder that computes features beside what another recorder keeps.

A backend whose capability `features` is "sums" computes the sums itself, and they come with its
final state. A backend with "samples" gives its samples of V to the sums. The recorder lets any
other backend record V at every step, into arrays of the length of a block, and gives these to the
sums.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from hhplug.backend import Capabilities, OrderedSpikes, Recorded
from hhplug.buffer_pool import BufferPool
from hhplug.errors import InvalidInput, NotEnoughMemory
from hhplug.features.definitions import of_group
from hhplug.features.sums import FeatureSums
from hhplug.problem import SUMS, Problem
from hhplug.results.outcome import Outcome
from hhplug.running.recorder import Recorder
from hhplug.state import State

NO_STEPS = 0, 0


class FeatureRecorder:
    """A `Recorder` of a run with features. The backend is given the problem `asked`.

    kept: the recorder to which it passes on what the user asked for. Raises InvalidInput if samples
    that stay on the device would be needed, and NotEnoughMemory if the sums don't fit.
    """

    sample_bytes = 2**26  # two blocks are in memory, beside what is kept
    ordered_spikes = False

    def __init__(
        self, problem: Problem, capabilities: Capabilities, kept: Recorder, pool: BufferPool
    ):
        self._problem, self._kept, self._pool = problem, kept, pool
        needs_V = of_group(problem.features, "mean", "range", "shape")
        self._computed = capabilities.features == "sums"
        self._buffered = needs_V and not capabilities.features
        self.asked = problem if self._computed else problem.with_features((), None, NO_STEPS)
        if of_group(problem.features, "spikes") and not self._computed:
            self.asked = self.asked.with_spikes("times")
        if self._buffered:
            if problem.device_arrays:
                raise InvalidInput(
                    "this backend computes features of V from samples on the host; leave "
                    "device_arrays or these features out"
                )
            self.asked = self.asked.recording(tuple(dict.fromkeys(("V", *problem.record))))
        self._unread: deque[tuple[int, Recorded]] = deque()
        carried = problem.initial.carry.get(SUMS)
        try:
            if not self._computed:
                self._begin(None if carried is None else np.array(carried))
        except MemoryError as error:
            raise NotEnoughMemory(
                f"no room for the features of {problem.n_neurons:,} neurons: {error}",
                "fewer features, or a smaller batch_size",
            ) from error

    def _begin(self, rows: NDArray[np.float64] | None) -> None:
        """Set the sums to those of the steps before."""
        problem = self._problem
        self._sums = FeatureSums(
            problem.features,
            problem.window_steps,
            problem.n_neurons,
            problem.spike_threshold,
            problem.dt,
            rows,
        )

    def block(self, first: int, count: int) -> Recorded:
        """The arrays that a backend writes the steps first ≤ k < first + count to."""
        kept, asked = self._kept.block(first, count), self.asked
        self._unread.append((first, kept))
        samples = kept.samples
        if self._buffered:
            shape, dtype = (count, asked.n_neurons), np.dtype(asked.dtype)
            samples = {name: self._pool.empty(shape, dtype) for name in asked.record}
        own = None if self._buffered or self._computed else self._sums
        return Recorded(asked, samples, kept.spike_count, features=own)

    def collect(self, block: Recorded) -> None:
        """Give the sums what they need of a block, and the other recorder what it keeps."""
        first, kept = self._unread.popleft()
        if self._buffered:
            self._sums.samples(first, block.samples["V"])
            steps = self._problem.sample_steps(first, len(block.samples["V"]))
            rows = slice(steps.start - first, None, steps.step)
            for name, samples in kept.samples.items():
                samples[:] = block.samples[name][rows][:, self._problem.neurons]
        if not self._computed:
            self._sums.spikes(block.spikes)
        kept.invalid = block.invalid
        if self._problem.spikes == "times":
            kept.spikes = block.spikes
        self._kept.collect(kept)

    def take_spikes(self, spikes: OrderedSpikes) -> None:
        """Not called, since the sums take the spikes of each block."""
        raise NotImplementedError

    def finish(self, n_steps: int, final: State) -> Outcome:
        """What the first n_steps steps recorded, and their features."""
        if self._computed:
            self._begin(final.carry[SUMS])
        outcome = self._kept.finish(n_steps, final)
        step, n = self._problem.start_step + n_steps, self._problem.n_neurons
        values = self._sums.values(step, outcome.invalid.valid(n), self._pool.empty)
        return outcome._replace(features=values)

    def carried(self, final: State) -> State:
        """The final state, with what the features of a run that resumes this one need."""
        return State(final.variables, {**final.carry, SUMS: self._sums.rows})
