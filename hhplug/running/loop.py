"""The loop of a run: enqueue blocks of steps, read them, and collect what they recorded."""

from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np

from hhplug.backend import Session
from hhplug.errors import ContractViolation
from hhplug.features.definitions import sums_of
from hhplug.problem import SUMS, Problem
from hhplug.running.recorder import BlockRecorder
from hhplug.state import State

UNREAD = 2  # largest number of blocks unread: one is computed while the one before it is read


class Lengths(Protocol):
    """Chooses the length of the next block from the time that earlier blocks took."""

    @property
    def steps(self) -> int:
        """Steps of the next block. The last block of a run may be shorter."""
        ...

    def took(self, count: int) -> None:
        """Learn from a block of count steps, which has just been read."""

    def start_timing(self) -> None:
        """Start timing the next block. The time since the last one was read isn't the backend's."""


def step_through(
    problem: Problem,
    session: Session,
    recorder: BlockRecorder,
    lengths: Lengths,
    report: Callable[[float], object] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
    *,
    first: int | None = None,
    end_of_block: Callable[[int], int] | None = None,
) -> int:
    """Do the steps of a run and return the step reached, which is its end unless it was stopped.

    first: the step at which the session is, by default the run's first.
    end_of_block: the latest step at which a block may end that begins at a given step.

    Once `stopped()` is true, no more blocks are enqueued, and those that were are read. `report` is
    called with the fraction of the steps done.
    """
    unread, step = deque(), problem.start_step if first is None else first
    while True:
        while step < problem.end_step and len(unread) < UNREAD and not stopped():
            end = end_of_block(step) if end_of_block else problem.end_step
            count = min(lengths.steps, end - step)
            unread.append((session.advance(count), recorder.block(step, count), count))
            step += count
        if not unread:
            return step
        block, recorded, count = unread.popleft()
        block.read(recorded)
        recorder.collect(recorded)
        lengths.took(count)
        left = problem.end_step - step + sum(count for *_, count in unread)
        report(1.0 - left / problem.n_steps)
        lengths.start_timing()


def final_state(problem: Problem, session: Session, step: int) -> State:
    """The state before a step, the one after the last step done, with what its current carries.

    problem: as the backend was given it. Raises ContractViolation if the session returns anything
    but a State, or one without what the backend computes: a noise's process, features' sums.
    """
    state = session.state()
    if not isinstance(state, State):
        raise ContractViolation(f"state() must return a State, got a {type(state).__name__}")
    noise = problem.current.noise
    for name in noise.carry(np.empty(0)) if noise else ():
        if np.shape(state.carry.get(name, 0.0)) != (problem.n_neurons,):
            raise ContractViolation(
                f"the carry of state() must have {name!r}, the process of the noise at the end, "
                f"({problem.n_neurons},)"
            )
    if problem.features:
        sums = len(sums_of(problem.features)), problem.n_neurons
        if np.shape(state.carry.get(SUMS, 0.0)) != sums:
            raise ContractViolation(
                f"the carry of state() must have {SUMS!r}, the sums of the features, {sums}"
            )
    carry = {**problem.current.carry(step, state.carry), **state.carry}
    return State(state.variables, carry, state.known_finite)
