"""The programs of membranes, which are kept in memory and in files of the user's cache."""

from functools import cache

from hhplug.lowering.cache import kept
from hhplug.lowering.program import Program
from hhplug.membranes.membrane import Membrane


@cache
def lower(membrane: Membrane, target: str, method: str = "rk4") -> Program:
    """One step of a membrane by a method, for a target of `targets.TARGETS`.

    Raises InvalidInput for a membrane of which no program can be made.
    """
    key = f"{membrane.digest} {membrane.name} {target} {method}"
    return kept(key, lambda: _checked(membrane, target, method))


def _checked(membrane: Membrane, target: str, method: str) -> Program:
    # A process that finds its programs in files starts earlier without the check.
    from hhplug.lowering.checking import checked

    return checked(lowered(membrane, target, method), membrane)


def lowered(membrane: Membrane, target: str, method: str = "rk4") -> Program:
    """The same, made anew."""
    # A process that finds its programs in files starts earlier without the optimizer.
    from hhplug.lowering.optimizer import optimized

    return optimized(membrane, target, method)
