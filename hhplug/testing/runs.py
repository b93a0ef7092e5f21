"""Runs of the reference on the accuracy problem, each computed once per process."""

from functools import cache

from hhplug.results.result import Result
from hhplug.running.simulate import simulate
from hhplug.testing.accuracy import accuracy_problem


@cache
def trace(T: float) -> Result:
    """Return a run over T ms that recorded V at every step."""
    return simulate(accuracy_problem(T), "reference")


@cache
def trains() -> Result:
    """Return a run over 200 ms that kept spike times only."""
    return simulate(accuracy_problem(200.0, record=()), "reference")
