"""Checks of the arguments that make a term of a Stimulus."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hhplug import checks
from hhplug.checks import PerNeuron
from hhplug.currents.terms import ROUNDING, UNIT
from hhplug.errors import InvalidInput

MOST_SEED = 2**64 - 1  # two words of 32 bits
LEAST_POSITIVE = float(np.nextafter(0.0, 1.0))


def checked_amplitude(name: str, value: ArrayLike) -> PerNeuron:
    """A finite current in µA/cm², or one for each neuron."""
    return checks.per_neuron(name, value, UNIT)


def checked_number(name: str, value: ArrayLike, unit: str) -> PerNeuron:
    """A finite number, or one for each neuron."""
    if _is_single(value):
        return checks.number(name, value, unit)
    return checks.per_neuron(name, value, unit)


def checked_positive(name: str, value: ArrayLike, unit: str) -> PerNeuron:
    """A positive number, or one for each neuron."""
    if _is_single(value):
        return checks.positive(name, value, unit)
    return checks.per_neuron(name, value, unit, f"a positive number of {unit}", LEAST_POSITIVE)


def _is_single(value: ArrayLike) -> bool:
    return isinstance(value, (str, bytes)) or not np.iterable(value)


def checked_interval(start: ArrayLike, stop: ArrayLike) -> tuple[PerNeuron, PerNeuron]:
    """Start and stop in ms. Each stop must be later than its start."""
    start, stop = checked_number("start", start, "ms"), checked_number("stop", stop, "ms")
    if _comparable(start, stop):
        _refuse_where(stop <= start, "stop must be later than start={} ms, got {}", start, stop)
    return start, stop


def checked_pulses(width: ArrayLike, period: ArrayLike) -> tuple[PerNeuron, PerNeuron]:
    """The width and the period of pulses in ms. Each width must be at most its period.

    A width that is the period but for a rounding error becomes the period.
    """
    width = checked_positive("width", width, "ms")
    period = checked_positive("period", period, "ms")
    if _comparable(width, period):
        if np.any(same := np.abs(width - period) <= ROUNDING * period):
            width = checks.per_neuron("width", np.where(same, period, width), "ms")
        _refuse_where(
            width > period,
            "width must be at most the period of {} ms, or pulses overlap, got {}",
            period,
            width,
        )
    return width, period


def _comparable(one: PerNeuron, other: PerNeuron) -> bool:
    """Whether both are for the same number of neurons. `Stimulus` refuses those that aren't."""
    return np.size(one) == np.size(other) or 0 in (np.ndim(one), np.ndim(other))


def _refuse_where(wrong: Any, message: str, *values: PerNeuron) -> None:
    """Raise InvalidInput for the first neuron that is wrong. message: has a {} for each value."""
    if np.any(wrong):
        neuron = int(np.argmax(wrong))
        first = [value[neuron] if isinstance(value, np.ndarray) else value for value in values]
        where = f" for neuron {neuron}" if np.ndim(wrong) else ""
        raise InvalidInput(message.format(*first) + where)


def checked_seed(value: Any) -> int:
    """A seed of noise, 0 ≤ seed < 2⁶⁴."""
    seed = checks.whole("seed", value, 0)
    if seed > MOST_SEED:
        raise InvalidInput(f"seed must be at most 2⁶⁴ − 1, got {seed}")
    return seed
