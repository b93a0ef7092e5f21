"""Everything that hhplug raises on purpose, and how it warns."""

import sys
import warnings
from typing import Any


class HHPlugError(Exception):
    """Base of all errors below."""


class InvalidInput(HHPlugError, ValueError):
    """An argument that can't be simulated; says which, what was given and what would do."""


class UnknownArgument(InvalidInput, TypeError):
    """A keyword that a function doesn't take; says which it takes."""


class NotRecorded(InvalidInput, KeyError, AttributeError):
    """What a run didn't keep, asked of its result; `hasattr` is False for it."""

    __str__ = Exception.__str__  # a KeyError's own shows its message in quotes


class NotEnoughMemory(HHPlugError, MemoryError):
    """What was asked for doesn't fit.

    needs: what it takes and what is free; advice: arguments that would do, after "use".
    """

    def __init__(self, needs: str, advice: str = ""):
        super().__init__(needs, advice)
        self.needs, self.advice = needs, advice

    def __str__(self) -> str:
        return f"{self.needs}; use {self.advice}" if self.advice else self.needs


class Interrupted(KeyboardInterrupt):
    """Ctrl-C stopped a run. Like every KeyboardInterrupt it passes `except Exception`.

    result: the Result of the steps that were done, from which run(T, resume=result) goes on.
    """

    def __init__(self, message: str, result: Any):
        super().__init__(message, result)
        self.result = result

    def __str__(self) -> str:
        return self.args[0]


class MissingExtra(HHPlugError, ImportError):
    """An optional package is needed; says how to install it."""


class ContractViolation(HHPlugError, RuntimeError):
    """A backend broke the contract of `hhplug.backend`: report it to the backend's authors."""


class BackendUnavailable(HHPlugError, RuntimeError):
    """A backend cannot run here. Backends and probes raise it with the first three arguments.

    code: short and stable, for programs (`no_driver`); reason: what is wrong; fix: what to do.
    The registry adds the backend's name, and in detail the whole cause (a traceback, say).
    """

    def __init__(
        self, code: str, reason: str, fix: str = "", *, backend: str = "", detail: str = ""
    ):
        self.code, self.reason, self.fix = str(code), str(reason), str(fix)
        super().__init__(self.code, self.reason, self.fix)
        self.backend = backend
        self.detail = detail

    def __str__(self) -> str:
        backend = f"backend {self.backend!r}" if self.backend else "the backend"
        text = f"{backend} cannot run here: [{self.code}] {self.reason.rstrip('.')}."
        if self.fix:
            text += f" Fix: {self.fix}"
        if self.backend:
            text += f" (hhplug backends --why {self.backend})"
        return text


def warn(message: str) -> None:
    """A RuntimeWarning of the line outside hhplug that called it, so that each is heard of."""
    frame, level = sys._getframe(1), 2
    while frame and frame.f_globals.get("__name__", "").partition(".")[0] == "hhplug":
        frame, level = frame.f_back, level + 1
    warnings.warn(message, RuntimeWarning, stacklevel=level)
