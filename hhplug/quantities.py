"""Convert quantities of other libraries to numbers in hhplug's units.

A quantity is recognised by its attributes, so that none of the libraries is imported here: pint,
quantities and Neo, astropy, Brian2; time differences of NumPy and Python; and xarray, pandas,
netCDF4 and h5py, which hold the unit as text.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hhplug.errors import InvalidInput


class Unit(NamedTuple):
    """One of hhplug's units, in terms that other libraries understand."""

    spelling: str  # its name in pint, quantities and astropy
    si: float  # its size in SI units
    dimensions: tuple[float, float, float, float]  # its powers of m, kg, s and A
    moles: float = 0.0  # its power of mol


WHITE = "µA/cm²·√ms"
"""The unit of white noise, whose integral over a time has that unit times the time's root."""

PER_CURRENT = "mM/ms per µA/cm²"
"""The unit of a calcium pool's inflow: what a current adds to a concentration in a time."""

UNITS = {
    "mV": Unit("mV", 1e-3, (2, 1, -3, -1)),
    "ms": Unit("ms", 1e-3, (0, 0, 1, 0)),
    "Hz": Unit("Hz", 1.0, (0, 0, -1, 0)),
    "rad": Unit("rad", 1.0, (0, 0, 0, 0)),
    "µA/cm²": Unit("uA/cm**2", 1e-2, (-2, 0, 0, 1)),
    WHITE: Unit("uA*ms**(1/2)/cm**2", 1e-2 * 1e-3**0.5, (-2, 0, 0.5, 1)),
    "mS/cm²": Unit("mS/cm**2", 10.0, (-4, -1, 3, 2)),
    "µF/cm²": Unit("uF/cm**2", 1e-2, (-4, -1, 4, 2)),
    "mM": Unit("mol/m**3", 1.0, (-3, 0, 0, 0), 1),  # astropy has no molar
    PER_CURRENT: Unit("mol*cm**2/(m**3*ms*uA)", 1e5, (-1, 0, -1, -1), 1),
}
PURE = "1"
"""The unit of a number without a unit. Any quantity is refused for it."""

# The unit of an angular frequency has one of these in its name.
ANGLES = ("rad", "rev", "rpm", "turn", "deg", "cycle")


def in_unit(name: str, value: Any, unit: str) -> Any:
    """The value, with each quantity in it converted to a plain number in the unit.

    The items of a list are converted one by one. Raises InvalidInput, whose message begins with
    name, for a quantity that can't be converted or has masked values.
    """
    if _is_plain(value):
        return value
    if _is_list(value):
        if {type(item) for item in value} <= {float, int}:
            return value
        return [in_unit(name, item, unit) for item in value]
    if isinstance(value, timedelta) or getattr(getattr(value, "dtype", None), "kind", "") == "m":
        return _milliseconds(name, value, unit)
    if _is_quantity(value):
        return _unmasked(name, value, _plain(name, value, unit))
    word = _word(value)
    if word is None:
        return in_unit(name, value.data, unit) if is_labelled(value) else value
    numbers = value.data if is_labelled(value) else value[...] if hasattr(value, "ndim") else value
    if _is_quantity(numbers):
        return in_unit(name, numbers, unit)
    spellings = {unit, UNITS[unit].spelling} if unit in UNITS else {unit}
    if _normal(word) not in map(_normal, spellings):
        raise InvalidInput(f"{name} must be in {unit}, got units {word!r}; convert it first")
    return _unmasked(name, value, numbers)


def _is_plain(value: Any) -> bool:
    """Whether the value is a number or an array of numbers, which can't have a unit."""
    return type(value) in (float, int) or (type(value) is np.ndarray and value.dtype.kind in "fiub")


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, range))


def is_labelled(value: Any) -> bool:
    """Whether the value is an xarray array, whose dimensions have names."""
    if not hasattr(value, "dims"):
        return False
    return all(hasattr(value, name) for name in ("attrs", "transpose", "dtype", "data"))


def _is_quantity(value: Any) -> bool:
    """Whether the value has a unit that its library can convert."""
    if is_labelled(value):
        return False
    units = getattr(value, "units", None), getattr(value, "unit", None)
    if any(unit is not None and not isinstance(unit, (str, bytes)) for unit in units):
        return True
    return hasattr(getattr(value, "dimensions", None), "get_dimension")  # Brian2


def _word(value: Any) -> str | None:
    """The unit that a value holds as text, or None."""
    attributes = getattr(value, "attrs", None)
    named = attributes if isinstance(attributes, Mapping) else {}
    for key in ("units", "unit"):
        word = named.get(key, None if is_labelled(value) else getattr(value, key, None))
        if word is not None:
            return word.decode() if isinstance(word, bytes) else str(word)
    return None


def _milliseconds(name: str, value: Any, unit: str) -> Any:
    """A time difference of Python or NumPy in ms. Raises InvalidInput if unit isn't ms."""
    millisecond = timedelta(milliseconds=1) if isinstance(value, timedelta) else MILLISECOND
    try:
        if unit != "ms":
            raise TypeError("it is a time")
        dtype = getattr(value, "dtype", None)
        if dtype is not None and np.datetime_data(dtype)[0] == "generic":
            raise TypeError("it has no unit")
        return np.asarray(value / millisecond)
    except TypeError as error:  # also for months, which have no fixed length
        raise InvalidInput(f"{name} must be in {unit}, got {value!r} ({error})") from None


MILLISECOND = np.timedelta64(1, "ms")


def _plain(name: str, value: Any, unit: str) -> NDArray[Any]:
    if unit == PURE:
        raise InvalidInput(f"{name} must be a number without a unit, got {value!r}")
    if unit not in UNITS:
        raise InvalidInput(f"{name} must be a plain number of {unit}, got {value!r}")
    try:
        if unit == "Hz":
            _refuse_angle(value)
        converted = _converted(value, UNITS[unit])
    except Exception as error:  # each library raises its own exceptions
        raise InvalidInput(f"{name} must be in {unit}, got {value!r} ({error})") from None
    unchanged = getattr(value, "magnitude", getattr(value, "value", None))
    same = unchanged is not None and np.array_equal(converted, unchanged)
    if same or converted.dtype.kind not in "fiu":
        return converted
    return _without_noise(converted)


def _refuse_angle(value: Any) -> None:
    """Raise TypeError for an angular frequency, since libraries convert 1 rad/s to 1 Hz."""
    units = str(getattr(value, "units", getattr(value, "unit", "")))
    if any(angle in units for angle in ANGLES):
        raise TypeError("an angular frequency; divide it by 2π")


def _converted(quantity: Any, unit: Unit) -> NDArray[Any]:
    if hasattr(quantity, "rescale"):  # quantities, Neo
        return np.asanyarray(quantity.rescale(unit.spelling).magnitude)
    if hasattr(quantity, "to"):  # pint; astropy
        converted = quantity.to(unit.spelling)
        has_magnitude = hasattr(converted, "magnitude")
        return np.asanyarray(converted.magnitude if has_magnitude else converted.value)
    if not hasattr(quantity, "dimensions"):
        raise TypeError("a quantity of an unknown library")
    power = quantity.dimensions.get_dimension  # Brian2, which holds SI units
    powers = tuple(power(name) for name in ("length", "mass", "time", "current"))
    others = power("temperature"), power("substance"), power("luminosity")
    if powers != unit.dimensions or others != (0, unit.moles, 0):
        raise TypeError(f"its dimensions are {quantity.dimensions}")
    return np.asarray(quantity) / unit.si


def _without_noise(converted: NDArray[Any]) -> NDArray[np.float64]:
    """The values rounded to 15 digits, since Brian2 gives 9.999999999999998 for 10*uA/cm**2."""
    values = np.asanyarray(converted, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        digits = 14.0 - np.floor(np.log10(np.abs(values)))
    exact = (digits >= 0.0) & (digits <= 22.0)  # powers of ten that a float64 holds exactly
    scale = 10.0 ** np.where(exact, digits, 0.0)
    return np.where(exact, np.rint(values * scale) / scale, values)


def _unmasked(name: str, value: Any, numbers: Any) -> NDArray[Any]:
    """The numbers as a plain array. Raises InvalidInput if one is masked, here or in the value."""
    masks = (getattr(value, "mask", False), getattr(numbers, "mask", False))
    if any(np.any(mask) for mask in masks):
        raise InvalidInput(f"{name} must not have masked values; fill them first")
    return np.asarray(numbers)


def _normal(spelling: str) -> str:
    """One spelling of a unit for all of "µA/cm²", "uA/cm**2", "uA / cm^2" and "uA cm-2"."""
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
