"""The reference on the accuracy problem, once in the life of a process."""

from functools import cache

from hhplug.result import Result
from hhplug.simulate import simulate
from hhplug.testing.accuracy import accuracy_problem


@cache
def trace(T: float) -> Result:
    """V over T (ms)."""
    return simulate(accuracy_problem(T), "reference")


@cache
def trains() -> Result:
    """Spikes over 200 ms."""
    return simulate(accuracy_problem(200.0, record=()), "reference")
