"""Checks of the features and of the window that a run is asked for."""

from collections.abc import Iterable
from typing import Any

from hhplug import checks
from hhplug.clock import MOST_STEPS, nearest_step
from hhplug.errors import InvalidInput
from hhplug.features.definitions import FEATURES


def checked_features(features: Any) -> tuple[str, ...]:
    """The names of features, of which there may be none, or "all". Raises InvalidInput for others.

    Of a list, "all" may be the only name.
    """
    if not isinstance(features, Iterable):
        raise InvalidInput(f"features must be names of {', '.join(FEATURES)}, got {features!r}")
    names = (features,) if isinstance(features, str) else tuple(features)
    if names == ("all",):
        return tuple(FEATURES)
    for name in names:
        checks.choice("feature", name, FEATURES)
    if len(set(names)) < len(names):
        raise InvalidInput(f"features must name each feature once, got {names}")
    return names


def checked_window(
    window: Any, features: tuple[str, ...], dt: float
) -> tuple[tuple[float, float] | None, tuple[int, int] | None]:
    """A window (start, stop) in ms, and its steps first ≤ k < end; None twice for None.

    Raises InvalidInput unless there are features and it has a whole step at or after time zero.
    """
    if window is None:
        return None, None
    if not features:
        raise InvalidInput('window is that of features; give features=("spike_count", …) too')
    try:
        start, stop = window
    except (TypeError, ValueError):
        raise InvalidInput(f"window must be (start, stop) in ms, got {window!r}") from None
    times = (
        checks.number("start of window", start, "ms"),
        checks.number("stop of window", stop, "ms"),
    )
    if times[0] < 0.0 or times[1] / dt > MOST_STEPS:
        raise InvalidInput(f"window must lie between 0 and the last possible step, got {window}")
    first, end = (int(nearest_step(time, dt)) for time in times)
    if first >= end:
        raise InvalidInput(
            f"window must stop at least a step of {dt:g} ms after it starts, "
            f"got {times[0]:g} to {times[1]:g} ms"
        )
    return times, (first, end)


def check_begins_in_run(
    window_steps: tuple[int, int], start_step: int, n_steps: int, dt: float
) -> None:
    """Raise InvalidInput unless a window's first step is one of a run's. dt: ms."""
    first, end_step = window_steps[0], start_step + n_steps
    if first < start_step:
        raise InvalidInput(
            f"window begins at {first * dt:.15g} ms, before this run, which begins at "
            f"{start_step * dt:.15g} ms; a run that resumes one with the same features, window, dt "
            "and spike_threshold goes on with its features"
        )
    if first >= end_step:
        raise InvalidInput(
            f"window begins at {first * dt:.15g} ms, when this run has ended, at "
            f"{end_step * dt:.15g} ms"
        )
