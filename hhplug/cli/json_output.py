"""Keep standard output for a command's JSON, whatever plugins and their libraries print."""

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def json_output(whole_process: bool) -> Iterator[Callable[[object], None]]:
    """Yield a function that prints JSON on standard output; all else goes to standard error.

    whole_process: what is printed at the end of the process, for example by a C library that has
    held it back, goes to standard error too. Otherwise standard output is as before afterwards.
    """
    shown = sys.stdout
    shown.flush()
    try:
        output = os.dup(shown.fileno())
    except (OSError, ValueError):  # not a file, for example where a notebook captures it
        output = None
    saved = _redirect()
    sys.stdout = sys.stderr or io.StringIO()

    def print_json(value: object) -> None:
        text = json.dumps(value, ensure_ascii=False) + "\n"
        if output is None:
            shown.write(text)
            return
        data = text.encode(shown.encoding, "replace")
        while data:
            data = data[os.write(output, data) :]

    try:
        yield print_json
    finally:
        if output is not None:
            shown.flush()  # code that kept this stream may have printed to it
            os.close(output)
        sys.stdout = shown
        if saved is not None and not whole_process:
            os.dup2(saved, 1)
        if saved is not None:
            os.close(saved)


def _redirect() -> int | None:
    """Point descriptor 1 to standard error; return a copy of what it was."""
    if sys.__stdout__ is None:  # it was closed, and the descriptor may be another file now
        return None
    saved = os.dup(1)
    if sys.__stderr__ is None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
    else:
        os.dup2(2, 1)
    return saved
