"""Write a problem as JSON and arrays, and read it back."""

import warnings
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug.currents.stimulus import Stimulus
from hhplug.currents.terms import KINDS, kind_of
from hhplug.model import PARAMETER_UNITS, HHParameters
from hhplug.problem import Problem

Arrays = dict[str, NDArray[Any]]

PLAIN = ("dt", "dtype", "start_step", "record_every", "spikes", "spike_threshold")


def pack(problem: Problem, arrays: Arrays) -> dict[str, Any]:
    """The problem as JSON. Values per neuron or per step are put into `arrays`."""

    def put(name: str, value: Any) -> Any:
        if np.ndim(value) == 0:
            return value
        arrays[name] = np.asarray(value)
        return {"array": name}

    state, stimulus = problem.initial_state, problem.stimulus
    return {name: getattr(problem, name) for name in PLAIN} | {
        "T": problem.T,
        "batch_size": problem.n_neurons,
        "record": list(problem.record),
        "record_neurons": (
            None
            if problem.record_neurons is None
            else put("record_neurons", problem.record_neurons)
        ),
        # One state for all neurons is stored once.
        "initial_state": put("initial_state", state[:, :1] if state.strides[1] == 0 else state),
        "parameters": {
            name: put(f"parameters/{name}", getattr(problem.parameters, name))
            for name in PARAMETER_UNITS
        },
        "stimulus": (
            [
                {"kind": kind_of(term)}
                | {
                    field.name: put(f"stimulus/{i}/{field.name}", getattr(term, field.name))
                    for field in fields(term)  # type: ignore[arg-type]
                }
                for i, term in enumerate(stimulus.terms)
            ]
            if isinstance(stimulus, Stimulus)
            else put("stimulus", _columns_of(problem))
        ),
        "part": {
            name: None if value is None else put(name, value)
            for name, value in (
                ("neuron_ids", problem._ids),
                ("record_ranks", problem.record_ranks),
            )
        },
    }


def _columns_of(problem: Problem) -> NDArray[Any]:
    """The array stimulus with only the columns of the problem's neurons."""
    if problem._columns is None or problem.current.array is None:
        return np.asarray(problem.stimulus)
    return problem.current.array.chunk(problem.start_step, problem.n_steps)


def unpack(packed: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Problem:
    """The problem that `pack` was given."""

    def get(value: Any) -> Any:
        return arrays[value["array"]] if isinstance(value, dict) else value

    nested = ("parameters", "part")
    arguments = {name: get(value) for name, value in packed.items() if name not in nested}
    parameters, part = ({name: get(value) for name, value in packed[key].items()} for key in nested)
    if isinstance(packed["stimulus"], list):
        terms = [{key: get(value) for key, value in term.items()} for term in packed["stimulus"]]
        arguments["stimulus"] = Stimulus(tuple(KINDS[t.pop("kind")](**t) for t in terms))
    elif arguments["stimulus"].shape == (packed["batch_size"],):
        # Problem() would refuse it as ambiguous, since it is as long as the population.
        arguments["stimulus"] = arguments["stimulus"][:, np.newaxis]
    state = arguments.pop("initial_state")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the original run issued these
        problem = Problem(**arguments, parameters=HHParameters(**parameters))
    # Problem() would refuse some states of a resumed run.
    return problem.with_initial_state(state).as_part(**part)
