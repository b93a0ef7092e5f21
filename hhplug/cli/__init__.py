"""The command line: `hhplug run | layout | advance | status | finish | show | backends | …`.

The exit code is 0 on success; 1 if a backend fails its tests or the output is closed before it is
read; 2 for bad input; 3 for an unavailable backend; 130 after Ctrl-C, when `run` still prints and
writes the steps that are done. Errors are one or two lines on standard error.
"""

import argparse
import io
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from hhplug._version import __version__
from hhplug.cli import (
    advance,
    bench,
    certifying,
    finish,
    layout,
    listing,
    new_backend,
    run,
    show,
    status,
)
from hhplug.cli.arguments import Parser
from hhplug.cli.exits import BAD_INPUT, INTERRUPTED, UNAVAILABLE, UNREAD, fail
from hhplug.cli.json_output import json_output
from hhplug.errors import BackendUnavailable, HHPlugError, NotEnoughMemory


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    if sys.stdout is None:  # the process that started this one closed it
        sys.stdout = io.StringIO()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # not every encoding has µ and █
    options = _parser().parse_args(arguments)
    try:
        with warnings.catch_warnings(), _json_output(options, arguments) as options.print_json:
            warnings.showwarning = _show_warning
            code = options.command(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Python flushes again at exit; see "Note on SIGPIPE" in the documentation of `signal`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    except BackendUnavailable as error:
        return fail(error, UNAVAILABLE)
    except MemoryError as error:
        known = isinstance(error, NotEnoughMemory)
        return fail((error.needs if known else f"no memory: {error}") + options.advice, BAD_INPUT)
    except (HHPlugError, OSError) as error:
        return fail(error, BAD_INPUT)
    except KeyboardInterrupt as stop:
        return fail(str(stop) or "interrupted", INTERRUPTED)


def _json_output(
    options: argparse.Namespace, arguments: Sequence[str] | None
) -> AbstractContextManager[Callable[[object], None] | None]:
    if not getattr(options, "json", False):
        return nullcontext()
    return json_output(whole_process=arguments is None)  # else a user's program calls main


def _show_warning(message: Warning | str, *_: object) -> None:
    print(f"hhplug: warning: {message}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="hhplug", description="Simulate large populations of Hodgkin-Huxley neurons."
    )
    parser.add_argument("--version", action="version", version=f"hhplug {__version__}")
    parser.set_defaults(advice="")  # added to the message of a MemoryError
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (
        run,
        layout,
        advance,
        status,
        finish,
        show,
        listing,
        bench,
        new_backend,
        certifying,
    ):
        command.add(commands)
    return parser
