"""Run a problem on a backend and return its result."""

from collections.abc import Callable
from datetime import UTC, datetime
from time import perf_counter

import numpy as np

from hhplug.backend import Backend, Session
from hhplug.checks import known_arguments
from hhplug.currents.stimulus import Stimulus
from hhplug.errors import Interrupted, InvalidInput, NotEnoughMemory
from hhplug.plugins import choice
from hhplug.plugins.choice import OpenedBackend
from hhplug.problem import DType, Problem
from hhplug.results.result import Result, Timing
from hhplug.running.block_length import BlockLength
from hhplug.running.buffer_pool import BufferPool
from hhplug.running.first_rows import first_rows
from hhplug.running.interruption import Interruption
from hhplug.running.loop import final_state, step_through
from hhplug.running.memory_recorder import MemoryRecorder
from hhplug.running.progress import Progress, reporter
from hhplug.running.recorder import Recorder
from hhplug.running.warning import warn_of_invalid
from hhplug.running.workspace import Workspace

# Largest size of a block's samples, and of the rows that it reads of an array stimulus. Two blocks
# are in memory at a time.
BLOCK_BYTES = 2**26
BLOCK_STEPS = 2**16  # most steps of a block


@known_arguments
def simulate(
    problem: Problem,
    backend: str | OpenedBackend = "auto",
    device: int | None = None,
    progress: Progress = None,
) -> Result:
    """Run a problem and return its Result.

    backend: a name, or an opened backend that `choice.choose` returned.
    device: index of the device, for a backend that has several and is given by name.
    progress: True for a bar, or a function of the fraction done.

    A problem in float32 runs in float64 on a backend that has no float32.

    Raises BackendUnavailable, NotEnoughMemory, and InvalidInput for a problem in float64 on a
    backend without float64, for a membrane or a method that the backend doesn't have, or for a
    device together with an opened backend. Ctrl-C raises Interrupted, which has a Result of the
    steps done, after the enqueued blocks have been read; a second Ctrl-C doesn't wait for them.
    """
    if not isinstance(backend, OpenedBackend):
        dtype = problem.dtype if backend == "auto" else None
        backend = choice.choose(backend, dtype, device, problem.membrane, problem.method)
    elif device is not None:
        raise InvalidInput(f"{backend.entry.name!r} is chosen with its device; leave device out")
    return run(problem, backend, Workspace(), progress)


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
    choice.refuse_membrane(backend.spec, problem.membrane)
    choice.refuse_method(backend.spec, problem.method)
    if problem.device_arrays and not backend.spec.capabilities.device_arrays:
        raise InvalidInput(
            f"backend {backend.entry.name!r} keeps nothing on a device; leave device_arrays out "
            "or choose a backend on a GPU"
        )
    problem = problem.with_dtype(_dtype(problem, backend))
    recorder = recorder_for(problem, workspace.buffers)
    given = backend.given(problem)
    max_steps = _max_steps(given)
    with Interruption() as interruption:
        with (
            reporter(progress) as report,
            np.errstate(all="ignore"),
            _prepared(backend.backend, given, max_steps) as session,
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
            on_device = session.device_samples() if problem.device_arrays else {}
            ran = perf_counter()
        workspace.block_length = lengths
        n_steps = step - problem.start_step
        outcome = recorder.finish(n_steps, final)
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
            noise_from=_noise_from(given),
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
    rows = f" and stimulus[{done.n_steps}:]" if isinstance(problem.stimulus, np.ndarray) else ""
    return (
        f"interrupted after {done.T:g} of {problem.T:g} ms; {kept}, and the same call with "
        f"T={left * problem.dt:.15g}, resume=result{rows} goes on"
    )


def _dtype(problem: Problem, opened: OpenedBackend) -> DType:
    """The problem's dtype, or float64 if that is float32 and the backend has no float32.

    Raises InvalidInput if the problem is in float64 and the backend has no float64.
    """
    if problem.dtype is None:
        return default_dtype(opened)
    dtypes = opened.spec.capabilities.dtypes
    if problem.dtype in dtypes:
        return problem.dtype
    if "float64" in dtypes:
        return "float64"
    raise InvalidInput(
        f"backend {opened.entry.name!r} computes in {' and '.join(dtypes)}, and the problem is in "
        f"{problem.dtype}; use problem.with_dtype({dtypes[0]!r}), or choose another backend"
    )


def default_dtype(chosen: OpenedBackend) -> DType:
    """float32 if the backend has it, else the first dtype that it has."""
    dtypes = chosen.spec.capabilities.dtypes
    return "float32" if "float32" in dtypes else dtypes[0]


def _noise_from(given: Problem) -> str:
    """Who computes the noise of a problem that a backend is given, as a Result says it."""
    if given.current.noise:
        return "backend"
    return "core" if isinstance(given.stimulus, Stimulus) and given.stimulus.seeds else ""


def _prepared(backend: Backend, problem: Problem, max_steps: int) -> Session:
    try:
        return backend.prepare(problem, max_steps)
    except NotEnoughMemory:
        raise
    except MemoryError as error:
        raise NotEnoughMemory(
            f"no room for {problem.n_neurons:,} neurons: {error}", "a smaller batch_size"
        ) from error


def _max_steps(problem: Problem) -> int:
    """Steps of the longest block whose samples and rows of current are each within BLOCK_BYTES."""
    itemsize = np.dtype(problem.dtype).itemsize
    recorded = 0 if problem.device_arrays else len(problem.record)
    sample = itemsize * recorded * problem.n_recorded / problem.record_every
    fits = BLOCK_BYTES / max(sample, problem.current.bytes_per_step(itemsize), 1)
    return max(1, min(problem.n_steps, BLOCK_STEPS, int(fits)))
