"""Quantities of other libraries, in hhplug's units.

They are told by what they offer, so that none of their libraries is needed here: pint,
quantities and Neo, astropy, Brian2; xarray and netCDF4, which name the unit in words.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug.errors import InvalidInput


@dataclass(frozen=True)
class Unit:
    """One of hhplug's units, as other libraries know it."""

    spelling: str  # which pint, quantities and astropy can read
    si: float  # its size in SI units
    dimensions: tuple[int, int, int, int]  # its powers of m, kg, s and A


UNITS = {
    "mV": Unit("mV", 1e-3, (2, 1, -3, -1)),
    "ms": Unit("ms", 1e-3, (0, 0, 1, 0)),
    "Hz": Unit("Hz", 1.0, (0, 0, -1, 0)),
    "rad": Unit("rad", 1.0, (0, 0, 0, 0)),
    "µA/cm²": Unit("uA/cm**2", 1e-2, (-2, 0, 0, 1)),
    "mS/cm²": Unit("mS/cm**2", 10.0, (-4, -1, 3, 2)),
    "µF/cm²": Unit("uF/cm**2", 1e-2, (-4, -1, 4, 2)),
}
PURE = "1"
"""The unit of a pure number: any quantity is refused."""


def in_unit(name: str, value: Any, unit: str) -> Any:
    """The value, with the quantities in it converted to the unit and made plain numbers.

    A list is looked through. Raises InvalidInput, beginning with name, for a quantity that can't
    be converted.
    """
    if isinstance(value, (list, tuple)):
        if {type(item) for item in value} <= {float, int}:
            return value
        return [in_unit(name, item, unit) for item in value]
    if is_labelled(value):
        in_words = value.attrs.get("units")
        return in_unit(name, value.data, unit) if in_words is None else _named(name, value, unit)
    declared = (getattr(value, attribute, None) for attribute in ("units", "unit", "dimensions"))
    its_unit = next((found for found in declared if found is not None), None)
    if its_unit is None:
        return value
    if isinstance(its_unit, str):
        return _named(name, value, unit)
    if unit == PURE:
        raise InvalidInput(f"{name} must be a number without a unit, got {value!r}")
    try:
        return _without_noise(_converted(value, UNITS[unit]))
    except Exception as error:  # every library raises its own kinds
        raise InvalidInput(f"{name} must be in {unit}, got {value!r} ({error})") from None


def is_labelled(value: Any) -> bool:
    """Whether the value is an xarray.DataArray."""
    return all(hasattr(value, name) for name in ("dims", "coords", "attrs", "transpose"))


def _converted(quantity: Any, unit: Unit) -> NDArray[Any]:
    if hasattr(quantity, "rescale"):  # quantities, Neo
        return np.asarray(quantity.rescale(unit.spelling).magnitude)
    if hasattr(quantity, "to"):  # pint; astropy
        converted = quantity.to(unit.spelling)
        has_magnitude = hasattr(converted, "magnitude")
        return np.asarray(converted.magnitude if has_magnitude else converted.value)
    power = quantity.dimensions.get_dimension  # Brian2, which holds SI units
    powers = tuple(power(name) for name in ("length", "mass", "time", "current"))
    others = [power(name) for name in ("temperature", "substance", "luminosity")]
    if powers != unit.dimensions or any(others):
        raise TypeError(f"its dimensions are {quantity.dimensions}")
    return np.asarray(quantity) / unit.si


def _without_noise(converted: NDArray[Any]) -> NDArray[np.float64]:
    """The values to 15 digits: 10*uA/cm**2 of Brian2 comes as 9.999999999999998."""
    values = converted.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        digits = 14.0 - np.floor(np.log10(np.abs(values)))
    exact = (digits >= 0.0) & (digits <= 22.0)  # of powers of ten, in a float64
    scale = 10.0 ** np.where(exact, digits, 0.0)
    return np.where(exact, np.rint(values * scale) / scale, values)


def _named(name: str, value: Any, unit: str) -> Any:
    """The numbers of a value whose unit is a word, which must be a spelling of the unit."""
    word = value.attrs["units"] if is_labelled(value) else value.units
    spellings = {unit, UNITS[unit].spelling} if unit in UNITS else {unit}
    if _normal(word) not in map(_normal, spellings):
        raise InvalidInput(f"{name} must be in {unit}, got units {word!r}; convert it first")
    return np.asarray(value)


def _normal(spelling: str) -> str:
    """One spelling for "µA/cm²", "uA/cm**2", "uA / cm^2" and "uA cm-2"."""
    changes = (
        ("μ", "u"),
        ("µ", "u"),
        ("²", "2"),
        ("*", ""),
        ("^", ""),
        (" ", ""),
        ("cm-2", "/cm2"),
    )
    for old, new in changes:
        spelling = spelling.replace(old, new)
    return spelling
