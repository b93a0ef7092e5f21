"""What a run needs before its first step: its precision, its longest block, and its session."""

from collections.abc import Sequence

import numpy as np

from hhplug.backend import Backend, Session
from hhplug.errors import InvalidInput, NotEnoughMemory
from hhplug.plugins import choice
from hhplug.plugins.choice import OpenedBackend
from hhplug.problem import DType, Problem

# Largest size of a block's samples, of which a device holds two blocks; with 64 MB a run on an H100
# brings 16 GB/s to the host, with 256 MB 23 GB/s.
SAMPLE_BYTES = 2**28
# Largest size of the rows that a block reads of an array stimulus. Two blocks are in memory.
ROW_BYTES = 2**26
BLOCK_STEPS = 2**16  # most steps of a block


def problem_for(problem: Problem, opened: OpenedBackend) -> Problem:
    """The problem with the dtype in which the backend computes it.

    Raises InvalidInput for a membrane, a method or a dtype that the backend doesn't have.
    """
    choice.refuse_membrane(opened.spec, problem.membrane)
    choice.refuse_method(opened.spec, problem.method)
    return problem.with_dtype(_run_dtype(problem, opened))


def _run_dtype(problem: Problem, opened: OpenedBackend) -> DType:
    """The problem's dtype, or float64 if that is float32 and the backend has no float32.

    Raises InvalidInput if the problem is in float64 and the backend has no float64.
    """
    dtypes = opened.spec.capabilities.dtypes
    if problem.dtype is None:
        return default_dtype(dtypes)
    if problem.dtype in dtypes:
        return problem.dtype
    if "float64" in dtypes:
        return "float64"
    raise InvalidInput(
        f"backend {opened.entry.name!r} computes in {' and '.join(dtypes)}, and the problem is in "
        f"{problem.dtype}; use problem.with_dtype({dtypes[0]!r}), or choose another backend"
    )


def default_dtype(dtypes: Sequence[DType]) -> DType:
    """float32 if a backend has it, else the first dtype that it has."""
    return "float32" if "float32" in dtypes else dtypes[0]


def noise_from(given: Problem) -> str:
    """Who computes the noise of a problem that a backend is given, as a Result says it."""
    if given.current.noise:
        return "backend"
    return "core" if given.given_stimulus.seeds else ""


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


def max_steps_of(problem: Problem, sample_bytes: int = SAMPLE_BYTES) -> int:
    """Steps of the longest block whose samples and rows of current are within their bounds."""
    itemsize = np.dtype(problem.dtype).itemsize
    recorded = 0 if problem.device_arrays else len(problem.record)
    sample = itemsize * recorded * problem.n_recorded / problem.record_every
    rows = problem.current.bytes_per_step(itemsize)
    fits = min(sample_bytes / max(sample, 1), ROW_BYTES / max(rows, 1))
    return max(1, min(problem.n_steps, BLOCK_STEPS, int(fits)))
