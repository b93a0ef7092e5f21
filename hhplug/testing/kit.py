"""Tools for the tests of the suite: the backend under test, the reference, and assertions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import cycle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hhplug.backend import BackendSpec, Session
from hhplug.plugins import choice
from hhplug.plugins.choice import OpenedBackend
from hhplug.problem import DType, Problem
from hhplug.results.result import Result
from hhplug.running.loop import final_state, step_through
from hhplug.running.memory_recorder import MemoryRecorder
from hhplug.running.simulate import simulate
from hhplug.state import State
from hhplug.testing.budget import Budget
from hhplug.testing.guarded import GuardedRecorder
from hhplug.testing.plugin import require_pytest
from hhplug.testing.rules import NOT_DECLARED
from hhplug.validity import Invalid

require_pytest()  # before the suite is imported, whose tests use what an older one lacks

chosen = cache(choice.choose)


@dataclass(frozen=True)
class Run:
    """The outcome of a session whose block lengths the test chose."""

    samples: Mapping[str, NDArray[Any]]
    spikes: Any  # Spikes, or None unless the problem keeps spike times
    spike_count: Any  # (n,), or None if the problem has spikes off
    invalid: Invalid
    features: Mapping[str, NDArray[Any]]  # empty unless the recorder computes them
    final: State

    @property
    def final_state(self) -> NDArray[Any]:
        return self.final.variables


class Repeated:
    """The `Lengths` of a run whose block lengths are given. They are repeated without end."""

    def __init__(self, lengths: Sequence[int]):
        self._lengths = cycle(lengths)

    @property
    def steps(self) -> int:
        """The next block's length in steps; each access moves on to the next."""
        return next(self._lengths)

    def took(self, count: int) -> None:
        """Do nothing, since the lengths are given."""

    def start_timing(self) -> None:
        """Do nothing, since the lengths are given."""


@dataclass
class Kit:
    """One backend at one precision, as a test of the suite uses it."""

    name: str
    dtype: DType
    short: bool  # at most 5,000 steps in all tests, for interpreters and simulated hardware
    budget: Budget = field(repr=False)

    @property
    def chosen(self) -> OpenedBackend:
        """The backend, opened once per process. Raises BackendUnavailable if it cannot run."""
        return chosen(self.name)

    @property
    def spec(self) -> BackendSpec:
        return self.chosen.spec

    def steps(self, long: int, short: int) -> int:
        """The number of steps for the long or the short horizon, whichever the tests have."""
        return short if self.short else long

    def run(self, T: float, **arguments: Any) -> Result:
        """Run a problem on the backend; the arguments are those of `Problem`."""
        problem = self.problem(T, **arguments)
        self.budget.steps += problem.n_steps
        return simulate(problem, self.chosen)

    def problem(self, T: float, **arguments: Any) -> Problem:
        """A problem in the kit's precision; the arguments are those of `Problem`."""
        return Problem(T, dtype=self.dtype, **arguments)

    def session(self, problem: Problem, max_steps: int) -> Session:
        """The backend's session of a problem, which it is given as in a run."""
        return self.chosen.backend.prepare(self.chosen.given(problem), max_steps)

    def run_in_blocks(
        self,
        problem: Problem,
        lengths: Sequence[int],
        guarded: bool = False,
        ordered_spikes: bool = False,
    ) -> Run:
        """Run a problem in blocks of these lengths, repeated until the run ends.

        guarded: raise AssertionError if a block writes outside its arrays, or leaves a row out.
        ordered_spikes: let a backend that can do so return the spikes at the end of the run.
        """
        problem = self.chosen.given(problem, ordered_spikes)
        recorder = GuardedRecorder(problem) if guarded else MemoryRecorder(problem)
        prepare = self.chosen.backend.prepare
        with np.errstate(all="ignore"), prepare(problem, max(lengths)) as session:
            step_through(problem, session, recorder, Repeated(lengths))
            final = final_state(problem, session, problem.end_step)
            if problem.ordered_spikes:
                recorder.take_spikes(session.ordered_spikes())
        self.budget.steps += problem.n_steps
        return Run(*recorder.finish(problem.n_steps, final), final)

    def needs(self, capability: str, declared: bool) -> None:
        """Skip the test if the backend does not declare the capability."""
        if not declared:
            pytest.skip(f"{NOT_DECLARED}{capability}")


def reference(T: float, **arguments: Any) -> Result:
    """Run a problem on the float64 reference; the arguments are those of `Problem`."""
    return simulate(Problem(T, **arguments), "reference")


def assert_near(ours: Any, expected: Any, bound: float, what: str) -> float:
    """Return the largest absolute difference of two arrays, (…, n), in their unit.

    Raises AssertionError if it is not below the bound; the message says where it is largest and
    where it first reaches the bound.
    """
    with np.errstate(invalid="ignore"):
        error = np.abs(np.asarray(ours, np.float64) - expected)
    if error.max() < bound:
        return error.max()
    beyond = np.argwhere(~(error < bound))
    worst = np.unravel_index(np.argmax(np.nan_to_num(error, nan=np.inf)), error.shape)
    raise AssertionError(
        f"{what} is off by {error[worst]:.2g} at {_position(worst)}, and may be by {bound:.2g}: "
        f"{ours[worst]!r} instead of {expected[worst]!r}; it is first off at {_position(beyond[0])}"
    )


def _position(index: Any) -> str:
    *step, neuron = map(int, index)
    return f"step {step[0]}, neuron {neuron}" if step else f"neuron {neuron}"


def assert_equal(ours: Any, expected: Any, what: str) -> None:
    """Assert that two arrays have equal elements; NaN equals NaN."""
    np.testing.assert_array_equal(ours, expected, err_msg=what)


def assert_same(a: Result | Run, b: Result | Run, what: str = "two runs differ") -> None:
    """Assert that samples, spikes and final states of two runs are exactly equal."""
    assert set(a.samples) == set(b.samples)
    for name in a.samples:
        assert_equal(a.samples[name], b.samples[name], f"{what}: {name}")
    assert_equal(a.final_state, b.final_state, f"{what}: final state")
    assert set(a.final.carry) == set(b.final.carry)
    for name, array in a.final.carry.items():
        assert_equal(array, b.final.carry[name], f"{what}: {name} that the state carries")
    assert_equal(a.invalid.neuron, b.invalid.neuron, f"{what}: invalid neurons")
    assert_equal(a.invalid.step, b.invalid.step, f"{what}: first invalid steps")
    one, other = (run if isinstance(run, Run) else run.outcome for run in (a, b))
    if one.spike_count is not None:
        assert_equal(one.spike_count, other.spike_count, f"{what}: spike count")
    if one.spikes is not None:
        assert other.spikes is not None
        assert_equal(one.spikes.neuron, other.spikes.neuron, f"{what}: spikes' neurons")
        assert_equal(one.spikes.time, other.spikes.time, f"{what}: spike times")
