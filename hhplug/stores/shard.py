"""One shard of a store: its problem, its cells, and the commits from which it goes on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.errors import ContainsArrayError

from hhplug.errors import ContractViolation, InvalidInput, warn
from hhplug.problem import Problem
from hhplug.results import packing
from hhplug.results.feature_values import feature_values
from hhplug.results.outcome import Outcome
from hhplug.results.timing import Timing
from hhplug.state import State
from hhplug.stores.arrays import create, files, find, pieces, put, read, values_of, write
from hhplug.stores.faults import ANEW, damage_in_words, loss_in_words
from hhplug.stores.store import FEATURES_GROUP, RunStore, appears, describe
from hhplug.validity import Invalid, invalid_neurons

ORIGIN = {
    "backend": "backend",
    "backend_version": "version of the backend",
    "device": "device",
    "hhplug": "version of hhplug",
    "noise_from": "source of noise",
}
"""What must be the same when a shard goes on, for equal bits, and how a message calls it."""

SPIKE_ARRAYS = {
    "neuron": {"long_name": "index of the neuron", "instance_dimension": "all_neurons"},
    "time": {"units": "ms", "long_name": "time of the spike"},
}
"""The arrays of spikes and their attributes. `instance_dimension` is CF's for a ragged array."""


@dataclass(frozen=True)
class Committed:
    """What a shard has computed, as of its last commit."""

    segments: int
    state: State  # after them
    spike_count: NDArray[np.int64]  # (n,)
    invalid: Invalid
    timing: Timing  # of all runs that took part
    written: datetime  # UTC


class Shard:
    """A shard of a store. Its owner writes cells in order and commits now and then.

    Everything that an owner writes is a function of the cell alone, apart from times. Two owners
    of one shard therefore compute it twice, and neither spoils what the other wrote.
    """

    def __init__(self, store: RunStore, number: int):
        self.store, self.number = store, number
        self.neurons = store.grid.neurons(number)
        self._folder = f"shards/{number:06}"
        self._begun = f"{self._folder}/begun"  # an empty group, made when the problem is written
        self._known = 0  # segments that this owner knows to be committed
        self._alone = True

    @property
    def problem(self) -> Problem:
        """The problem, as it was when the shard began. Its arrays are read."""
        described = {**self.store.problem, "batch_size": self.neurons.stop - self.neurons.start}
        arrays = {name: values_of(self._stored(name)) for name in self._attributes["arrays"]}
        return packing.unpack(described, arrays)

    @property
    def origin(self) -> Mapping[str, str]:
        """The backend, device and versions that compute the shard, which has begun."""
        return self._attributes["origin"]

    @property
    def _attributes(self) -> dict[str, Any]:
        """The origin and the names of the problem's arrays."""
        path = self.store.path / self._begun
        with damage_in_words(path):
            if not self._has_begun:
                raise InvalidInput(f"{path} is missing; {ANEW}")
            found = zarr.open_group(self.store.zarr, path=self._begun, mode="r").attrs
            return {name: found[name] for name in ("origin", "arrays")}

    @property
    def _has_begun(self) -> bool:
        return (self.store.path / self._begun / "zarr.json").exists()

    def begin(self, problem: Problem, origin: Mapping[str, str]) -> Committed | None:
        """Write the problem, or check that it is the one with which the shard began.

        Returns the last commit, or None. Raises InvalidInput for another problem than the store's
        or the shard's, and for another backend, kind of device or version than the shard's.
        """
        arrays, path, shown = self._arrays_of(problem), self.store.path, self._shown()
        if not shown and not self._has_begun:
            with loss_in_words(path, "is kept, and the same call goes on"):
                if self._write_problem(problem, arrays, origin):
                    return None
        for name, called in ORIGIN.items():
            if (before := self.origin[name]) != origin[name]:
                raise InvalidInput(
                    f"{path} was begun with the {called} {before}, and this is {origin[name]}; go "
                    "on with that one, since others give other bits, or name a new store"
                )
        self._refuse_other_arrays(arrays)
        committed = self.committed()
        self._known = committed.segments if committed else 0
        if self._shown() < self._known:  # the process ended between these two writes
            self._show()
        return committed

    def refuse_other(self, problem: Problem) -> None:
        """Raise InvalidInput for another problem than that with which the shard began."""
        self._refuse_other_arrays(self._arrays_of(problem))

    def _arrays_of(self, problem: Problem) -> packing.Arrays:
        """The arrays of a problem, or InvalidInput if the rest of it isn't the store's."""
        described, arrays = describe(problem)
        for name in dict.fromkeys([*self.store.problem, *described]):
            stored, given = (values.get(name) for values in (self.store.problem, described))
            _refuse_other(self.store.path, name, stored, given)
        return arrays

    def _refuse_other_arrays(self, arrays: packing.Arrays) -> None:
        if self._attributes["arrays"] != list(arrays):
            raise InvalidInput(
                f"{self.store.path} holds another run: another state before; name a new store"
            )
        for name, values in arrays.items():
            self._refuse_other_values(name, values)

    def _write_problem(
        self, problem: Problem, arrays: packing.Arrays, origin: Mapping[str, str]
    ) -> bool:
        """Write the problem, and return whether no other owner has done so meanwhile."""
        store = self.store
        for name, values in arrays.items():
            dims = [f"{name}/{axis}" for axis in range(values.ndim)]
            put(store.zarr, f"{self._folder}/problem/{name}", values, dims)
        if problem.record:
            columns = self._columns(problem)
            ids = self.neurons.start + problem.neurons
            write(self.store.array("neuron"), ids, columns)
        # Written last: from now on, the shard has begun. One of several owners is the first.
        attributes = {"origin": {name: origin[name] for name in ORIGIN}, "arrays": list(arrays)}
        return appears(
            store.path / self._begun,
            lambda begun: zarr.create_group(begun, zarr_format=3, attributes=attributes),
        )

    def _columns(self, problem: Problem) -> slice:
        """The columns of the shard's recorded neurons in the arrays of samples."""
        width = self.store.grid.width
        if problem.n_recorded > width:
            raise InvalidInput(
                f"shard {self.number} of {self.store.path} records {problem.n_recorded} neurons, "
                f"and there is room for the {width} that the first shard records"
            )
        begin = self.number * width
        return slice(begin, begin + problem.n_recorded)

    def _stored(self, name: str) -> zarr.Array[Any]:
        return read(self.store.zarr, f"{self._folder}/problem/{name}")

    def _refuse_other_values(self, name: str, values: NDArray[Any]) -> None:
        stored = self._stored(name)
        same = stored.shape == values.shape and all(
            np.array_equal(values_of(stored, piece), values[piece], equal_nan=True)
            for piece in pieces(values)
        )
        if not same:
            raise InvalidInput(
                f"{self.store.path} holds another run: its {name.replace('/', ' ')} has other "
                "values; name a new store"
            )

    def write(self, segment: int, problem: Problem, outcome: Outcome) -> None:
        """Write what a segment recorded. It isn't committed yet."""
        grid, store = self.store.grid, self.store.zarr
        rows, columns = grid.rows(segment), self._columns(problem)
        for name, samples in outcome.samples.items():
            if samples.size:
                write(self.store.array(name), samples, rows, columns)
        if outcome.spikes is not None:
            neuron = (outcome.spikes.neuron + self.neurons.start).astype(grid.index_dtype)
            values = {"neuron": neuron, "time": outcome.spikes.time}
            for name, attributes in SPIKE_ARRAYS.items():
                path = f"{self.spikes_folder}/{segment:06}/{name}"
                put(store, path, values[name], ("spike",), attributes)

    @property
    def spikes_folder(self) -> str:
        """Where the store has the spikes of each segment."""
        return f"{self._folder}/spikes"

    def spikes(self, segment: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Neuron and time (ms) of a segment's spikes, sorted by neuron, then time."""
        folder = f"{self.spikes_folder}/{segment:06}"
        neuron, time = (
            values_of(read(self.store.zarr, f"{folder}/{name}")) for name in SPIKE_ARRAYS
        )
        return neuron.astype(np.int64), time

    def commit(self, problem: Problem, done: Committed) -> None:
        """Write the state from which the shard goes on, in one object, once its cells are written.

        problem: the steps that this owner computes, up to the end of the run.

        If another owner has committed more, that stays. A warning says that there are two.
        """
        found = self._shown()
        if found != self._known and self._alone:
            self._alone = False
            warn(
                f"another process computes shard {self.number} of {self.store.path} too; the "
                "results stay right, but the work is done twice"
            )
        if found > done.segments:
            return
        if done.segments == self.store.grid.n_segments:
            self._write_totals(problem, done)
        self._write_checkpoint(done)
        self._known = done.segments
        self._show()

    def _shown(self) -> int:
        """The segments that the store's progress shows of this shard."""
        return int(self.store.segments_done(self.number))

    def _show(self) -> None:
        write(self.store.array("progress"), self._known, self.number)

    def _write_totals(self, problem: Problem, done: Committed) -> None:
        neurons = self.neurons
        if problem.spikes != "off":
            write(self.store.array("spike_count"), done.spike_count, neurons)
        first_steps = done.invalid.first_steps(neurons.stop - neurons.start)
        write(self.store.array("first_invalid_step"), first_steps, neurons)
        write(self.store.array("final_state"), done.state.variables, slice(None), neurons)
        if problem.features:
            for name, values in feature_values(problem, done.state, done.invalid).items():
                write(self.store.array(f"{FEATURES_GROUP}/{name}"), values, neurons)

    def _write_checkpoint(self, done: Committed) -> None:
        fields = {
            "segments": np.array([done.segments]),
            "seconds": np.array([done.timing.prepare, done.timing.run, done.timing.total]),
            "written": np.array([done.written.timestamp()]),
            "spike_count": done.spike_count,
            "first_invalid_step": done.invalid.first_steps(len(done.spike_count)),
            "variables": done.state.variables,
            **{f"carry/{name}": values for name, values in done.state.carry.items()},
        }
        listed = [[name, values.dtype.str, list(values.shape)] for name, values in fields.items()]
        content = np.concatenate(
            [np.ascontiguousarray(values).reshape(-1).view(np.uint8) for values in fields.values()]
        )
        store, path = self.store.zarr, f"{self._folder}/checkpoint"
        array = find(store, path)
        if array is None:
            attributes = {"fields": listed, "long_name": "the bytes of the fields"}
            given: Any = (content.shape, content.dtype, ("byte",))
            try:  # a single chunk, so that a commit is the write of one file
                array = create(store, path, *given, attributes=attributes, compressed=False)
            except ContainsArrayError:  # another owner was faster
                array = read(store, path)
        if array.attrs["fields"] != listed:
            raise ContractViolation(
                "what a session carries in state() must have the same names and shapes each time"
            )
        write(array, content, slice(None))

    def committed(self) -> Committed | None:
        """What the last commit holds, or None if there was none."""
        path, shown = f"{self._folder}/checkpoint", self._shown()
        array = find(self.store.zarr, path)
        if not shown and (array is None or not all(file.exists() for file in files(array))):
            return None
        both = f"{self.store.path}/{path} and {self.store.path}/progress/c/{self.number}"
        anew = f"delete {both}, and the same call computes the shard anew"
        if array is None:
            raise InvalidInput(f"{self.store.path}/{path} is missing; {anew}")
        content, fields, begin = values_of(array, remedy=anew), {}, 0
        listed: Any = array.attrs["fields"]
        for name, dtype, shape in listed:
            end = begin + np.dtype(dtype).itemsize * int(np.prod(shape))
            fields[name] = content[begin:end].view(dtype).reshape(shape).copy()  # aligned
            begin = end
        return Committed(
            segments=int(fields["segments"][0]),
            state=State(fields["variables"], packing.carried("carry", fields)),
            spike_count=fields["spike_count"],
            invalid=invalid_neurons(fields["first_invalid_step"]),
            timing=Timing(*map(float, fields["seconds"])),
            written=datetime.fromtimestamp(fields["written"][0], UTC),
        )


def _refuse_other(path: Any, name: str, stored: Any, given: Any) -> None:
    """Raise InvalidInput, which shows both values if they are short, unless they are equal."""
    if stored == given:
        return
    plain = name in ("record", "features", "window") or not isinstance(stored, dict | list)
    values = f"{name}={stored!r}, and this has {given!r}" if plain else f"another {name}"
    longer = name == "T" and given > stored
    rest = " for the rest, which resume=hhplug.open_result(…) of this one begins" if longer else ""
    raise InvalidInput(f"{path} holds another run: it has {values}; name a new store{rest}")
