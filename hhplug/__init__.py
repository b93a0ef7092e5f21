"""Simulate large populations of Hodgkin-Huxley neurons on interchangeable backends.

The units are mV, ms, µA/cm², mS/cm² and µF/cm² everywhere, and 1/ms for rates.
"""

from hhplug._version import __version__ as __version__
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
from hhplug.model import HHParameters
from hhplug.plugins.discovery import backends
from hhplug.plugins.hookspecs import hookimpl
from hhplug.problem import Problem
from hhplug.results.join import concat
from hhplug.results.loading import load_result
from hhplug.results.result import Result
from hhplug.running.simulate import simulate
from hhplug.running.simulator import Simulator

__all__ = [
    "BackendUnavailable",
    "ContractViolation",
    "HHParameters",
    "HHPlugError",
    "Interrupted",
    "InvalidInput",
    "MissingExtra",
    "NotEnoughMemory",
    "NotRecorded",
    "Problem",
    "Result",
    "Simulator",
    "Stimulus",
    "UnknownArgument",
    "backends",
    "concat",
    "hookimpl",
    "load_result",
    "simulate",
]
