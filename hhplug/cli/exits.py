"""The exit codes of the program, and how it says what went wrong."""

import sys

UNREAD, BAD_INPUT, UNAVAILABLE, INTERRUPTED = 1, 2, 3, 130


def fail(error: object, code: int) -> int:
    """Print an error on standard error, and return the exit code."""
    print(f"hhplug: {error}", file=sys.stderr)
    return code
