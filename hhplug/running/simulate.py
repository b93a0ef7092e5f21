"""Run a problem on a backend and return its result."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import numpy as np

from hhplug.buffer_pool import BufferPool
from hhplug.checks import known_arguments
from hhplug.errors import Interrupted, InvalidInput
from hhplug.extras import needs_store
from hhplug.plugins import choice
from hhplug.plugins.choice import OpenedBackend
from hhplug.problem import Problem
from hhplug.results.result import Result
from hhplug.results.timing import Timing
from hhplug.running.block_length import BlockLength
from hhplug.running.feature_recorder import FeatureRecorder
from hhplug.running.first_rows import first_rows
from hhplug.running.interruption import Interruption
from hhplug.running.loop import final_state, step_through
from hhplug.running.memory_recorder import MemoryRecorder
from hhplug.running.preparing import max_steps_of, noise_from, prepared_session, problem_for
from hhplug.running.progress import Progress, reporter
from hhplug.running.recorder import Recorder
from hhplug.running.warning import warn_of_invalid
from hhplug.running.workspace import Workspace


@known_arguments
def simulate(
    problem: Problem,
    backend: str | OpenedBackend = "auto",
    device: choice.Devices = None,
    progress: Progress = None,
    store: str | Path | None = None,
) -> Result:
    """Run a problem and return its Result.

    backend: a name, or an opened backend that `choice.choose` returned.
    device: an index, a list of indices or "all", as for `Simulator`, for a backend given by name.
    progress: True for a bar, or a function of the fraction done.
    store: a folder to which the run is written while it goes on, as for `Simulator.run`.

    A problem in float32 runs in float64 on a backend that has no float32.

    Raises BackendUnavailable, NotEnoughMemory, and InvalidInput for what isn't a Problem, for a
    problem in float64 on a backend without float64, for a membrane or a method that the backend
    doesn't have, or for a device together with an opened backend. Ctrl-C raises Interrupted, which
    has a Result of the steps done, after the enqueued blocks have been read; a second Ctrl-C
    doesn't wait for them.

    >>> from hhplug import Problem, simulate
    >>> problem = Problem(T=1.0, dtype="float64", batch_size=2)
    >>> simulate(problem, "numpy").V.shape
    (100, 2)
    """
    if not isinstance(problem, Problem):
        raise InvalidInput(f"problem must be a Problem, got {problem!r}")
    if not isinstance(backend, OpenedBackend):
        dtype = problem.dtype if backend == "auto" else None
        backend = choice.choose(backend, dtype, device, problem.membrane, problem.method)
    elif device is not None:
        raise InvalidInput(f"{backend.entry.name!r} is chosen with its device; leave device out")
    return run_anywhere(problem, backend, Workspace(backend.backend.result_memory), progress, store)


def run_anywhere(
    problem: Problem,
    backend: OpenedBackend,
    workspace: Workspace,
    progress: Progress,
    store: str | Path | None,
) -> Result:
    """Run a problem in memory, or on a store."""
    if store is None:
        return run(problem, backend, workspace, progress)
    with needs_store():
        from hhplug.running.stored import run_on_store
    with reporter(progress) as report:
        return run_on_store(problem, backend, workspace, store, report)


def run(
    problem: Problem,
    backend: OpenedBackend,
    workspace: Workspace,
    progress: Progress = None,
    recorder_for: Callable[[Problem, BufferPool], Recorder] = MemoryRecorder,
) -> Result:
    """Run a problem on an opened backend and return its Result. Raises what `simulate` does.

    recorder_for: makes the recorder of the run. It is given the problem, with the run's dtype, and
    the pool from which large arrays should come.
    """
    began = perf_counter()
    backend.refuse_fork()
    problem = problem_for(problem, backend)
    if problem.device_arrays and not backend.spec.capabilities.device_arrays:
        raise InvalidInput(
            f"backend {backend.entry.name!r} keeps nothing on a device; leave device_arrays out "
            "or choose a backend on a GPU"
        )
    recorder, asked = recorder_for(problem, workspace.result_memory), problem
    if problem.features:
        capabilities, pool = backend.spec.capabilities, workspace.result_memory
        recorder = FeatureRecorder(problem, capabilities, recorder, pool)
        asked = recorder.asked
    given = backend.given(asked, recorder.ordered_spikes)
    max_steps = max_steps_of(given, recorder.sample_bytes * backend.backend.n_devices)
    with Interruption() as interruption:
        with (
            reporter(progress) as report,
            np.errstate(all="ignore"),
            prepared_session(backend.backend, given, max_steps) as session,
        ):
            prepared = perf_counter()
            lengths = BlockLength(
                problem.n_neurons, problem.n_steps, max_steps, workspace.block_length
            )
            interruption.hold()
            step = step_through(
                problem, session, recorder, lengths, report, lambda: interruption.pending
            )
            if step == problem.start_step:
                raise KeyboardInterrupt
            final = final_state(given, session, step)
            if given.ordered_spikes:
                recorder.take_spikes(session.ordered_spikes())
            on_device = session.device_samples() if problem.device_arrays else {}
            ran = perf_counter()
        workspace.block_length = lengths
        n_steps = step - problem.start_step
        outcome = recorder.finish(n_steps, final)
        if isinstance(recorder, FeatureRecorder):
            final = recorder.carried(final)
        warn_of_invalid(problem, outcome.invalid)
        if outcome.spikes is not None and not interruption.pending:
            outcome.spikes.sort()  # not after Ctrl-C, since it takes seconds for many spikes
        done = problem
        if step < problem.end_step:
            done = problem.shortened(n_steps)
            rows = len(done.sample_steps(done.start_step, done.n_steps))
            on_device = {name: first_rows(array, rows) for name, array in on_device.items()}
        result = Result(
            problem=done,
            backend=backend.entry.name,
            backend_version=backend.entry.version,
            device=backend.backend.device,
            outcome=outcome._replace(samples=on_device or outcome.samples),
            final=final,
            noise_from=noise_from(given),
            written=datetime.now(UTC),
            timing=Timing(prepared - began, ran - prepared, perf_counter() - began),
        )
    if interruption.pending:
        raise Interrupted(_how_to_go_on(problem, done), result)
    return result


def _how_to_go_on(problem: Problem, done: Problem) -> str:
    """The message of an interrupted run, which says how to continue it."""
    kept = "what is computed is `result` of this exception (in a notebook sys.last_value.result)"
    left = problem.n_steps - done.n_steps
    if not left:
        return f"interrupted when all {problem.T:g} ms were done; {kept}"
    is_array = problem.given_stimulus.terms is None
    rows = f" and stimulus[{done.n_steps}:]" if is_array else ""
    return (
        f"interrupted after {done.T:g} of {problem.T:g} ms; {kept}, and the same call with "
        f"T={left * problem.dt:.15g}, resume=result{rows} goes on"
    )
