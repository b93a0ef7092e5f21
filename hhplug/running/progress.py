"""Show how much of a run is done."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import IO

from hhplug.errors import InvalidInput

Progress = bool | Callable[[float], None] | None


@contextmanager
def reporter(progress: Progress) -> Iterator[Callable[[float], object]]:
    """Context manager: a function that takes the fraction done, between 0 and 1.

    It draws a bar for True, is the caller's own function, or does nothing. The bar is drawn on
    standard error or below a notebook's cell. Where neither can show a bar, it is a percentage.
    Raises InvalidInput for another kind of progress.
    """
    if progress is None or progress is False:
        yield lambda _: None
    elif progress is True:
        from rich import get_console
        from rich.console import Console
        from rich.progress import Progress as Bars  # importing takes 60 ms, and few runs need it

        notebook, errors = get_console(), Console(stderr=True)
        console = notebook if notebook.is_jupyter else errors
        # Without ipywidgets, rich would only warn. Into a file, it would write nothing.
        if not (find_spec("ipywidgets") if notebook.is_jupyter else errors.is_terminal):
            with _line(errors.file) as report:
                yield report
            return
        with Bars(console=console, transient=True) as bars:
            task = bars.add_task("simulating", total=1.0)
            yield lambda done: bars.update(task, completed=done)
    elif callable(progress):
        yield progress
    else:
        raise InvalidInput(
            f"progress must be None, True or a function of the fraction done, got {progress!r}"
        )


@contextmanager
def _line(file: IO[str]) -> Iterator[Callable[[float], object]]:
    """Context manager: a function that overwrites the percentage shown when it changes."""
    shown = ""

    def report(done: float) -> None:
        nonlocal shown
        text = f"\rsimulating {done:4.0%}"
        if text != shown:
            print(text, end="", file=file, flush=True)
            shown = text

    try:
        yield report
    finally:
        print(file=file, flush=True)
