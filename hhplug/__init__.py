"""Simulate large populations of Hodgkin-Huxley neurons on interchangeable backends.

The units are mV, ms, µA/cm², mS/cm² and µF/cm² everywhere, and 1/ms for rates.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hhplug._version import __version__ as __version__

if TYPE_CHECKING:
    from hhplug import membranes
    from hhplug.currents.stimulus import Stimulus
    from hhplug.errors import (
        BackendUnavailable,
        ContractViolation,
        HHPlugError,
        Interrupted,
        InvalidInput,
        MissingExtra,
        NotEnoughMemory,
        NotRecorded,
        UnknownArgument,
    )
    from hhplug.membranes.description import CalciumPool, Channel, Gate, Parameter
    from hhplug.membranes.hh_parameters import HHParameters
    from hhplug.membranes.membrane import Membrane
    from hhplug.plugins.discovery import backends
    from hhplug.plugins.hookspecs import hookimpl
    from hhplug.problem import Problem
    from hhplug.results.concat import concat
    from hhplug.results.loading import load_result
    from hhplug.results.result import Result
    from hhplug.running.feature_simulator import FeatureSimulator
    from hhplug.running.simulate import simulate
    from hhplug.running.simulator import Simulator
    from hhplug.stores import open_result

__all__ = [
    "BackendUnavailable",
    "CalciumPool",
    "Channel",
    "ContractViolation",
    "FeatureSimulator",
    "Gate",
    "HHParameters",
    "HHPlugError",
    "Interrupted",
    "InvalidInput",
    "Membrane",
    "MissingExtra",
    "NotEnoughMemory",
    "NotRecorded",
    "Parameter",
    "Problem",
    "Result",
    "Simulator",
    "Stimulus",
    "UnknownArgument",
    "backends",
    "concat",
    "hookimpl",
    "load_result",
    "membranes",
    "open_result",
    "simulate",
]

# A name is imported when it is first used: pytest imports this package in every project beside it.
_MODULES = {
    "CalciumPool": "membranes.description",
    "Channel": "membranes.description",
    "FeatureSimulator": "running.feature_simulator",
    "Gate": "membranes.description",
    "HHParameters": "membranes.hh_parameters",
    "Membrane": "membranes.membrane",
    "Parameter": "membranes.description",
    "Problem": "problem",
    "Result": "results.result",
    "Simulator": "running.simulator",
    "Stimulus": "currents.stimulus",
    "backends": "plugins.discovery",
    "concat": "results.concat",
    "hookimpl": "plugins.hookspecs",
    "load_result": "results.loading",
    "open_result": "stores",
    "simulate": "running.simulate",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "membranes":
        return import_module("hhplug.membranes")
    value = getattr(import_module(f"hhplug.{_MODULES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
