"""Results and spikes as xarray Datasets. Importing this module imports xarray."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray
from numpy.typing import ArrayLike, NDArray
from xarray.backends import BackendArray
from xarray.core import indexing

from hhplug.checks import PerNeuron
from hhplug.currents.terms import UNIT, Term, kind_of
from hhplug.features.definitions import FEATURES
from hhplug.membranes.membrane import Membrane
from hhplug.problem import Problem

MOST_INT64 = 2**63 - 1
VALID_NAME = "the neuron's values can be trusted to the end of the run"
INVALID_NAME = "step from which on the neuron is invalid, −1 for none"

if TYPE_CHECKING:
    from hhplug.results.result import Result
    from hhplug.results.spikes import Spikes


def of_result(result: "Result") -> xarray.Dataset:
    """The Dataset of `Result.to_xarray`."""
    problem, neurons, time = result.problem, result.neurons, result.time

    def per_neuron(values: ArrayLike, **attributes: Any) -> tuple[Any, ...]:
        if np.ndim(values) == 0:
            return (), values, attributes
        return "neuron", np.asarray(values)[neurons], attributes

    data: dict[str, Any] = {
        name: (
            ("time", "neuron"),
            _lazy(array),
            state_attributes(result.membrane, name),
        )
        for name, array in result.on_host().samples.items()
    }
    written = np.datetime64(result.written.replace(tzinfo=None), "ns")
    coordinates: dict[str, Any] = {
        "neuron": ("neuron", neurons, {"long_name": "index of the neuron"}),
        "valid": per_neuron(result.valid, long_name=VALID_NAME),
        "first_invalid_step": per_neuron(result.first_invalid_step, long_name=INVALID_NAME),
    }
    if problem._ids is not None:
        whole = "number of the neuron in the whole population"
        coordinates["neuron_id"] = per_neuron(problem.neuron_ids, long_name=whole)
    if problem.record:
        I_ext = _sampled_current(problem)
        held = {"units": UNIT, "long_name": "current during the step that begins at the sample"}
        data["I_ext"] = ("time", "neuron")[: I_ext.ndim], I_ext, held
        coordinates["time"] = "time", time, {"units": "ms"}
        # It has a dimension, so that xarray can concatenate the results of different runs.
        coordinates["written"] = "time", np.full(len(time), written)
    else:
        # Scalars that differ keep xarray from combining the counts of two runs as one run's.
        coordinates["written"] = (), written
        if result.outcome.spike_count is not None:
            data["spike_count"] = per_neuron(
                result.outcome.spike_count, long_name="spikes of the run"
            )
    for name, values in result.outcome.features.items():
        data[name] = per_neuron(values, **feature_attributes(problem, name))
    for name, parameter in result.membrane.parameters.items():
        coordinates[name] = per_neuron(result.parameters[name], units=parameter.unit or "1")
    coordinates["drive"] = per_neuron(
        result.drive(), units=UNIT, long_name="mean current in the window of the firing rate"
    )
    stimulus = problem.given_stimulus
    for name, value, unit in _labels(stimulus.terms or ()):
        coordinates[name] = per_neuron(value, units=unit)
    coordinates["stimulus"] = (), repr(stimulus)
    attributes = result.origin() | {
        "dt_ms": problem.dt,
        "method": problem.method,
        "membrane": result.membrane.name,
    }
    return xarray.Dataset(data, coordinates, attributes)


def state_attributes(membrane: Membrane, state: str) -> dict[str, str]:
    """The unit and the long name of a state."""
    reading = membrane.reading
    if state == "V":
        name = "membrane potential"
    elif state in reading.pools:
        name = f"concentration {state}"
    else:
        name = f"gate {state} of channel {reading.gates[state].channel}"
    return {"units": reading.unit(state), "long_name": name}


def feature_attributes(problem: Problem, name: str) -> dict[str, Any]:
    """The unit and the long name of a feature, and its window."""
    feature, window = FEATURES[name], list(problem.window_done)
    return {"units": feature.unit, "long_name": feature.meaning, "window_ms": window}


def of_spikes(spikes: "Spikes") -> xarray.Dataset:
    """The Dataset of `Spikes.to_xarray`."""
    coordinates: dict[str, Any] = {
        "neuron": ("spike", spikes.neuron, {"long_name": "index of the neuron"}),
        "time": ("spike", spikes.time, {"units": "ms", "long_name": "time of the spike"}),
        "valid": (
            "spike",
            spikes.valid[spikes.neuron],
            {"long_name": VALID_NAME},
        ),
    }
    return xarray.Dataset(coordinates, attrs={"n_neurons": len(spikes.valid)})


def _labels(terms: Sequence[Term]) -> Iterator[tuple[str, PerNeuron | np.uint64, str]]:
    """Yield the name, value and unit of what tells the neurons and the runs of a stimulus apart.

    These are the amplitudes, the times that are per neuron, and the seeds. Names are for example
    step_amplitude and ramp_first, and step_amplitude_2 for a second step.
    """
    seen: Counter[str] = Counter()
    for term in terms:
        kind = kind_of(term)
        seen[kind] += 1
        number = f"_{seen[kind]}" if seen[kind] > 1 else ""
        for field, unit in term.labels().items():
            value = getattr(term, field)
            if isinstance(value, int) and value > MOST_INT64:
                value = np.uint64(value)  # else NumPy takes a type that Zarr doesn't know
            yield f"{kind}_{field}{number}", value, unit


def _sampled_current(problem: Problem) -> Any:
    """The current (µA/cm²) at the samples, (n_samples,) or (n_samples, n_recorded), not copied.

    It is a view of the user's array if possible. Otherwise each value is computed when it is read.
    """
    current, steps = problem.current, problem.sample_steps(problem.start_step, problem.n_steps)
    if current.array and problem.given_stimulus.terms is None:
        rows = current.array.chunk(problem.start_step, problem.n_steps)
        rows = rows[steps.start - problem.start_step :: steps.step]
        if rows.ndim == 1 or problem.record_neurons is None:
            return rows
    return indexing.LazilyIndexedArray(SampledCurrent(problem))


def _lazy(array: Any) -> Any:
    """An array as a variable of a Dataset, which reads one that is on disk when it is used."""
    if isinstance(array, np.ndarray) or not hasattr(array, "outer"):
        return array
    return indexing.LazilyIndexedArray(SamplesOnDisk(array))


class SamplesOnDisk(BackendArray):
    """Samples that are read from files when they are used.

    array: has a shape, a dtype, and a method `outer` that reads some rows and some columns.
    """

    def __init__(self, array: Any):
        self._array, self.shape, self.dtype = array, array.shape, array.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        outer = indexing.IndexingSupport.OUTER
        return indexing.explicit_indexing_adapter(
            key, self.shape, outer, lambda keys: self._array.outer(*keys)
        )


class SampledCurrent(BackendArray):
    """A problem's current (µA/cm²) at its samples, which is computed when it is read."""

    def __init__(self, problem: Problem):
        steps = problem.sample_steps(problem.start_step, problem.n_steps)
        current = problem.current
        for_all = current.separable is not None and current.separable.gain.shape[1] == 1
        self._current, self._for_all = current, for_all
        self._steps = np.arange(steps.start, steps.stop, steps.step)
        self._neurons = np.zeros(1, np.int64) if for_all else problem.neurons
        self.shape = self._steps.shape if for_all else (len(self._steps), len(self._neurons))
        self.dtype = np.dtype(np.float64)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        outer = indexing.IndexingSupport.OUTER
        return indexing.explicit_indexing_adapter(key, self.shape, outer, self._values)

    def _values(self, key: tuple[Any, ...]) -> NDArray[np.float64]:
        steps, neurons = self._steps[key[0]], self._neurons[0 if self._for_all else key[1]]
        values = self._current.at(np.atleast_1d(steps), np.atleast_1d(neurons))
        return values.reshape(np.shape(steps) + np.shape(neurons))
