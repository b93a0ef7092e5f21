"""One run on several devices of a machine: a backend made of the backend opened on each of them.

Each device computes a part of the neurons, in a thread of its own, and writes what it records to
its columns of the whole run's arrays. All parts do the same blocks of steps, so that the core's
loop, its recorders and its stores deal with one session, and Ctrl-C stops all parts at one step.
"""

import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from threading import Barrier, BrokenBarrierError
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from hhplug.backend import (
    Backend,
    Block,
    OrderedSpikes,
    Recorded,
    Session,
    TimeArrays,
    new_time_arrays,
)
from hhplug.buffer_pool import BufferPool
from hhplug.errors import InvalidInput, NotEnoughMemory
from hhplug.problem import Problem
from hhplug.state import State

T = TypeVar("T")


class SeveralDevices(Backend):
    """A backend on several devices of one kind.

    backends: for each device its name in errors, and the backend opened on it. A device may be
        listed twice.
    """

    def __init__(self, backends: Sequence[tuple[str, Backend]]):
        self._backends = backends
        _, self._first = backends[0]
        self._parts: dict[int, _Part] = {}  # of the latest run, by the device's place
        self.device = f"{len(backends)} × {self._first.device}"
        self.result_memory.pin = self._first.result_memory.pin

    @property
    def kind(self) -> str:
        return self._first.kind

    def release_memory(self) -> None:
        for _, backend in self._backends:
            backend.release_memory()

    def prepare(self, problem: Problem, max_steps: int) -> Session:
        if problem.device_arrays:
            raise InvalidInput(
                "device_arrays leaves each variable on one device, and this run has "
                f"{len(self._backends)}; leave device_arrays out, or use one device, device=0"
            )
        return _Session(problem, self._backends, max_steps, self._parts, self.result_memory)


class _Session(Session):
    """The sessions of all parts, of which the devices' threads do the work."""

    def __init__(
        self,
        problem: Problem,
        backends: Sequence[tuple[str, Backend]],
        max_steps: int,
        parts: "dict[int, _Part]",
        results: BufferPool,
    ):
        self._problem, self._results = problem, results
        n, count = problem.n_neurons, min(problem.n_neurons, len(backends))
        self._devices: list[_Device] = []
        for i, (name, backend) in enumerate(backends[:count]):
            neurons = slice(i * n // count, (i + 1) * n // count)
            parts[i] = part = _Part.of(problem, neurons, parts.get(i))
            self._devices.append(_Device(name, backend, problem, part))
        try:
            _results(device.do(device.prepare, max_steps) for device in self._devices)
        except BaseException as error:
            self.__exit__(error)
            raise

    def advance(self, n_steps: int) -> Block:
        return _Block([(each, each.do(each.advance, n_steps)) for each in self._devices])

    def state(self) -> State:
        problem = self._problem
        shape = len(problem.membrane.states), problem.n_neurons
        variables = self._results.empty(shape, problem.dtype or "float64")
        states = _results(each.do(each.state_into, variables) for each in self._devices)
        carry = {
            name: np.concatenate([state.carry[name] for state in states], axis=-1)
            for name in states[0].carry
        }
        return State(variables, carry, all(state.known_finite for state in states))

    def ordered_spikes(
        self,
        counts: NDArray[np.int64] | None = None,
        times: TimeArrays | None = None,
        first_neuron: int = 0,
    ) -> OrderedSpikes:
        assert not first_neuron, "a run on several devices is no part of another"
        if counts is None:
            counts = self._results.empty((self._problem.n_neurons,), np.int64)
        times = times or partial(new_time_arrays, self._results)
        shared = _SharedTimes(len(self._devices), times)
        work = [
            each.do(each.ordered_spikes, counts, partial(shared.of, number), shared.abort)
            for number, each in enumerate(self._devices)
        ]
        errors = [error for error in map(Future.exception, work) if error]
        for error in sorted(errors, key=lambda error: isinstance(error, BrokenBarrierError)):
            raise error
        return OrderedSpikes(counts, shared.whole)

    def close(self) -> None:
        devices, self._devices = self._devices, []
        closing = [device.do(device.close) for device in devices]
        for device in devices:
            device.end()  # waits for what it does
        _results(closing)

    def __exit__(self, *exception: object) -> None:
        try:
            self.close()
        except Exception:
            if not any(exception):  # else that is raised, and a device that failed may fail again
                raise


class _Part(NamedTuple):
    """The problem of some of the neurons of a whole problem.

    If the next run has the same parameters or the same stimulus, its part gets the same objects as
    this one. A device recognises them, and doesn't upload them again.
    """

    neurons: slice
    problem: Problem
    whole: tuple[Any, Any]  # weak references to the parameters and the stimulus of all neurons

    @classmethod
    def of(cls, whole: Problem, neurons: slice, before: "_Part | None") -> "_Part":
        """The part of a problem. before: that of the run before, if there was one."""
        problem, given = whole.take(neurons), (whole.parameters, whole.given_stimulus)
        if before and before.neurons == neurons:
            same = [ref() is each for ref, each in zip(before.whole, given, strict=True)]
            problem = problem.with_equal(
                before.problem.parameters if same[0] else problem.parameters,
                before.problem.given_stimulus if same[1] else problem.given_stimulus,
            )
        return cls(neurons, problem, (weakref.ref(given[0]), weakref.ref(given[1])))


class _SharedTimes:
    """Arrays for the neurons and times of all spikes, once every device knows how many it has."""

    def __init__(self, n_devices: int, times: TimeArrays):
        self.whole: tuple[NDArray[np.int64], NDArray[np.float64]] | None = None
        self._times, self._n_spikes = times, np.zeros(n_devices, np.int64)
        self._all_know = Barrier(n_devices, self._make)

    def _make(self) -> None:
        self.whole = self._times(int(self._n_spikes.sum()))

    def of(self, number: int, n_spikes: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The part of the arrays that a device fills, which has so many spikes."""
        self._n_spikes[number] = n_spikes
        self._all_know.wait()
        assert self.whole
        end = int(self._n_spikes[: number + 1].sum())
        neuron, time = self.whole
        return neuron[end - n_spikes : end], time[end - n_spikes : end]

    def abort(self) -> None:
        """Let no device wait for one that has failed."""
        self._all_know.abort()


class _Block(Block):
    """The same steps of all parts, each with its device and the Block that its session returns."""

    def __init__(self, parts: "list[tuple[_Device, Future[Block]]]"):
        self._parts = parts

    def read(self, out: Recorded) -> None:
        for found in _results(device.do(device.read, block, out) for device, block in self._parts):
            out.spikes += found.spikes
            out.n_kept_spikes += found.n_kept_spikes
            out.invalid += found.invalid


class _Found(NamedTuple):
    """Spikes and invalid neurons of one block, by their numbers in the whole run."""

    spikes: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]
    invalid: list[tuple[NDArray[Any], NDArray[Any]]]
    n_kept_spikes: int


class _Device:
    """A device, its part of the neurons, and the thread that does all its work in order.

    name: as users see it. whole: the problem of which the part is computed.
    """

    def __init__(self, name: str, backend: Backend, whole: Problem, part: _Part):
        self._name, self._backend = name, backend
        self._part, self._problem = part.neurons, part.problem
        self._columns = _columns(whole, part.neurons)
        self._thread = ThreadPoolExecutor(1, f"hhplug {name}")
        self._session: Session | None = None

    def do(self, work: Callable[..., T], *arguments: Any) -> "Future[T]":
        """Enqueue one of the methods below. Its errors say which device they are of."""
        return self._thread.submit(self._done, work, arguments)

    def _done(self, work: Callable[..., T], arguments: tuple[Any, ...]) -> T:
        note = f"This was raised on {self._name}."
        try:
            with np.errstate(all="ignore"):  # each thread has its own
                return work(*arguments)
        except Exception as error:
            if note in getattr(error, "__notes__", ()):  # reading a block, which wasn't enqueued
                raise
            if isinstance(error, NotEnoughMemory):
                error = NotEnoughMemory(f"{self._name}: {error.needs}", error.advice)
            error.add_note(note)
            raise error

    def prepare(self, max_steps: int) -> None:
        self._step = self._problem.start_step
        self._session = self._backend.prepare(self._problem, max_steps)

    def advance(self, n_steps: int) -> Block:
        assert self._session
        self._step += n_steps
        return self._session.advance(n_steps)

    def read(self, block: "Future[Block]", out: Recorded) -> _Found:
        """Read a block into the part's columns of the arrays of the whole run's block."""
        columns, samples = self._columns, {}
        for name, array in out.samples.items():
            if isinstance(columns, slice):
                samples[name] = array[:, columns]
            else:
                samples[name] = np.empty((len(array), len(columns)), array.dtype)
        features = out.features.of(self._part) if out.features is not None else None
        count = out.spike_count[self._part]
        recorded = Recorded(self._problem, samples, count, features=features)
        block.result().read(recorded)
        if not isinstance(columns, slice):
            for name, array in out.samples.items():
                array[:, columns] = samples[name]
        return _Found(
            [
                (self._in_whole(neuron), step, fraction)
                for neuron, step, fraction in recorded.spikes
            ],
            [(self._in_whole(neuron), step) for neuron, step in recorded.invalid],
            recorded.n_kept_spikes,
        )

    def _in_whole(self, neuron: NDArray[Any]) -> NDArray[np.int64]:
        """The indices in the whole run of neurons of the part, in int64, so that none overflows."""
        return np.add(neuron, self._part.start, dtype=np.int64, casting="unsafe")

    def state_into(self, variables: NDArray[Any]) -> State:
        """The part's state, whose variables are written to its columns."""
        assert self._session
        state = self._session.state_into(variables[:, self._part])
        carry = {**self._problem.current.carry(self._step, state.carry), **state.carry}
        return replace(state, carry=carry)

    def ordered_spikes(
        self, counts: NDArray[np.int64], times: TimeArrays, abort: Callable[[], None]
    ) -> None:
        """Fill the part of the counts and of the arrays of times. abort: called if that fails."""
        assert self._session
        try:
            self._session.ordered_spikes(counts[self._part], times, self._part.start)
        except BaseException:
            abort()
            raise

    def close(self) -> None:
        if self._session:
            self._session.close()

    def end(self) -> None:
        """End the thread when everything enqueued is done."""
        self._thread.shutdown()


def _columns(whole: Problem, part: slice) -> "slice | NDArray[np.int64]":
    """The recorded columns of a part's neurons: a slice unless others are between them."""
    if whole.record_neurons is None:
        return part
    inside = (part.start <= whole.record_neurons) & (whole.record_neurons < part.stop)
    columns = np.flatnonzero(inside)
    if not columns.size:
        return slice(0)
    first, last = int(columns[0]), int(columns[-1])
    return slice(first, last + 1) if last - first == len(columns) - 1 else columns


def _results(work: "Iterable[Future[T]]") -> list[T]:
    """The results of all devices, or the first error as soon as there is one."""
    futures: Sequence[Future[T]] = list(work)
    wait(futures, return_when=FIRST_EXCEPTION)
    for future in filter(Future.done, futures):
        future.result()
    return [future.result() for future in futures]
