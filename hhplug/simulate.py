"""The one loop: cut a run into blocks, keep the backend busy, collect what it recorded."""

import warnings
from collections import deque
from time import perf_counter
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from hhplug import registry
from hhplug.errors import InvalidInput
from hhplug.problem import DType, Problem
from hhplug.progress import Progress, reporter
from hhplug.recording import Recording
from hhplug.registry import Chosen
from hhplug.result import Result, Timing

BLOCK_BYTES = 2**26  # recorded by a block, and read by it of an array current; two are unread
BLOCK_STEPS = 2**16
BLOCK_SECONDS = 0.1  # of work aimed at, so that progress moves and Ctrl-C answers
FIRST_STEPS = 64  # before any speed is known
MOST_GROWTH = 128.0  # from one block to the next


def simulate(
    problem: Problem,
    backend: str | Chosen = "auto",
    device: int | None = None,
    progress: Progress = None,
) -> Result:
    """Run a problem on a backend, by name or as `registry.choose` gave it.

    Raises BackendUnavailable, NotEnoughMemory, and InvalidInput for a dtype that the backend
    hasn't.
    """
    began = perf_counter()
    if not isinstance(backend, Chosen):
        backend = registry.choose(backend, problem.dtype, device)
    if problem.device_arrays and not backend.spec.capabilities.device_arrays:
        raise InvalidInput(
            f"backend {backend.entry.name!r} keeps nothing on a device; leave device_arrays out "
            "or choose a backend on a GPU"
        )
    problem = problem.with_dtype(problem.dtype or default_dtype(backend))
    recording = Recording(problem)
    max_steps = _max_steps(problem)
    pace = _Pace(backend, problem, max_steps)
    unread = deque()
    step = problem.start_step
    with (
        reporter(progress) as report,
        np.errstate(all="ignore"),
        backend.backend.prepare(problem, max_steps) as session,
    ):
        prepared = perf_counter()
        pace.start()
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
        final_state = session.state()
        samples = session.device_samples() if problem.device_arrays else recording.samples
        pace.finish()
        ran = perf_counter()
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


def _max_steps(problem: Problem) -> int:
    """The longest block that keeps its samples and its rows of current within BLOCK_BYTES."""
    itemsize = np.dtype(problem.dtype).itemsize
    recorded = 0 if problem.device_arrays else len(problem.record)
    sample = itemsize * recorded * problem.n_recorded / problem.record_every
    array = problem.stimulus if isinstance(problem.stimulus, np.ndarray) else None
    row = array[0].nbytes if array is not None else 0
    fits = BLOCK_BYTES / max(sample, row, 1)
    return max(1, min(problem.n_steps, BLOCK_STEPS, int(fits)))


def _warn_of_nonfinite(final_state: NDArray[Any], dt: float) -> None:
    lost = np.flatnonzero(~np.isfinite(final_state).all(axis=0))
    if lost.size:
        warnings.warn(
            f"{lost.size} of {final_state.shape[1]} neurons became NaN or infinite, the first "
            f"neuron {lost[0]}; dt={dt:g} ms may be too long for their currents and parameters",
            RuntimeWarning,
            stacklevel=3,
        )


class _Pace:
    """How many steps make a block: as many as take BLOCK_SECONDS, found while running.

    The next run of the same Chosen begins with what a step of this one took.
    """

    _known: ClassVar[WeakKeyDictionary[Chosen, tuple[float, int]]] = (
        WeakKeyDictionary()
    )  # s, neurons

    def __init__(self, backend: Chosen, problem: Problem, max_steps: int):
        self._backend, self._problem, self._max_steps = backend, problem, max_steps
        self._began = self._last = 0.0
        n = problem.n_neurons
        seconds, of = self._known.get(backend, (BLOCK_SECONDS / FIRST_STEPS, n))
        # More neurons take longer, in proportion at most; fewer may take as long.
        self.steps = self._possible(BLOCK_SECONDS / (seconds * max(1.0, n / of)))

    def _possible(self, steps: float) -> int:
        return round(min(self._max_steps, max(1.0, steps)))

    def start(self) -> None:
        self._began = self._last = perf_counter()

    def took(self, count: int) -> None:
        """A block of count steps has been read since the last call."""
        now = perf_counter()
        change = min(MOST_GROWTH, max(0.25, BLOCK_SECONDS / max(now - self._last, 1e-9)))
        self.steps = self._possible(count * change)
        self._last = now

    def finish(self) -> None:
        """All blocks have been read."""
        seconds = (self._last - self._began) / self._problem.n_steps
        self._known[self._backend] = max(seconds, 1e-9), self._problem.n_neurons
