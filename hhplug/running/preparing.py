"""What a run needs before its first step: its precision, its longest block, and its session."""

import numpy as np

from hhplug.backend import Backend, Session
from hhplug.currents.stimulus import Stimulus
from hhplug.errors import InvalidInput, NotEnoughMemory
from hhplug.plugins.choice import OpenedBackend
from hhplug.problem import DType, Problem

# Largest size of a block's samples, and of the rows that it reads of an array stimulus. Two blocks
# are in memory at a time.
BLOCK_BYTES = 2**26
BLOCK_STEPS = 2**16  # most steps of a block


def run_dtype(problem: Problem, opened: OpenedBackend) -> DType:
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


def noise_from(given: Problem) -> str:
    """Who computes the noise of a problem that a backend is given, as a Result says it."""
    if given.current.noise:
        return "backend"
    return "core" if isinstance(given.stimulus, Stimulus) and given.stimulus.seeds else ""


def prepared_session(backend: Backend, problem: Problem, max_steps: int) -> Session:
    """The session of a problem. Raises NotEnoughMemory for any MemoryError."""
    try:
        return backend.prepare(problem, max_steps)
    except NotEnoughMemory:
        raise
    except MemoryError as error:
        raise NotEnoughMemory(
            f"no room for {problem.n_neurons:,} neurons: {error}", "a smaller batch_size"
        ) from error


def max_steps_of(problem: Problem) -> int:
    """Steps of the longest block whose samples and rows of current are each within BLOCK_BYTES."""
    itemsize = np.dtype(problem.dtype).itemsize
    recorded = 0 if problem.device_arrays else len(problem.record)
    sample = itemsize * recorded * problem.n_recorded / problem.record_every
    fits = BLOCK_BYTES / max(sample, problem.current.bytes_per_step(itemsize), 1)
    return max(1, min(problem.n_steps, BLOCK_STEPS, int(fits)))
