"""Tell how much of a run is done."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from hhplug.errors import InvalidInput

Progress = bool | Callable[[float], None] | None


@contextmanager
def reporter(progress: Progress) -> Iterator[Callable[[float], object]]:
    """A function that takes the fraction done: a bar for True, the caller's own, or nothing."""
    if progress is None or progress is False:
        yield lambda _: None
    elif progress is True:
        from rich import get_console
        from rich.progress import Progress as Bars  # 60 ms, and seldom wanted

        if get_console().is_jupyter and not find_spec("ipywidgets"):  # rich would only warn
            yield _write_line
            return
        with Bars(transient=True) as bars:
            task = bars.add_task("simulating", total=1.0)
            yield lambda done: bars.update(task, completed=done)
    elif callable(progress):
        yield progress
    else:
        raise InvalidInput(
            f"progress must be None, True or a function of the fraction done, got {progress!r}"
        )


def _write_line(done: float) -> None:
    """A line that is written over until all is done."""
    print(f"\rsimulating {done:4.0%}", end="" if done < 1.0 else "\n", file=sys.stderr, flush=True)
