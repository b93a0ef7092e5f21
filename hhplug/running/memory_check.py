"""Whether the arrays of a run fit into the free memory, and what would fit instead."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from hhplug.buffer_pool import BufferPool
from hhplug.errors import NotEnoughMemory
from hhplug.machine import free_memory
from hhplug.membranes.squid import squid
from hhplug.problem import Problem

MEMORY_SHARE = 0.95  # largest share of the free memory that a run may take
# Numbers per neuron and state that the Numba backend holds besides samples and spikes. The others
# hold fewer.
ROWS = 10
GAIN_ROWS = 3  # numbers per amplitude that it holds
# A run of fewer bytes isn't checked, since reading the free memory takes 0.3 ms in a container.
UNCHECKED_BYTES = 2**24

_own_share: ContextVar[float] = ContextVar("_own_share", default=1.0)  # see share_of_memory


def most_neurons() -> int:
    """The largest number of squid neurons whose states in float32 fit into the free memory."""
    return free_memory() // (ROWS * len(squid.states) * np.dtype(np.float32).itemsize)


def refuse_too_large(problem: Problem, shape: tuple[int, int], pool: BufferPool) -> None:
    """Raise NotEnoughMemory if the run needs more than is free. The error proposes arguments.

    shape: (samples, recorded neurons) of each recorded variable.
    """
    itemsize = np.dtype(problem.dtype).itemsize
    separable = problem.current.separable
    amplitudes = sum(map(np.size, separable.gains)) if separable else 0
    rows = ROWS * len(problem.membrane.states)
    states = (rows * problem.n_neurons + GAIN_ROWS * amplitudes) * itemsize
    recorded = 0 if problem.device_arrays else len(problem.record)
    sample = itemsize * recorded * shape[1]
    if states + sample * shape[0] < UNCHECKED_BYTES:
        return
    free = free_for(states + sample * shape[0], pool)
    room = free * MEMORY_SHARE
    if states > room:
        raise NotEnoughMemory(
            f"the states of {problem.n_neurons:,} neurons need {size_text(states)}, "
            f"and {size_text(free)} is free",
            "a smaller batch_size",
        )
    for_states = f" beside {size_text(states)} for the neurons" if sample * shape[0] <= room else ""
    room -= states
    if sample * shape[0] <= room:
        return
    advice = ["record=() for spikes alone"]
    if shape[1] > 1:
        advice.insert(0, "record_neurons for some of them")
    for every in _round_numbers(problem.n_steps):
        kept = sample * -(-problem.n_steps // every)
        if kept <= room:
            advice.insert(0, f"record_every={every} ({size_text(kept)})")
            break
    raise NotEnoughMemory(
        f"{_described(problem)} needs {size_text(sample * shape[0])}{for_states}, "
        f"and {size_text(free)} is free",
        _listed(advice, "or"),
    )


@contextmanager
def share_of_memory(share: float) -> Iterator[None]:
    """Context manager: runs in it take this share of the memory that they would take otherwise.

    It is for processes and threads that run on one machine at the same time.
    """
    token = _own_share.set(share)
    try:
        yield
    finally:
        _own_share.reset(token)


def _own_free_memory() -> int:
    return int(free_memory() * _own_share.get())


def free_for(needed: float, pool: BufferPool) -> int:
    """Free memory in bytes. The pool is released first if the rest is too little."""
    free = _own_free_memory()
    if needed > free * MEMORY_SHARE:
        pool.release()
        free = _own_free_memory()
    return free


def _described(problem: Problem) -> str:
    every = "every step" if problem.record_every == 1 else f"every {problem.record_every} steps"
    return (
        f"recording {_listed(problem.record, 'and')} {every} of {problem.n_recorded:,} neurons "
        f"for {problem.n_steps:,} steps"
    )


def _listed(words: Sequence[str], last: str) -> str:
    return f" {last} ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _round_numbers(most: int) -> Iterator[int]:
    """1, 2, 5, 10, 20, 50, … up to most."""
    scale = 1
    while scale <= most:
        yield from (digit * scale for digit in (1, 2, 5) if digit * scale <= most)
        scale *= 10


def size_text(count: float) -> str:
    """A number of bytes for a message, for example "1.5 GB"."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
