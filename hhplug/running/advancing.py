"""Advance one shard of a store to its end. Every way of running on a store makes this call."""

from collections.abc import Callable
from time import perf_counter
from typing import cast

import numpy as np

from hhplug._version import __version__
from hhplug.errors import InvalidInput
from hhplug.plugins.choice import OpenedBackend
from hhplug.problem import SUMS, Problem
from hhplug.running.block_length import BlockLength
from hhplug.running.feature_recorder import FeatureRecorder
from hhplug.running.loop import final_state, step_through
from hhplug.running.preparing import max_steps_of, noise_from, prepared_session, problem_for
from hhplug.running.recorder import Recorder
from hhplug.running.store_recorder import StoreRecorder
from hhplug.running.warning import warn_of_invalid
from hhplug.running.workspace import Workspace
from hhplug.stores.shard import Shard

FINISH_SECONDS = 0.3  # s; a run that is stopped goes on to the segment's end if that is so near


def problem_of_store(problem: Problem, backend: OpenedBackend) -> Problem:
    """The problem with the dtype in which the backend computes it.

    Raises InvalidInput for what the backend doesn't compute, and for device_arrays.
    """
    if problem.device_arrays:
        raise InvalidInput("a store holds what is recorded; leave device_arrays out")
    return problem_for(problem, backend)


def advance(
    shard: Shard,
    problem: Problem,
    backend: OpenedBackend,
    workspace: Workspace,
    report: Callable[[float], object] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> bool:
    """Compute a shard from its last commit to its end. Return whether it is complete.

    problem: the shard's neurons, with the run's dtype, from the run's first step on.
    report: called with the fraction of the shard that is done.
    stopped: once it is true, the shard is committed at the end of the segment if that is near, and
        else left at its last commit.

    Raises InvalidInput for another problem, backend, kind of device or version than the shard has
    begun with, NotEnoughMemory, and OSError if the store can't be written. What is committed stays.
    """
    backend.refuse_fork()
    origin = {
        "backend": backend.entry.name,
        "backend_version": backend.entry.version,
        "device": backend.backend.kind,
        "hhplug": __version__,
        "noise_from": noise_from(backend.given(problem)),
    }
    grid = shard.store.grid
    before = shard.begin(problem, origin)
    if before and before.segments == grid.n_segments:
        return True
    rest = problem
    if before:
        first = grid.first_step(before.segments)
        rest = problem.between(first, problem.end_step).continuing(before.state, before.invalid)
    done_before = 1.0 - rest.n_steps / problem.n_steps
    recorder = StoreRecorder(shard, rest, before, workspace.result_memory)
    features = None
    if rest.features:
        capabilities = backend.spec.capabilities
        kept = cast(Recorder, recorder)  # of which it needs the blocks alone
        features = FeatureRecorder(rest, capabilities, kept, workspace.result_memory)
    given = backend.given(features.asked if features else rest)
    began, max_steps = perf_counter(), max_steps_of(given)
    with (
        recorder,
        np.errstate(all="ignore"),
        prepared_session(backend.backend, given, max_steps) as session,
    ):
        recorder.prepared(perf_counter() - began)
        lengths = BlockLength(rest.n_neurons, rest.n_steps, max_steps, workspace.block_length)
        started = perf_counter()

        def halted() -> bool:
            """Whether the blocks should be read, to commit them or to stop."""
            if recorder.at_boundary:
                return recorder.due or stopped()
            if not stopped():
                return False
            per_step = (perf_counter() - started) / max(1, recorder.step - rest.start_step)
            return (grid.end_of_segment(recorder.step) - recorder.step) * per_step > FINISH_SECONDS

        step = rest.start_step
        while step < rest.end_step:
            step = step_through(
                rest,
                session,
                features or recorder,
                lengths,
                lambda done: report(done_before + (1.0 - done_before) * done),
                halted,
                first=step,
                end_of_block=grid.end_of_segment,
            )
            if recorder.at_boundary and step > rest.start_step:
                state = final_state(given, session, step)
                if features and SUMS not in state.carry:
                    state = features.carried(state)
                recorder.commit(state)
            if stopped():
                break
    workspace.block_length = lengths
    if step < rest.end_step:
        return False
    done = shard.committed()
    if done:
        warn_of_invalid(problem, done.invalid)
    return True
