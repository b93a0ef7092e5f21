"""Keep the standard streams open, whatever a plugin closes while it is loaded."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

STREAMS = ("stdin", "stdout", "stderr")  # by their descriptors


@contextmanager
def kept_streams() -> Iterator[None]:
    """Keep what the descriptors 0 to 2 are, and open Python's streams again if they are closed."""
    # All before the first copy, which takes the number of a closed one.
    opened = [number for number in range(len(STREAMS)) if _are_same(number, number)]
    copies = {number: os.dup(number) for number in opened}
    numbers = {name: _number(name) for name in STREAMS}
    try:
        yield
    finally:
        for number, copy in copies.items():
            with suppress(OSError):  # the copy was closed too
                if not _are_same(number, copy):
                    os.dup2(copy, number)
                os.close(copy)
        for name, number in numbers.items():
            if number in copies:
                _open_if_closed(name, number)


def _number(name: str) -> int | None:
    """The descriptor of a stream; None if it is closed, or isn't a file's."""
    try:
        return getattr(sys, name).fileno()
    except (AttributeError, OSError, ValueError):  # None; not a file's; closed
        return None


def _are_same(number: int, copy: int) -> bool:
    """Whether two descriptors are open and of one file."""
    try:
        return os.path.sameopenfile(number, copy)
    except OSError:  # it is closed
        return False


def _open_if_closed(name: str, number: int) -> None:
    stream = getattr(sys, name)
    if not isinstance(stream, io.TextIOWrapper) or not stream.closed:
        return
    mode = "r" if name == "stdin" else "w"
    opened = open(  # noqa: SIM115 (it stays open, and is a descriptor)
        number, mode, encoding=stream.encoding, errors=stream.errors, closefd=False
    )
    opened.reconfigure(line_buffering=stream.line_buffering)
    if getattr(sys, f"__{name}__") is stream:
        setattr(sys, f"__{name}__", opened)
    setattr(sys, name, opened)
