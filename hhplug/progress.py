"""Tell how much of a run is done."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hhplug.errors import InvalidInput

Progress = bool | Callable[[float], None] | None


@contextmanager
def reporter(progress: Progress) -> Iterator[Callable[[float], object]]:
    """A function that takes the fraction done: a bar for True, the caller's own, or nothing."""
    if progress is None or progress is False:
        yield lambda _: None
    elif progress is True:
        from rich.progress import Progress as Bars  # 60 ms, and seldom wanted

        with Bars(transient=True) as bars:
            task = bars.add_task("simulating", total=1.0)
            yield lambda done: bars.update(task, completed=done)
    elif callable(progress):
        yield progress
    else:
        raise InvalidInput(
            f"progress must be None, True or a function of the fraction done, got {progress!r}"
        )
