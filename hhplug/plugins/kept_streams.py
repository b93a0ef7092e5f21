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
    inherited = {number: os.get_inheritable(number) for number in filter(_is_open, range(3))}
    copies: dict[int, int] = {}
    with suppress(OSError):  # the process has as many open files as it may have
        for number in inherited:
            copies[number] = os.dup(number)
    numbers = {name: _number(name) for name in STREAMS}
    try:
        yield
    finally:
        for number, copy in copies.items():
            with suppress(OSError):  # the copy was closed too
                os.dup2(copy, number, inherited[number])
                os.close(copy)
        for name, number in numbers.items():
            if number in copies:
                _open_if_closed(name, number)


def _number(name: str) -> int | None:
    """The descriptor of a stream; None if it is closed, or isn't a file's."""
    try:
        return getattr(sys, name).fileno()
    except Exception:  # any object may stand there
        return None


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


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
