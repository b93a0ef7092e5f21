"""Read a result from a file."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug.checks import known_arguments
from hhplug.errors import InvalidInput, NotEnoughMemory
from hhplug.problem import Problem
from hhplug.results import packing
from hhplug.results.outcome import Outcome
from hhplug.results.result import Result
from hhplug.results.spikes import Spikes
from hhplug.results.storage import READABLE
from hhplug.results.timing import Timing
from hhplug.state import State
from hhplug.validity import Invalid, invalid_neurons, nonfinite_neurons


@known_arguments
def load_result(path: str | Path) -> Result:
    """Read a Result that `Result.save` wrote.

    Raises InvalidInput for any other file, OSError if it can't be read, and NotEnoughMemory.

    >>> from hhplug import Simulator, load_result
    >>> Simulator("numpy").run(T=1.0).save("run.npz")
    >>> load_result("run.npz").backend
    'numpy'
    """
    with Path(path).open("rb") as raw:
        try:
            with np.load(raw, allow_pickle=False) as file:
                metadata = json.loads(str(file["metadata"]))
                arrays = {name: file[name] for name in file.files if name != "metadata"}
            written = metadata["format"], metadata["hhplug"]
            if written[0] in READABLE:
                return _unpacked(metadata, arrays)
        except MemoryError as error:
            raise NotEnoughMemory(f"{path} doesn't fit, or is damaged: {error}") from error
        except Exception as error:  # NumPy, zipfile and json raise many kinds of exceptions
            raise InvalidInput(f"{path} is not a result saved by hhplug, or damaged") from error
    raise InvalidInput(
        f"{path} has format {written[0]}, this hhplug reads {' or '.join(map(str, READABLE))}; "
        f"it was written by hhplug {written[1]}"
    )


def _unpacked(metadata: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Result:
    problem = packing.unpack(metadata["problem"], arrays)
    _check_arrays(problem, arrays)
    final = State(arrays["final_state"], packing.carried("carry", arrays))
    if "first_invalid_step" in arrays:
        invalid = invalid_neurons(arrays["first_invalid_step"])
    else:  # a file of hhplug before 0.2, which knew no other invalid neurons than these
        neuron = nonfinite_neurons(final.variables)
        invalid = Invalid(neuron, np.full(neuron.size, problem.end_step))
    spikes = None
    if "spike_time" in arrays:
        valid = invalid.valid(problem.n_neurons)
        spikes = Spikes(arrays["spike_neuron"], arrays["spike_time"], valid)
    return Result(
        problem=problem,
        backend=metadata["backend"],
        backend_version=metadata["backend_version"],
        device=metadata["device"],
        timing=Timing(**metadata["timing"]),
        written=datetime.fromisoformat(metadata["written"]),
        outcome=Outcome(
            samples={name: arrays[name] for name in problem.record},
            spikes=spikes,
            spike_count=arrays.get("spike_count"),
            invalid=invalid,
            features={name: arrays[f"feature/{name}"] for name in problem.features},
        ),
        final=final,
        noise_from=metadata.get("noise_from", ""),
    )


def _check_arrays(problem: Problem, arrays: dict[str, NDArray[Any]]) -> None:
    """Raise KeyError for a missing array, InvalidInput for one of a wrong dtype or shape."""
    steps = problem.sample_steps(problem.start_step, problem.n_steps)
    wanted: dict[str, tuple[str, tuple[int, ...]]] = {  # kind of dtype, and shape
        name: ("f", (len(steps), problem.n_recorded)) for name in problem.record
    }
    wanted["final_state"] = "f", (len(problem.membrane.states), problem.n_neurons)
    wanted |= {f"feature/{name}": ("f", (problem.n_neurons,)) for name in problem.features}
    if problem.spikes != "off":
        wanted["spike_count"] = "i", (problem.n_neurons,)
    if problem.spikes == "times":
        spikes = (int(arrays["spike_count"].sum()),)
        wanted |= {"spike_neuron": ("i", spikes), "spike_time": ("f", spikes)}
    for name, (kind, shape) in wanted.items():
        if arrays[name].dtype.kind != kind or arrays[name].shape != shape:
            raise InvalidInput(f"{name} must be of shape {shape}, got {arrays[name].shape}")
