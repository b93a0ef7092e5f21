"""The steps of a run: times in ms as numbers of steps of dt."""

from math import gcd
from typing import Any

import numpy as np

from hhplug import checks
from hhplug.errors import InvalidInput

HALF_STEP_TOLERANCE = 1e-6  # steps; a time this little below a half step is rounded up too
WHOLE_STEPS_TOLERANCE = 1e-6  # steps; largest difference between T/dt and a whole number
QUOTIENT_ERROR = 1.5 * 2.0**-52  # largest relative rounding error of T, dt and T/dt together
MOST_STEPS = 2**53  # beyond this, float64 can't represent every step number


def nearest_step(time: Any, dt: float) -> Any:
    """The step whose beginning is nearest to a time in ms, or to each time of an array.

    Half a step is rounded up. Times that are a whole number of steps apart stay that far apart.
    """
    return np.floor(time / dt + (0.5 + HALF_STEP_TOLERANCE))


def _is_whole(steps: float) -> bool:
    """Whether a quotient of two times is a whole number of steps, except for rounding errors."""
    return abs(steps - round(steps)) <= max(WHOLE_STEPS_TOLERANCE, QUOTIENT_ERROR * steps)


def _digits(steps: float) -> int:
    """Digits with which a message writes a time of this many steps, so that it can be used."""
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


def resumed_step(next_step: int, old_dt: float, dt: float, n_steps: int) -> int:
    """The number of the step of dt ms that begins at the time next_step · old_dt.

    old_dt: dt of the run that is continued, ms. n_steps: length of the new run, from which the
    error proposes a dt. Raises InvalidInput if no step of dt begins at that time.
    """
    if dt == old_dt:
        return next_step
    time = next_step * old_dt
    steps = time / dt
    if not steps < MOST_STEPS:
        raise InvalidInput(
            f"dt={dt!r} ms makes the time of resume {steps:g} steps, more than can be counted"
        )
    if _is_whole(steps) and steps > 0.5:
        return round(steps)
    # The proposed dt divides the time and, if the old dt divides T, T too.
    steps_of_T = n_steps * dt / old_dt
    unit = old_dt * gcd(next_step, round(steps_of_T)) if _is_whole(steps_of_T) else time
    most = max(1, int(unit / dt))
    near = [f"{unit / parts:.{_digits(steps)}g}" for parts in (most + 1, most)]
    raise InvalidInput(
        f"dt must divide the time of resume, {time:.{_digits(steps)}g} ms, into whole steps; "
        f"got {dt!r} ms ({steps:.15g} steps), and the nearest that would do are "
        f"{near[0]} and {near[1]} ms"
    )


def checked_start(start_step: int, n_steps: int) -> int:
    """The first step as an int. Raises InvalidInput if the run goes beyond MOST_STEPS."""
    start_step = checks.whole("start_step", start_step, 0)
    if start_step + n_steps > MOST_STEPS:
        raise InvalidInput(
            f"start_step must be at most {MOST_STEPS - n_steps} for a run of {n_steps} steps, "
            f"got {start_step}: later steps can't be counted"
        )
    return start_step
