"""The arrays that a run fills: samples, spike counts, spike times."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug.backend import Recorded
from hhplug.errors import ContractViolation, NotEnoughMemory
from hhplug.machine import free_memory
from hhplug.problem import Problem
from hhplug.results.spikes import Arrays, Spikes
from hhplug.running.buffer_pool import BufferPool

MEMORY_SHARE = 0.95  # largest share of the free memory that a run may take
# The numbers that Numba holds for each neuron, without samples and spikes. It needs the most.
ROWS = 40
GAIN_ROWS = 3  # numbers that it holds for each amplitude
# Bytes up to which a run isn't compared with the free memory, which takes 0.3 ms in a container.
UNASKED = 2**24
SPIKE_BYTES = 36  # bytes; the most that one spike takes, which is while they are sorted


class Recording:
    """The arrays of one run's result, which the backend fills block by block.

    Raises NotEnoughMemory, before anything is allocated, if the samples don't fit. The memory of
    the samples comes from the pool.
    """

    def __init__(self, problem: Problem, pool: BufferPool | None = None):
        self._problem = problem
        self._pool = pool or BufferPool()
        self.steps = problem.sample_steps(problem.start_step, problem.n_steps)
        shape = (len(self.steps), problem.n_recorded)
        _refuse_too_large(problem, shape, self._pool)
        try:
            names = () if problem.device_arrays else problem.record
            self.samples = {
                name: self._pool.empty(shape, np.dtype(problem.dtype)) for name in names
            }
            self.spike_count = np.zeros(problem.n_neurons, np.int64)
        except (MemoryError, ValueError) as error:  # ValueError: larger than the address space
            raise NotEnoughMemory(
                f"no room for {shape[0]:,} samples of {problem.n_neurons:,} neurons: {error}"
            ) from error
        # Sorting by (neuron << step_bits) + step sorts spikes by neuron, then by step.
        self._step_bits = (problem.n_steps - 1).bit_length()
        self._spikes: list[tuple[NDArray[np.int64], NDArray[np.floating]]] = []
        self._n_spikes = 0

    def block(self, first: int, count: int) -> Recorded:
        """Views of the arrays for the samples and spikes of steps first ≤ k < first + count."""
        steps = self._problem.sample_steps(first, count)
        row = (steps.start - self.steps.start) // self.steps.step
        rows = slice(row, row + len(steps))
        samples = {name: array[rows] for name, array in self.samples.items()}
        return Recorded(self._problem, samples, self.spike_count)

    def collect(self, block: Recorded) -> None:
        """Keep the spikes that a backend added to a block.

        Raises NotEnoughMemory if all spikes of the run so far don't fit.
        """
        if not block.spikes:
            return
        neuron, step, fraction = map(_joined, zip(*block.spikes, strict=True))
        key = neuron.astype(np.int64)
        key <<= self._step_bits
        key += step.astype(np.int64, copy=False)
        key -= self._problem.start_step
        self._spikes.append((key, fraction))
        self._n_spikes += len(key)
        needed = self._n_spikes * (SPIKE_BYTES - key.itemsize - fraction.itemsize)  # bytes more
        if needed > 2**28 and needed > (free := _free_for(needed, self._pool)):
            raise NotEnoughMemory(
                f"{self._n_spikes:,} spike times so far, and {_size(free)} is free",
                "spikes='counts', or shorter runs, each with resume=result of the one before",
            )

    def spikes(self, valid: NDArray[np.bool_]) -> Spikes:
        """All spikes, which are sorted when they are first read.

        Raises ContractViolation if the backend counted more or fewer spikes than it timed.
        """
        counted = int(self.spike_count.sum())
        if counted != self._n_spikes:
            raise ContractViolation(
                f"the backend counted {counted} spikes but gave the times of {self._n_spikes}"
            )
        return Spikes.unsorted(self._in_order, valid)

    def _in_order(self) -> Arrays:
        """Neuron and time (ms) of each spike, sorted. It can be called only once."""
        key = _joined([key for key, _ in self._spikes] or [np.zeros(0, np.int64)])
        fraction = _joined([f for _, f in self._spikes] or [np.zeros(0)])
        self._spikes.clear()
        fraction = fraction[_sort(key, self._problem.n_neurons << self._step_bits)]
        neuron = key >> self._step_bits
        key &= (1 << self._step_bits) - 1
        key += self._problem.start_step
        time = np.add(key, fraction, dtype=np.float64)
        time *= self._problem.dt
        return neuron, time


class FirstRows:
    """The first rows of an array on a device that may not support slices."""

    def __init__(self, array: Any, rows: int):
        self._array = array
        self.shape, self.dtype = (rows, *array.shape[1:]), array.dtype

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return self._array.__cuda_array_interface__ | {"shape": self.shape}

    def get(self) -> NDArray[Any]:
        """A copy as a NumPy array."""
        return self._array.get()[: self.shape[0]]


def first_rows(array: Any, rows: int) -> Any:
    """The first rows of a recorded variable, without a copy, on the host or on a device."""
    if isinstance(array, np.ndarray) or hasattr(array, "cpu"):  # a PyTorch tensor
        return array[:rows]
    return FirstRows(array, rows)


def _joined(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """The arrays one after another; a single one isn't copied."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _sort(key: NDArray[np.int64], end: int) -> NDArray[np.int64]:
    """Sort keys, 0 ≤ key < end, in place, and return the index that each had before.

    Each key is combined with its index in one integer, since sorting those takes at most half the
    time of argsort.
    """
    bits = len(key).bit_length()
    if end << bits > 2**63:  # key and index don't fit into an int64
        order = np.argsort(key)
        key[:] = key[order]
        return order
    order = np.arange(len(key))
    key <<= bits
    key |= order
    key.sort()
    np.bitwise_and(key, (1 << bits) - 1, out=order)
    key >>= bits
    return order


def most_neurons() -> int:
    """The largest number of neurons whose states in float32 fit into the free memory."""
    return free_memory() // (ROWS * np.dtype(np.float32).itemsize)


def _refuse_too_large(problem: Problem, shape: tuple[int, int], pool: BufferPool) -> None:
    """Raise NotEnoughMemory, with arguments that would fit, if the run needs more than is free."""
    itemsize = np.dtype(problem.dtype).itemsize
    separable = problem.current.separable
    amplitudes = separable.gain.size if separable else 0
    states = (ROWS * problem.n_neurons + GAIN_ROWS * amplitudes) * itemsize
    recorded = 0 if problem.device_arrays else len(problem.record)
    sample = itemsize * recorded * shape[1]
    if states + sample * shape[0] < UNASKED:
        return
    free = _free_for(states + sample * shape[0], pool)
    room = free * MEMORY_SHARE
    if states > room:
        raise NotEnoughMemory(
            f"the states of {problem.n_neurons:,} neurons need {_size(states)}, "
            f"and {_size(free)} is free",
            "a smaller batch_size",
        )
    for_states = f" beside {_size(states)} for the neurons" if sample * shape[0] <= room else ""
    room -= states
    if sample * shape[0] <= room:
        return
    advice = ["record=() for spikes alone"]
    if shape[1] > 1:
        advice.insert(0, "record_neurons for some of them")
    for every in _round_numbers(problem.n_steps):
        kept = sample * -(-problem.n_steps // every)
        if kept <= room:
            advice.insert(0, f"record_every={every} ({_size(kept)})")
            break
    raise NotEnoughMemory(
        f"{_described(problem)} needs {_size(sample * shape[0])}{for_states}, "
        f"and {_size(free)} is free",
        _listed(advice, "or"),
    )


def _free_for(needed: float, pool: BufferPool) -> int:
    """Free memory in bytes. The pool is released first if the rest is too little."""
    free = free_memory()
    if needed > free * MEMORY_SHARE:
        pool.release()
        free = free_memory()
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


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
