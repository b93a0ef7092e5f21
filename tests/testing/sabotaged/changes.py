"""A problem, or an array, that is not quite the one given."""

import copy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from hhplug.model import HHParameters
from hhplug.problem import Problem


def but(problem: Problem, **fields: Any) -> Problem:
    """The same problem, apart from these fields, which nobody checks."""
    other = copy.copy(problem)
    for name, value in fields.items():
        object.__setattr__(other, name, value)
    return other


def with_parameters(problem: Problem, change: Callable[[Any], Any]) -> Problem:
    """The same problem, each parameter changed."""
    changed = {name: change(value) for name, value in vars(problem.parameters).items()}
    return but(problem, parameters=HHParameters(**changed))


def with_rows(problem: Problem, rows: Callable[[int, int], Any]) -> Problem:
    """The same problem, the current of steps first ≤ k < first + count given by a function."""
    return but(problem, current=SimpleNamespace(rows=rows))


def nudged(values: Any) -> Any:
    """By the least that a float can change."""
    return np.nextafter(values, np.inf)
