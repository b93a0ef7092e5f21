"""Large populations of Hodgkin-Huxley neurons, simulated by interchangeable backends.

Units everywhere: mV, ms, µA/cm², mS/cm², µF/cm², rates 1/ms.
"""

from hhplug._version import __version__ as __version__
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
from hhplug.hookspecs import hookimpl
from hhplug.join import concat
from hhplug.model import HHParameters
from hhplug.problem import Problem
from hhplug.registry import backends
from hhplug.result import Result, load_result
from hhplug.simulate import simulate
from hhplug.simulator import Simulator
from hhplug.stimulus import Stimulus

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
