"""Changed copies of a problem or an array."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np

from hhplug.membranes import squid
from hhplug.membranes.equations import Equations
from hhplug.membranes.parameters import ParameterValues
from hhplug.membranes.tape import Noted
from hhplug.problem import Problem


def with_fields(problem: Problem, **fields: Any) -> Problem:
    """Return a copy of a problem with some fields replaced and not checked."""
    other = copy.copy(problem)
    for name, value in fields.items():
        object.__setattr__(other, name, value)
    return other


def with_parameters(problem: Problem, change: Callable[[Any], Any]) -> Problem:
    """Return a copy of a problem with each parameter changed by a function."""
    changed = {name: change(value) for name, value in problem.parameters.items()}
    return with_fields(problem, parameters=ParameterValues(problem.membrane, changed))


@contextmanager
def with_function(equations: Equations, gate: str, kind: str, function: Any) -> Iterator[None]:
    """Replace the function of a gate's alpha, beta, inf or tau, also where it is on a tape."""
    functions = equations._gates[gate].functions
    with patch.dict(functions, {kind: function}), patch.dict(vars(equations)):
        vars(equations).pop("_derivative", None)
        yield


def with_rate(name: str, change: Callable[[Any, Any], Any]) -> Any:
    """Return a context in which a rate of the squid, such as beta_h, is change(V, right rate)."""
    kind, gate = name.split("_")
    right = squid.equations._gates[gate].functions[kind]

    def changed(values: Any) -> Any:
        V, rate = values["V"], right(values)
        return V.notes.call(change, V, rate) if isinstance(V, Noted) else change(V, rate)

    return with_function(squid.equations, gate, kind, changed)


def with_rows(problem: Problem, rows: Callable[[int, int], Any]) -> Problem:
    """Return a copy of a problem whose current's rows(first, count) are given by a function."""
    return with_fields(problem, current=SimpleNamespace(rows=rows))


def nudged(values: Any) -> Any:
    """Return the next larger floats."""
    return np.nextafter(values, np.inf)
