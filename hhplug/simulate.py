"""The one loop: cut a run into blocks, keep the backend busy, collect what it recorded."""

from collections import deque
from time import perf_counter
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from hhplug import registry
from hhplug.backend import Backend, Session
from hhplug.errors import InvalidInput, NotEnoughMemory, warn
from hhplug.pace import Pace
from hhplug.problem import DType, Problem
from hhplug.progress import Progress, reporter
from hhplug.recording import Recording
from hhplug.registry import Chosen
from hhplug.result import Result, Timing
from hhplug.stimulus import ArrayCurrent

BLOCK_BYTES = 2**26  # recorded by a block, and read by it of an array current; two are unread
BLOCK_STEPS = 2**16

_paces: WeakKeyDictionary[Chosen, Pace] = WeakKeyDictionary()  # of the last run


def simulate(
    problem: Problem,
    backend: str | Chosen = "auto",
    device: int | None = None,
    progress: Progress = None,
) -> Result:
    """Run a problem on a backend, by name or as `registry.choose` gave it.

    Raises BackendUnavailable, NotEnoughMemory, and InvalidInput for a dtype that the backend
    hasn't, or a device beside a Chosen, which has its own.
    """
    began = perf_counter()
    if not isinstance(backend, Chosen):
        backend = registry.choose(backend, problem.dtype, device)
    elif device is not None:
        raise InvalidInput(f"{backend.entry.name!r} is chosen with its device; leave device out")
    elif problem.dtype:
        registry.refuse_dtype(backend.spec, problem.dtype)
    if problem.device_arrays and not backend.spec.capabilities.device_arrays:
        raise InvalidInput(
            f"backend {backend.entry.name!r} keeps nothing on a device; leave device_arrays out "
            "or choose a backend on a GPU"
        )
    problem = problem.with_dtype(problem.dtype or default_dtype(backend))
    recording = Recording(problem)
    max_steps = _max_steps(problem)
    unread = deque()
    step = problem.start_step
    with (
        reporter(progress) as report,
        np.errstate(all="ignore"),
        _prepared(backend.backend, problem, max_steps) as session,
    ):
        prepared = perf_counter()
        pace = Pace(problem.n_neurons, problem.n_steps, max_steps, _paces.get(backend))
        while step < problem.end_step or unread:
            while step < problem.end_step and len(unread) < 2:
                count = min(pace.steps, problem.end_step - step)
                unread.append((session.advance(count), recording.block(step, count), count))
                step += count
            block, recorded, count = unread.popleft()
            block.read(recorded)
            recording.collect(recorded)
            pace.took(count)
            report(1.0 - (problem.end_step - step + sum(c for *_, c in unread)) / problem.n_steps)
            pace.go_on()
        final_state = session.state()
        samples = session.device_samples() if problem.device_arrays else recording.samples
        ran = perf_counter()
    _paces[backend] = pace
    _warn_of_nonfinite(final_state, problem.dt)
    spikes = recording.spikes() if problem.spikes == "times" else None
    return Result(
        problem=problem,
        backend=backend.entry.name,
        backend_version=backend.entry.source,
        device=backend.backend.device,
        samples=dict(samples),
        spike_times=spikes,
        spike_counts=None if problem.spikes == "off" else recording.spike_count,
        final_state=final_state,
        timing=Timing(prepared - began, ran - prepared, perf_counter() - began),
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


def _warn_of_nonfinite(final_state: NDArray[Any], dt: float) -> None:
    if not np.isfinite([final_state.min(), final_state.max()]).all():  # both pass on a NaN
        lost = np.flatnonzero(~np.isfinite(final_state).all(axis=0))
        warn(
            f"{lost.size} of {final_state.shape[1]} neurons became NaN or infinite, the first "
            f"neuron {lost[0]}; dt={dt:g} ms may be too long for their currents and parameters"
        )
