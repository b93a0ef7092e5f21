"""Write a problem as JSON and arrays, and read it back."""

import warnings
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug.currents.stimulus import Stimulus
from hhplug.currents.terms import KINDS, Term, kind_of
from hhplug.membranes.membrane import Membrane
from hhplug.membranes.parameters import ParameterValues
from hhplug.membranes.squid import squid
from hhplug.problem import Problem
from hhplug.state import State
from hhplug.validity import NONE_INVALID, invalid_neurons

Arrays = dict[str, NDArray[Any]]


def pack(problem: Problem, arrays: Arrays) -> dict[str, Any]:
    """The problem as JSON. Values per neuron or per step are put into `arrays`."""

    def put(name: str, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            arrays[name] = value
            return {"array": name}
        if isinstance(value, ParameterValues):
            return {key: put(f"{name}/{key}", each) for key, each in value.items()}
        if isinstance(value, Membrane):
            return value.to_dict()
        return value

    def put_term(name: str, term: Term) -> dict[str, Any]:
        names = [field.name for field in fields(term)]  # type: ignore[arg-type]
        values = {each: put(f"{name}/{each}", getattr(term, each)) for each in names}
        return {"kind": kind_of(term), **values}

    before = problem.invalid
    put("invalid_before", before.first_steps(problem.n_neurons) if before.neuron.size else None)
    for name, array in problem.initial.carry.items():
        put(f"initial_carry/{name}", array)
    ids = None if problem._ids is None else problem.neuron_ids
    part = {"neuron_ids": ids, "record_ranks": problem.record_ranks}
    arguments, terms = problem.arguments(), problem.given_stimulus.terms
    if terms is not None:
        arguments["stimulus"] = [put_term(f"stimulus/{i}", term) for i, term in enumerate(terms)]
    packed = {name: put(name, value) for name, value in arguments.items()}
    if problem.features:
        packed["window_steps"] = problem.window_steps
    return packed | {"part": {name: put(name, value) for name, value in part.items()}}


def unpack(packed: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Problem:
    """The problem that `pack` was given."""

    def get(value: Any) -> Any:
        return arrays[value["array"]] if isinstance(value, dict) else value

    nested = ("parameters", "part", "membrane", "features", "window", "window_steps")
    arguments = {name: get(value) for name, value in packed.items() if name not in nested}
    parameters, part = (
        {name: get(value) for name, value in packed[key].items()} for key in ("parameters", "part")
    )
    membrane = Membrane.from_dict(packed["membrane"]) if "membrane" in packed else squid
    if membrane == squid and membrane.name == squid.name:
        membrane = squid
    if isinstance(packed["stimulus"], list):
        terms = [{key: get(value) for key, value in term.items()} for term in packed["stimulus"]]
        arguments["stimulus"] = Stimulus(tuple(KINDS[t.pop("kind")](**t) for t in terms))
    elif arguments["stimulus"].shape == (packed["batch_size"],):
        # Problem() would refuse it as ambiguous, since it is as long as the population.
        arguments["stimulus"] = arguments["stimulus"][:, np.newaxis]
    state = arguments.pop("initial_state")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the original run issued these
        problem = Problem(**arguments, parameters=parameters, membrane=membrane)
    # Problem() would refuse some states of a resumed run.
    initial = State(state, carried("initial_carry", arrays))
    before = arrays.get("invalid_before")
    invalid = NONE_INVALID if before is None else invalid_neurons(before)
    problem = problem.continuing(initial, invalid).as_part(**part)
    if "features" in packed:
        # Problem() would refuse the window of a run that continues another.
        problem = problem.with_features(
            packed["features"], packed["window"], packed["window_steps"]
        )
    return problem


def carried(folder: str, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """The arrays of a `State.carry` by name, which are stored as folder/name."""
    prefix = f"{folder}/"
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
