"""Checks of single values, shared by stimuli, problems and results.

Each returns the value in the form that hhplug uses internally, or raises InvalidInput. A quantity
of another library is converted to the argument's unit by `hhplug.quantities`, or refused; its unit
is never ignored.
"""

import math
import operator
import sys
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from hhplug.errors import InvalidInput, UnknownArgument
from hhplug.quantities import PURE, in_unit, is_labelled
from hhplug.threads import in_float64, of_parts

PerNeuron = float | NDArray[np.float64]
"""One value for all neurons, or an (n,) array."""

Function = TypeVar("Function", bound=Callable[..., Any])


def known_arguments(function: Function) -> Function:
    """Wrap a function so that an unknown keyword raises UnknownArgument with a suggestion."""
    code = function.__code__
    known = dict.fromkeys(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])

    @wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if not kwargs.keys() <= known.keys():
            name = next(name for name in kwargs if name not in known)
            words = [word for word in known if word not in ("self", "cls")]
            raise UnknownArgument(
                f"{function.__qualname__.removesuffix('.__init__')} has no argument {name!r}; "
                f"it takes {', '.join(words)}.{hint(name, words)}"
            )
        return function(*args, **kwargs)

    return cast(Function, checked)


def number(name: str, value: Any, unit: str) -> float:
    """The value as a finite float."""
    return _float(name, value, unit, "a finite number", -math.inf)


def positive(name: str, value: Any, unit: str) -> float:
    """The value as a finite float above zero."""
    return _float(name, value, unit, "a positive number", 0.0)


def _float(name: str, value: Any, unit: str, wanted: str, above: float) -> float:
    value = in_unit(name, value, unit)
    wanted += "" if unit == PURE else f" of {unit}"
    try:
        if isinstance(value, (str, bytes, bool, np.bool_)):
            raise TypeError
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidInput(f"{name} must be {wanted}, got {value!r}") from None
    if not above < result < math.inf:
        raise InvalidInput(f"{name} must be {wanted}, got {value}")
    return result


def interval(start: Any, stop: Any) -> tuple[float, float]:
    """Start and stop as finite floats in ms. Stop must be later than start."""
    start, stop = number("start", start, "ms"), number("stop", stop, "ms")
    if not start < stop:
        raise InvalidInput(f"stop must be later than start={start} ms, got {stop}")
    return start, stop


def whole(name: str, value: Any, least: int) -> int:
    """The value as an int, which must be `least` or more."""
    in_unit(name, value, PURE)
    wanted = f"{name} must be a whole number, {least} or more, got {value!r}"
    try:
        result = operator.index(value)
    except TypeError:
        if isinstance(value, (float, np.floating)) and value.is_integer():
            wanted = f"{name} must be an int, got the float {value}; use {int(value)}"
        raise InvalidInput(wanted) from None
    if isinstance(value, bool) or result < least:
        raise InvalidInput(wanted)
    return result


def per_neuron(
    name: str, value: Any, unit: str, wanted: str = "", least: float = -sys.float_info.max
) -> PerNeuron:
    """The value as a finite float, or as a read-only (n,) float64 array of finite values.

    least: the smallest value allowed. wanted: the allowed values in words, for the error. The array
    is a copy, unless it is already such an array and owns its memory, so that nobody else can
    change it.
    """
    if is_labelled(value):
        if "time" in value.dims:
            raise InvalidInput(f"{name} must have one value per neuron, got one along 'time'")
        neurons_in_order(name, value)
    array = real_array(name, value, unit)
    if array.ndim > 1:
        raise InvalidInput(
            f"{name} must be a number or an array with one value per neuron, "
            f"got shape {array.shape}"
        )
    if array.ndim == 0:
        checked = number(name, array, unit)
    elif array.size == 0:
        raise InvalidInput(f"{name} must have one value per neuron, got an empty array")
    elif array.dtype == np.float64 and array.base is None and not array.flags.writeable:
        checked = array
    else:
        checked = in_float64(array)
        checked.flags.writeable = False
    if not _all_within(checked, least, sys.float_info.max):
        within(name, checked, "a finite number" if unit == PURE else f"a finite number of {unit}")
        within(name, checked, wanted, least)
    return checked


def series(name: str, value: Any, unit: str) -> NDArray[np.float64]:
    """The value as a read-only (samples,) float64 array of finite values, which is a copy.

    It may have the shape (samples, 1), as a signal of Neo has.
    """
    array = real_array(name, value, unit)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or not array.size:
        raise InvalidInput(
            f"{name} must be an array with one value per sample, got shape {array.shape}"
        )
    checked = in_float64(array)
    if not (finite := np.isfinite(checked)).all():
        sample = int(np.argmin(finite))
        raise InvalidInput(f"{name} must be finite ({unit}), got {checked[sample]} at {sample}")
    checked.flags.writeable = False
    return checked


def neuron_indices(name: str, neurons: Any, n_neurons: int) -> NDArray[np.int64]:
    """Indices of neurons as a read-only (k,) array. Each neuron may be named once."""
    indices = in_unit(name, neurons, PURE)
    chosen = numpy_array(name, indices, "a list of neuron indices")
    if chosen.ndim != 1 or (chosen.size and chosen.dtype.kind not in "iu"):
        raise InvalidInput(
            f"{name} must be a list of neuron indices, "
            f"got dtype {chosen.dtype} and shape {chosen.shape}"
        )
    outside = chosen[(chosen < 0) | (chosen >= n_neurons)]
    if outside.size:
        raise InvalidInput(f"{name} must be between 0 and {n_neurons - 1}, got {outside[0]}")
    chosen = chosen.astype(np.int64)
    values, counts = np.unique(chosen, return_counts=True)
    if np.any(counts > 1):
        raise InvalidInput(f"{name} must name each neuron once, got {values[counts > 1][0]} twice")
    chosen.flags.writeable = False
    return chosen


def neurons_in_order(name: str, labelled: Any) -> None:
    """Raise InvalidInput for an xarray array whose neurons aren't labelled 0, 1, 2, … in order."""
    labels = getattr(labelled, "coords", {}).get("neuron")
    if labels is None or "neuron" not in labelled.dims or labels.dtype.kind not in "iuf":
        return
    count = labelled.sizes["neuron"]
    if np.array_equal(labels, np.arange(count)):
        return
    sortable = np.array_equal(np.sort(labels), np.arange(count))
    sort = "sort it by .sortby('neuron'), or " if sortable else ""
    raise InvalidInput(
        f"{name} must have its neurons labelled 0 to {count - 1} in this order; {sort}"
        "ignore the labels by .drop_vars('neuron')"
    )


def within(
    name: str,
    values: PerNeuron,
    wanted: str,
    least: float = -sys.float_info.max,
    most: float = sys.float_info.max,
) -> None:
    """Raise InvalidInput for the first neuron whose value isn't least ≤ value ≤ most."""
    if _all_within(values, least, most):
        return
    where = ""
    if isinstance(values, np.ndarray):
        neuron = int(np.argmin((least <= values) & (values <= most)))
        where = f" for neuron {neuron}" if len(values) > 1 else ""
        values = values[neuron]
    raise InvalidInput(f"{name} must be {wanted}, got {values}{where}")


def _all_within(values: PerNeuron, least: float, most: float) -> bool:
    """Whether least ≤ value ≤ most for all values. NaN is outside. It allocates nothing."""
    if isinstance(values, np.ndarray):
        return all(
            of_parts(
                lambda part: bool(least <= values[part].min() and values[part].max() <= most),
                len(values),
            )
        )
    return least <= values <= most


def real_array(name: str, value: Any, unit: str) -> NDArray[Any]:
    """The value as an array of real numbers, without a copy if it is one already."""
    array = numpy_array(name, in_unit(name, value, unit), "an array of numbers")
    if array.dtype.kind not in "fiu":
        given = f"dtype {array.dtype}" if array.ndim else repr(value)
        raise InvalidInput(f"{name} must hold real numbers, got {given}")
    return array


def numpy_array(name: str, value: Any, wanted: str) -> NDArray[Any]:
    """The value, which isn't a quantity, as an array, without a copy if it is one already."""
    masked = sys.modules.get("numpy.ma")  # takes 7 ms to import, and has made any masked array
    if masked and isinstance(value, masked.MaskedArray):
        raise InvalidInput(f"{name} must not be a masked array; fill it first, array.filled(0.0)")
    try:
        return np.asarray(value)
    except ValueError:
        raise InvalidInput(f"{name} must be {wanted}, got ragged rows") from None
    except (TypeError, RuntimeError) as error:  # for tensors on a GPU or with gradients
        kind = type(value).__name__
        raise InvalidInput(f"{name} must be {wanted}, got a {kind}: {error}") from None


def choice(name: str, value: Any, known: Iterable[str]) -> str:
    """The value, which must be one of the known words."""
    known = tuple(known)
    if isinstance(value, str) and value in known:
        return value
    raise InvalidInput(
        f"unknown {name} {value!r}; choose from {', '.join(known)}.{hint(value, known)}"
    )


def hint(value: Any, known: Iterable[str]) -> str:
    """The text " Did you mean …?" if the value resembles a known word, else an empty one."""
    folded = {word.casefold(): word for word in known}
    near = get_close_matches(str(value).casefold(), folded, n=1)
    return f" Did you mean {folded[near[0]]!r}?" if near else ""
