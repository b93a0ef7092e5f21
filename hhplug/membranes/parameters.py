"""The values that a run gives to the parameters of its membrane, and their checks."""

import sys
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug import checks
from hhplug.checks import PerNeuron
from hhplug.errors import InvalidInput
from hhplug.membranes.hh_parameters import HHParameters
from hhplug.membranes.membrane import Membrane
from hhplug.membranes.reading import CONDUCTANCE
from hhplug.membranes.squid import squid
from hhplug.quantities import PURE


class ParameterValues(Mapping[str, PerNeuron]):
    """The value of each parameter of a membrane: a float, or a read-only (n,) float64 array.

    `values["g_Na"]` and `values.g_Na` are the same. The mapping can't be changed. Two are equal if
    they have the same names and values.
    """

    __slots__ = ("__weakref__", "_membrane", "_values")
    _membrane: Membrane
    _values: dict[str, PerNeuron]

    def __init__(self, membrane: Membrane, values: Mapping[str, PerNeuron]):
        for value in values.values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
        object.__setattr__(self, "_membrane", membrane)
        object.__setattr__(self, "_values", dict(values))

    def __getitem__(self, name: str) -> PerNeuron:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    # A Mapping's own views look up one name after another, which takes ten times as long.
    def keys(self) -> KeysView[str]:
        return self._values.keys()

    def values(self) -> ValuesView[PerNeuron]:
        return self._values.values()

    def items(self) -> ItemsView[str, PerNeuron]:
        return self._values.items()

    def __getattr__(self, name: str) -> PerNeuron:
        if name.startswith("__") or name not in self._values:
            raise AttributeError(
                f"membrane {self._membrane.name} has no parameter {name!r}; "
                f"it has {', '.join(self._values)}"
            )
        return self._values[name]

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"parameters can't be changed, got {name}={value!r}")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._values})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping) or self.keys() != other.keys():
            return False
        return all(np.array_equal(value, other[name]) for name, value in self._values.items())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        with np.printoptions(threshold=6, edgeitems=2, precision=6, linewidth=1000):
            values = ", ".join(f"{name}={value!r}" for name, value in self._values.items())
        return f"ParameterValues({values})"

    def __reduce__(self) -> tuple[Any, ...]:
        return ParameterValues, (self._membrane, self._values)

    @property
    def membrane(self) -> Membrane:
        """The membrane whose parameters these are."""
        return self._membrane

    def take(self, neurons: slice | NDArray[np.integer]) -> "ParameterValues":
        """The values of some of the neurons, as views if `neurons` is a slice."""
        some = {
            name: value[neurons] if isinstance(value, np.ndarray) else value
            for name, value in self._values.items()
        }
        return ParameterValues(self._membrane, some)


Given = HHParameters | Mapping[str, Any] | None
"""What users write for parameters."""


def checked_parameters(given: Given, membrane: Membrane) -> ParameterValues:
    """The values of all parameters of a membrane. Those that aren't given have their defaults.

    Raises InvalidInput for a name that the membrane doesn't have and for an impossible value, such
    as a negative conductance.
    """
    if isinstance(given, ParameterValues) and (
        given.membrane is membrane or given.membrane == membrane
    ):
        return given
    defaults = _defaults(membrane)
    if given is None:
        return defaults
    known = membrane.parameters
    values = {
        name: _checked(name, value, known[name].unit)
        for name, value in _named(given, membrane).items()
    }
    return ParameterValues(membrane, {**defaults, **values})


@lru_cache(maxsize=64)
def _defaults(membrane: Membrane) -> ParameterValues:
    return ParameterValues(
        membrane,
        {name: _checked(name, p.value, p.unit) for name, p in membrane.parameters.items()},
    )


def _named(given: Given, membrane: Membrane) -> Mapping[str, Any]:
    """The given values by name, all of which the membrane has."""
    if isinstance(given, HHParameters):
        if membrane is not squid and membrane.parameters != squid.parameters:
            raise InvalidInput(
                "HHParameters has the names and the defaults of the squid membrane, and the "
                f"membrane is {membrane.name}; give a mapping of names to values instead, "
                f"for example {_example(membrane)}"
            )
        return vars(given)
    if not isinstance(given, Mapping):
        raise InvalidInput(
            "parameters must be a mapping of names to values or an HHParameters, got "
            f"{type(given).__name__}; for example {_example(membrane)}"
        )
    for name in given:
        if name not in membrane.parameters:
            raise InvalidInput(
                f"parameters has {name!r}, but the membrane {membrane.name} has "
                f"{', '.join(membrane.parameters)}.{checks.hint(name, membrane.parameters)}"
            )
    return given


def _example(membrane: Membrane) -> str:
    name = next(name for name in membrane.parameters if name != "C_m")
    return f"{{{name!r}: {membrane.parameters[name].value!r}}}"


def _checked(name: str, value: Any, unit: str) -> PerNeuron:
    """The value of a parameter. Its unit says what is possible: no conductance is negative."""
    of_unit = f" of {unit}" if unit else ""
    if name == "C_m":
        wanted, least = f"a positive number{of_unit}", sys.float_info.min
    elif unit == CONDUCTANCE:
        wanted, least = f"zero or more {unit}", 0.0
    else:
        wanted, least = f"a finite number{of_unit}", -sys.float_info.max
    return checks.per_neuron(name, value, unit or PURE, wanted, least)
