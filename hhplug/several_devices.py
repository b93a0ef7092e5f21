"""One run on several devices of a machine: a backend made of the backend opened on each of them.

Each device computes a part of the neurons, and writes what it records to its columns of the whole
run's arrays. All parts do the same blocks of steps, so that the core's loop, its recorders and its
stores deal with one session, and Ctrl-C stops all parts at one step.
"""

import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from hhplug.backend import (
    Backend,
    Block,
    EndArrays,
    OrderedSpikes,
    Recorded,
    Session,
    new_time_arrays,
)
from hhplug.buffer_pool import BufferPool
from hhplug.errors import ContractViolation, InvalidInput, NotEnoughMemory
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
        self.n_devices = len(backends)
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
    """The sessions of all parts.

    What only enqueues work, or copies little, is done by the calling thread, for one device after
    the other: threads that all need Python wait for each other longer than that takes. What copies
    much is done for all devices at once.
    """

    def __init__(
        self,
        problem: Problem,
        backends: Sequence[tuple[str, Backend]],
        max_steps: int,
        parts: "dict[int, _Part]",
        results: BufferPool,
    ):
        self._problem, self._results = problem, results
        self._step = problem.start_step
        self._variables: NDArray[Any] | None = None  # for the state at the run's end
        n, count = problem.n_neurons, min(problem.n_neurons, len(backends))
        self._devices: list[_Device] = []
        self._threads = ThreadPoolExecutor(max(1, count - 1), "hhplug devices")
        self._spikes: OrderedSpikes | None = None
        uploaded = True  # whether the devices have what depends on parameters and stimulus
        for i, (name, backend) in enumerate(backends[:count]):
            neurons = slice(i * n // count, (i + 1) * n // count)
            part, known = _Part.of(problem, neurons, parts.get(i))
            parts[i], uploaded = part, uploaded and known
            self._devices.append(_Device(name, backend, problem, part))
        each = self._in_turn if uploaded and _starts_alike(problem) else self._at_once
        try:
            each([partial(device.prepare, max_steps) for device in self._devices])
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise

    def advance(self, n_steps: int) -> Block:
        each = self._at_once if self._problem.current.array else self._in_turn  # rows to upload
        blocks = each([partial(device.advance, n_steps) for device in self._devices])
        problem = self._problem
        self._step += n_steps
        if self._step == problem.end_step:
            self._variables = self._new_variables()
        # Of a backend that keeps spikes until the end, reading a block without samples copies flags
        # alone. Others may even compute a block when it is read.
        little = problem.ordered_spikes and not problem.record and not problem.features
        each = self._in_turn if little else self._at_once
        parts = list(zip(self._devices, blocks, strict=True))
        return _Block(each, parts, self._variables)

    def state(self) -> State:
        problem, new = self._problem, self._results.empty
        variables = self._new_variables() if self._variables is None else self._variables
        self._variables = counts = times = None
        if problem.ordered_spikes:
            counts = new((problem.n_neurons,), np.int64)
            if problem.spikes == "times":
                times = new_time_arrays(self._results, sum(d.n_spikes for d in self._devices))
            self._spikes = OrderedSpikes(counts, times)
        begun, first = [], 0
        for device in self._devices:
            begun.append(device.end_into(variables, counts, times, first))
            first += device.n_spikes
        states = self._at_once(begun)
        carry = {
            name: self._side_by_side([state.carry[name] for state in states])
            for name in states[0].carry
        }
        return State(variables, carry, all(state.known_finite for state in states))

    def _new_variables(self) -> NDArray[Any]:
        shape = len(self._problem.membrane.states), self._problem.n_neurons
        return self._results.empty(shape, self._problem.dtype or "float64")

    def _side_by_side(self, parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """One array of what all parts carry, (…, n)."""
        shape = *parts[0].shape[:-1], self._problem.n_neurons
        whole = self._results.empty(shape, parts[0].dtype)
        places = (whole[..., device.neurons] for device in self._devices)
        self._at_once([partial(np.copyto, *each) for each in zip(places, parts, strict=True)])
        return whole

    def ordered_spikes(self) -> OrderedSpikes:
        assert self._spikes, "state() comes before"
        return self._spikes

    def _in_turn(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Make the calls one after another; return their results."""
        return [call() for call in calls]

    def _at_once(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Make the calls in a thread each, the last of them in this one; return their results.

        Raises the first error that is known when this thread's call is done, or as soon as there is
        one. `close` waits for the other calls.
        """
        *others, own = calls
        futures = [self._threads.submit(call) for call in others]
        result = own()
        wait(futures, return_when=FIRST_EXCEPTION)
        for future in filter(Future.done, futures):
            future.result()
        return [*(future.result() for future in futures), result]

    def close(self) -> None:
        self.__exit__(None, None, None)

    def __exit__(self, *exception: Any) -> None:
        """Close the sessions. Only the first error is raised, and none after an exception."""
        self._threads.shutdown(cancel_futures=True)  # waits for what they do
        devices, self._devices = self._devices, []
        errors = []
        for device in devices:
            try:
                device.close(*exception)
            except Exception as error:  # a device that failed may fail again
                errors.append(error)
        if errors and not any(exception):
            raise errors[0]


def _starts_alike(problem: Problem) -> bool:
    """Whether all neurons begin in one state, and no more is uploaded of each one."""
    start = problem.initial
    return not start.variables.strides[1] and not start.carry and problem.record_neurons is None


class _Part(NamedTuple):
    """The problem of some of the neurons of a whole problem.

    If the next run has the same parameters or the same stimulus, its part gets the same objects as
    this one. A device recognises them, and doesn't upload them again.
    """

    neurons: slice
    problem: Problem
    whole: tuple[Any, Any]  # weak references to the parameters and the stimulus of all neurons

    @classmethod
    def of(cls, whole: Problem, neurons: slice, before: "_Part | None") -> "tuple[_Part, bool]":
        """The part of a problem, and whether parameters and stimulus are those of the run before.

        before: the part of that run, if there was one.
        """
        problem, given = whole.take(neurons), (whole.parameters, whole.given_stimulus)
        same = [False, False]
        if before and before.neurons == neurons:
            same = [ref() is each for ref, each in zip(before.whole, given, strict=True)]
            problem = problem.with_equal(
                before.problem.parameters if same[0] else problem.parameters,
                before.problem.given_stimulus if same[1] else problem.given_stimulus,
            )
        return cls(neurons, problem, (weakref.ref(given[0]), weakref.ref(given[1]))), all(same)


class _Block(Block):
    """The same steps of all parts, each with its device and the Block that its session returned.

    each: makes calls, in turn or at once.
    end: where the variables of the state go, if the run ends with this block.
    """

    def __init__(
        self,
        each: "Callable[[Sequence[Callable[[], _Found]]], list[_Found]]",
        parts: "list[tuple[_Device, Block]]",
        end: NDArray[Any] | None,
    ):
        self._each, self._parts, self._end = each, parts, end

    def read(self, out: Recorded) -> None:
        if self._end is not None:
            for device, _ in self._parts:
                device.begin_state(self._end)
        for found in self._each(
            [partial(device.read, block, out) for device, block in self._parts]
        ):
            out.spikes += found.spikes
            out.n_kept_spikes += found.n_kept_spikes
            out.invalid += found.invalid


class _Found(NamedTuple):
    """Spikes and invalid neurons of one block, by their numbers in the whole run."""

    spikes: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]
    invalid: list[tuple[NDArray[Any], NDArray[Any]]]
    n_kept_spikes: int


class _Device:
    """A device and its part of the neurons. The errors of its methods say which device it is.

    name: as users see it. whole: the problem of which the part is computed.
    """

    def __init__(self, name: str, backend: Backend, whole: Problem, part: _Part):
        self._name, self._backend = name, backend
        self.neurons, self._problem = part.neurons, part.problem
        self._columns = _columns(whole, part.neurons)
        self._session: Session | None = None
        self._step = part.problem.start_step
        self.n_spikes = 0  # of the blocks that were read, whose times are kept until the end

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Say in an error on which device it was raised."""
        try:
            with np.errstate(all="ignore"):  # each thread has its own
                yield
        except Exception as error:
            if isinstance(error, NotEnoughMemory):
                error = NotEnoughMemory(f"{self._name}: {error.needs}", error.advice)
            error.add_note(f"This was raised on {self._name}.")
            raise error

    def prepare(self, max_steps: int) -> None:
        with self._named():
            self._session = self._backend.prepare(self._problem, max_steps)

    def advance(self, n_steps: int) -> Block:
        assert self._session
        with self._named():
            self._step += n_steps
            return self._session.advance(n_steps)

    def read(self, block: Block, out: Recorded) -> _Found:
        """Read a block into the part's columns of the arrays of the whole run's block."""
        columns, samples = self._columns, {}
        for name, array in out.samples.items():
            if isinstance(columns, slice):
                samples[name] = array[:, columns]
            else:
                samples[name] = np.empty((len(array), len(columns)), array.dtype)
        features = out.features.of(self.neurons) if out.features is not None else None
        count = out.spike_count[self.neurons]
        recorded = Recorded(self._problem, samples, count, features=features)
        with self._named():
            block.read(recorded)
        if not isinstance(columns, slice):
            for name, array in out.samples.items():
                array[:, columns] = samples[name]
        self.n_spikes += recorded.n_kept_spikes
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
        return np.add(neuron, self.neurons.start, dtype=np.int64, casting="unsafe")

    def begin_state(self, variables: NDArray[Any]) -> None:
        """Begin to write the part's state to its place in the array for all neurons."""
        assert self._session
        with self._named():
            self._session.begin_state(variables[:, self.neurons])

    def end_into(
        self,
        variables: NDArray[Any],
        counts: NDArray[np.int64] | None,
        times: tuple[NDArray[np.int64], NDArray[np.float64]] | None,
        first_spike: int,
    ) -> Callable[[], State]:
        """Begin to write the part's state and spikes to its places in the arrays for all neurons.

        first_spike: place of the part's first spike. The function that is returned waits, and
        returns the part's state.
        """
        assert self._session
        end, part = first_spike + self.n_spikes, self.neurons

        def part_of_times(n_spikes: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
            assert times
            if n_spikes != self.n_spikes:
                raise ContractViolation(
                    f"the blocks kept {self.n_spikes} spikes, but at the end there are {n_spikes}"
                )
            return times[0][first_spike:end], times[1][first_spike:end]

        arrays = EndArrays(
            variables[:, part],
            None if counts is None else counts[part],
            part_of_times if times else None,
            part.start,
        )
        with self._named():
            return partial(self._end, self._session.end_into(arrays))

    def _end(self, finish: Callable[[], State]) -> State:
        with self._named():
            state = finish()
            carry = {**self._problem.current.carry(self._step, state.carry), **state.carry}
            return replace(state, carry=carry)

    def close(self, *exception: Any) -> None:
        if self._session:
            with self._named():
                self._session.__exit__(*exception)


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
