"""What a test of the suite is given: the backend, the reference, the horizon, the budget."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hhplug import registry
from hhplug.backend import BackendSpec
from hhplug.model import finite
from hhplug.problem import DType, Problem
from hhplug.recording import Recording
from hhplug.registry import Chosen
from hhplug.result import Result
from hhplug.simulate import simulate
from hhplug.spikes import Spikes
from hhplug.testing.budget import Budget

NOT_DECLARED = "capability not declared: "  # how the reason of the only legal skip begins

chosen = cache(registry.choose)


@dataclass(frozen=True)
class Run:
    """What a session gave, driven by hand."""

    samples: dict[str, NDArray[Any]]
    spikes: Spikes
    spike_count: NDArray[np.int64]
    final_state: NDArray[Any]


@dataclass
class Kit:
    """One backend at one precision."""

    name: str
    dtype: DType
    short: bool  # one small block a test, 5,000 steps in all: for interpreters, simulated hardware
    budget: Budget = field(repr=False)

    @property
    def chosen(self) -> Chosen:
        """The backend, opened once; BackendUnavailable if it cannot run."""
        return chosen(self.name)

    @property
    def spec(self) -> BackendSpec:
        return self.chosen.spec

    def steps(self, long: int, short: int) -> int:
        return short if self.short else long

    def run(self, T: float, **arguments: Any) -> Result:
        """A run on the backend; arguments as `Problem`'s."""
        problem = self.problem(T, **arguments)
        self.budget.steps += problem.n_steps
        chosen = replace(self.chosen)  # of unknown speed: begins with short blocks
        return simulate(problem, chosen)

    def problem(self, T: float, **arguments: Any) -> Problem:
        return Problem(T, dtype=self.dtype, **arguments)

    def by_hand(self, problem: Problem, lengths: Sequence[int]) -> Run:
        """A run in blocks of these lengths, again and again until it ends, two under way."""
        recording = Recording(problem)
        step, blocks, unread = problem.start_step, 0, []
        prepare = self.chosen.backend.prepare
        with np.errstate(all="ignore"), prepare(problem, max(lengths)) as session:
            while step < problem.end_step or unread:
                if step < problem.end_step and len(unread) < 2:
                    count = min(lengths[blocks % len(lengths)], problem.end_step - step)
                    unread.append((session.advance(count), recording.block(step, count)))
                    step, blocks = step + count, blocks + 1
                else:
                    block, recorded = unread.pop(0)
                    block.read(recorded)
                    recording.collect(recorded)
            state = session.state()
        self.budget.steps += problem.n_steps
        return Run(recording.samples, recording.spikes(finite(state)), recording.spike_count, state)

    def needs(self, capability: str, declared: bool) -> None:
        """Skip a test of what the backend does not offer."""
        if not declared:
            pytest.skip(f"{NOT_DECLARED}{capability}")

    def needs_long_horizon(self, what: str) -> bool:
        """Whether there is time for it; the report says if there was none."""
        if self.short:
            self.budget.not_shown.append(f"{what} ({self.dtype})")
        return not self.short


def reference(T: float, **arguments: Any) -> Result:
    """The same run on the float64 reference."""
    return simulate(Problem(T, **arguments), "reference")


def assert_near(ours: Any, expected: Any, bound: float, what: str) -> float:
    """The largest difference, (…, n), which is below the bound; else where it is, and the first."""
    with np.errstate(invalid="ignore"):
        error = np.abs(np.asarray(ours, np.float64) - expected)
    if error.max() < bound:
        return error.max()
    beyond = np.argwhere(~(error < bound))
    worst = np.unravel_index(np.argmax(np.nan_to_num(error, nan=np.inf)), error.shape)
    raise AssertionError(
        f"{what} is off by {error[worst]:.2g} at {_place(worst)}, and may be by {bound:.2g}: "
        f"{ours[worst]!r} instead of {expected[worst]!r}; it is first off at {_place(beyond[0])}"
    )


def _place(index: Any) -> str:
    *step, neuron = map(int, index)
    return f"step {step[0]}, neuron {neuron}" if step else f"neuron {neuron}"


def assert_equal(ours: Any, expected: Any, what: str) -> None:
    """Bit for bit."""
    np.testing.assert_array_equal(ours, expected, err_msg=what)


def assert_same(a: Result | Run, b: Result | Run) -> None:
    """Bit for bit."""
    assert set(a.samples) == set(b.samples)
    for name in a.samples:
        assert_equal(a.samples[name], b.samples[name], name)
    assert_equal(a.final_state, b.final_state, "final state")
    assert_equal(a.spike_count, b.spike_count, "spike count")
    assert_equal(a.spikes.neuron, b.spikes.neuron, "spikes' neurons")
    assert_equal(a.spikes.time, b.spikes.time, "spike times")
