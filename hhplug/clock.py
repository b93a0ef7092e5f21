"""The steps of a run: times in ms as numbers of steps of dt."""

from math import gcd
from typing import Any

import numpy as np

from hhplug import checks
from hhplug.errors import InvalidInput

HALF_STEP_TOLERANCE = 1e-6  # steps; rounding errors never decide how a half is rounded
WHOLE_STEPS_TOLERANCE = 1e-6  # of a step, by which T may miss a whole number of steps
QUOTIENT_ERROR = 1.5 * 2.0**-52  # of T/dt, relative: T, dt and the quotient are rounded
MOST_STEPS = 2**53  # above, time = step·dt no longer tells steps apart


def nearest_step(time: Any, dt: float) -> Any:
    """The step whose beginning is nearest to a time in ms, or to each time of an array.

    Half a step is rounded up. Times that are a whole number of steps apart stay that far apart.
    """
    return np.floor(time / dt + (0.5 + HALF_STEP_TOLERANCE))


def _is_whole(steps: float) -> bool:
    """Whether a quotient of two times is a whole number of steps, but for rounding."""
    return abs(steps - round(steps)) <= max(WHOLE_STEPS_TOLERANCE, QUOTIENT_ERROR * steps)


def _digits(steps: float) -> int:
    """How many digits show a time of this many steps so that it can be given back."""
    return 15 if steps < 1e8 else 17


def whole_steps(T: float, dt: float) -> int:
    """The number of steps of dt in T, both in ms. Raises InvalidInput unless it is whole."""
    steps = T / dt
    if not steps < MOST_STEPS:
        raise InvalidInput(
            f"T={T:g} ms is {steps:g} steps of dt={dt!r} ms, more than can be counted"
        )
    n_steps = round(steps)
    if n_steps < 1 or not _is_whole(steps):
        below, digits = max(1, int(steps)), _digits(steps)
        raise InvalidInput(
            f"T must be a whole number of steps of dt={dt!r} ms, got {T:.{digits}g} ms "
            f"({steps:.{digits}g} steps); the nearest that would do are "
            f"{below * dt:.{digits}g} and {(below + 1) * dt:.{digits}g} ms"
        )
    return n_steps


def resumed_step(next_step: int, before: float, dt: float, n_steps: int) -> int:
    """The step of dt ms that begins when step `next_step` of `before` ms would.

    n_steps: length of the run that begins there, for the advice. Raises InvalidInput, naming a dt
    that would do, if no step begins then.
    """
    if dt == before:
        return next_step
    time = next_step * before
    steps = time / dt
    if not steps < MOST_STEPS:
        raise InvalidInput(
            f"dt={dt!r} ms makes the time of resume {steps:g} steps, more than can be counted"
        )
    if _is_whole(steps) and steps > 0.5:
        return round(steps)
    # A dt that divides both the time and T, if the dt before divides T, else the time alone.
    more = n_steps * dt / before
    unit = before * gcd(next_step, round(more)) if _is_whole(more) else time
    most = max(1, int(unit / dt))
    near = [f"{unit / parts:.{_digits(steps)}g}" for parts in (most + 1, most)]
    raise InvalidInput(
        f"dt must divide the time of resume, {time:.{_digits(steps)}g} ms, into whole steps, or "
        f"time would move; got {dt!r} ms ({steps:.15g} steps), and the nearest that would do are "
        f"{near[0]} and {near[1]} ms"
    )


def checked_start(start_step: int, n_steps: int) -> int:
    """The first step of a run as an int. Raises InvalidInput if its last can't be counted."""
    start_step = checks.whole("start_step", start_step, 0)
    if start_step + n_steps > MOST_STEPS:
        raise InvalidInput(
            f"start_step must be at most {MOST_STEPS - n_steps} for a run of {n_steps} steps, "
            f"got {start_step}: later steps can't be counted"
        )
    return start_step
