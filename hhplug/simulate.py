"""The one loop: cut a run into blocks, keep the backend busy, collect what it recorded."""

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from time import perf_counter
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from hhplug import registry
from hhplug.backend import Backend, Session
from hhplug.checks import known_arguments
from hhplug.errors import Interrupted, InvalidInput, NotEnoughMemory, warn
from hhplug.interruption import Interruption
from hhplug.model import finite, nonfinite_neurons
from hhplug.pace import Pace
from hhplug.problem import DType, Problem
from hhplug.progress import Progress, reporter
from hhplug.recording import Recording, first_rows
from hhplug.registry import Chosen
from hhplug.result import Result, Timing
from hhplug.stimulus import ArrayCurrent

BLOCK_BYTES = 2**26  # recorded by a block, and read by it of an array current; two are unread
BLOCK_STEPS = 2**16

_paces: WeakKeyDictionary[Chosen, Pace] = WeakKeyDictionary()  # of the last run


@known_arguments
def simulate(
    problem: Problem,
    backend: str | Chosen = "auto",
    device: int | None = None,
    progress: Progress = None,
) -> Result:
    """Run a problem on a backend, by name or as `registry.choose` gave it.

    A problem in float32 runs in float64 on a backend that has nothing else.

    Raises BackendUnavailable, NotEnoughMemory, and InvalidInput for a problem in float64 on a
    backend without it, or a device beside a Chosen, which has its own. Ctrl-C raises Interrupted,
    which has a Result of the steps done; it waits for the blocks that are enqueued, and a second
    one doesn't.
    """
    began = perf_counter()
    if not isinstance(backend, Chosen):
        backend = registry.choose(backend, problem.dtype if backend == "auto" else None, device)
    elif device is not None:
        raise InvalidInput(f"{backend.entry.name!r} is chosen with its device; leave device out")
    if problem.device_arrays and not backend.spec.capabilities.device_arrays:
        raise InvalidInput(
            f"backend {backend.entry.name!r} keeps nothing on a device; leave device_arrays out "
            "or choose a backend on a GPU"
        )
    problem = problem.with_dtype(_dtype(problem, backend))
    recording = Recording(problem)
    max_steps = _max_steps(problem)
    with Interruption() as interruption:
        with (
            reporter(progress) as report,
            np.errstate(all="ignore"),
            _prepared(backend.backend, problem, max_steps) as session,
        ):
            prepared = perf_counter()
            pace = Pace(problem.n_neurons, problem.n_steps, max_steps, _paces.get(backend))
            interruption.hold()
            step = _stepped(problem, session, recording, pace, report, interruption)
            if step == problem.start_step:
                raise KeyboardInterrupt
            final_state = session.state()
            samples = session.device_samples() if problem.device_arrays else recording.samples
            ran = perf_counter()
        _paces[backend] = pace
        _warn_of_nonfinite(problem, final_state)
        spikes = recording.spikes(finite(final_state)) if problem.spikes == "times" else None
        if spikes is not None and not interruption.pending:
            spikes.sort()  # which may take longer than a Ctrl-C should
        done = problem
        if step < problem.end_step:
            done = problem.shortened(step - problem.start_step)
            rows = len(done.sample_steps(done.start_step, done.n_steps))
            samples = {name: first_rows(array, rows) for name, array in samples.items()}
        result = Result(
            problem=done,
            backend=backend.entry.name,
            backend_version=backend.entry.source,
            device=backend.backend.device,
            samples=dict(samples),
            spike_times=spikes,
            spike_counts=None if problem.spikes == "off" else recording.spike_count,
            final_state=final_state,
            written=datetime.now(UTC),
            timing=Timing(prepared - began, ran - prepared, perf_counter() - began),
        )
    if interruption.pending:
        raise Interrupted(_how_to_go_on(problem, done), result)
    return result


def _stepped(
    problem: Problem,
    session: Session,
    recording: Recording,
    pace: Pace,
    report: Callable[[float], object],
    interruption: Interruption,
) -> int:
    """Do the steps of a run; returns the step reached, its end unless it was interrupted."""
    unread, step = deque(), problem.start_step
    while True:
        while step < problem.end_step and len(unread) < 2 and not interruption.pending:
            count = min(pace.steps, problem.end_step - step)
            unread.append((session.advance(count), recording.block(step, count), count))
            step += count
        if not unread:
            return step
        block, recorded, count = unread.popleft()
        block.read(recorded)
        recording.collect(recorded)
        pace.took(count)
        left = problem.end_step - step + sum(c for *_, c in unread)
        report(1.0 - left / problem.n_steps)
        pace.go_on()


def _how_to_go_on(problem: Problem, done: Problem) -> str:
    """The message of an interrupted run."""
    kept = "what is computed is `result` of this exception (in a notebook sys.last_value.result)"
    left = problem.n_steps - done.n_steps
    if not left:
        return f"interrupted when all {problem.T:g} ms were done; {kept}"
    rows = f" and stimulus[{done.n_steps}:]" if isinstance(problem.current, ArrayCurrent) else ""
    return (
        f"interrupted after {done.T:g} of {problem.T:g} ms; {kept}, and the same call with "
        f"T={left * problem.dt:.15g}, resume=result{rows} goes on"
    )


def _dtype(problem: Problem, chosen: Chosen) -> DType:
    """The problem's own; float64 in place of a float32 that the backend hasn't."""
    if problem.dtype is None:
        return default_dtype(chosen)
    dtypes = chosen.spec.capabilities.dtypes
    if problem.dtype in dtypes:
        return problem.dtype
    if "float64" in dtypes:
        return "float64"
    raise InvalidInput(
        f"backend {chosen.entry.name!r} computes in {' and '.join(dtypes)}, and the problem is in "
        f"{problem.dtype}; use problem.with_dtype({dtypes[0]!r}), or choose another backend"
    )


def default_dtype(chosen: Chosen) -> DType:
    """float32 where the backend has it."""
    dtypes = chosen.spec.capabilities.dtypes
    return "float32" if "float32" in dtypes else dtypes[0]


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
    """The longest block that keeps its samples and its rows of current within BLOCK_BYTES."""
    itemsize = np.dtype(problem.dtype).itemsize
    recorded = 0 if problem.device_arrays else len(problem.record)
    sample = itemsize * recorded * problem.n_recorded / problem.record_every
    current = problem.current
    if isinstance(current, ArrayCurrent):
        row = current.array[0].size * max(current.array.itemsize, itemsize)
    else:
        row = len(current.gain) * np.dtype(np.float64).itemsize
    fits = BLOCK_BYTES / max(sample, row, 1)
    return max(1, min(problem.n_steps, BLOCK_STEPS, int(fits)))


def _warn_of_nonfinite(problem: Problem, final_state: NDArray[Any]) -> None:
    """Warn of the neurons that this run lost; of those that it began without, Problem warned."""
    lost = nonfinite_neurons(final_state)
    lost = lost[finite(problem.initial_state[:, lost])]
    if lost.size:
        warn(
            f"{lost.size} of {problem.n_neurons} neurons became NaN or infinite, the first neuron "
            f"{lost[0]}; dt={problem.dt:g} ms may be too long for their currents and parameters"
        )
