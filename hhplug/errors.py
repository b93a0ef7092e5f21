"""The exceptions that hhplug raises, and the function that issues its warnings."""

import sys
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hhplug.results.result import Result


class HHPlugError(Exception):
    """Base class of hhplug's errors."""


class InvalidInput(HHPlugError, ValueError):
    """An argument is invalid. The message says which, what was given and what is accepted."""


class UnknownArgument(InvalidInput, TypeError):
    """A function got a keyword that it doesn't take. The message lists those that it takes."""


class NotRecorded(InvalidInput, KeyError, AttributeError):
    """A result has no such data, because its run didn't keep them. `hasattr` returns False."""

    __str__ = Exception.__str__  # KeyError.__str__ would put the message in quotes


class NotEnoughMemory(HHPlugError, MemoryError):
    """A run needs more memory than is free.

    needs: the part of the message that says what is needed and what is free.
    advice: arguments that would fit, which the message shows after "use".
    """

    def __init__(self, needs: str, advice: str = ""):
        super().__init__(needs, advice)
        self.needs, self.advice = needs, advice

    def __str__(self) -> str:
        return f"{self.needs}; use {self.advice}" if self.advice else self.needs


class Interrupted(KeyboardInterrupt):
    """Ctrl-C stopped a run. `except Exception` doesn't catch it, since it is a KeyboardInterrupt.

    result: the Result of the steps that were done; run(T, resume=result) continues it.
    """

    def __init__(self, message: str, result: "Result"):
        super().__init__(message, result)
        self.result = result

    def __str__(self) -> str:
        return str(self.args[0])


class MissingExtra(HHPlugError, ImportError):
    """An optional package isn't installed. The message says how to install it."""


class ContractViolation(HHPlugError, RuntimeError):
    """A backend broke the contract of `hhplug.backend`. Report it to the backend's authors."""


# The codes of BackendUnavailable which say that there is no device. "auto" doesn't warn of them.
WITHOUT_DEVICE = ("no_driver", "no_device", "devices_hidden")
# The code by which a factory refuses an index that no device has.
NO_SUCH_DEVICE = "no_such_device"


class BackendUnavailable(HHPlugError, RuntimeError):
    """A backend cannot run here. Backends and probes raise it with the first three arguments.

    code: a short name of the problem that stays the same, for programs ("no_driver").
    reason: what is wrong.
    fix: what the user can do about it.
    backend: the backend's name, which the registry adds.
    detail: the whole cause, for example a traceback.
    device: the name of a device that is present, though the backend cannot use it; "auto" warns.
    """

    def __init__(
        self,
        code: str,
        reason: str,
        fix: str = "",
        *,
        backend: str = "",
        detail: str = "",
        device: str = "",
    ):
        self.code, self.reason, self.fix = str(code), str(reason), str(fix)
        super().__init__(self.code, self.reason, self.fix)
        self.backend = backend
        self.detail = detail
        self.device = device

    def of(self, backend: str) -> "BackendUnavailable":
        """A copy for the backend of this name, without the frames that a raised error keeps."""
        return BackendUnavailable(
            self.code,
            self.reason,
            self.fix,
            backend=backend,
            detail=self.detail,
            device=self.device,
        )

    def __str__(self) -> str:
        backend = f"backend {self.backend!r}" if self.backend else "the backend"
        reason = self.reason.rstrip(".")
        reason += "" if reason.endswith("?") else "."
        text = f"{backend} cannot run here: [{self.code}] {reason}"
        if self.fix:
            text += f" Fix: {self.fix}"
        if self.backend:
            text += f" (hhplug backends --why {self.backend})"
        return text


def described(error: BaseException) -> str:
    """The type and the message of an exception, even if showing its message fails."""
    try:
        message = str(error)
    except BaseException:
        message = "its message cannot be shown"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def warn(message: str) -> None:
    """Issue a RuntimeWarning at the line outside hhplug that led to it.

    Python shows a warning once for each line, so one at a line of hhplug would be shown only once.
    """
    frame, level = sys._getframe(1), 2
    while frame and frame.f_globals.get("__name__", "").partition(".")[0] == "hhplug":
        frame, level = frame.f_back, level + 1
    warnings.warn(message, RuntimeWarning, stacklevel=level)
