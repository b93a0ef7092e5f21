"""Undo what a plugin changes in the process while hhplug imports it or calls it."""

import gc
import locale
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import numpy as np


@contextmanager
def kept_settings() -> Iterator[None]:
    """Keep warnings filters, NumPy's error and print settings and signal handlers as they are."""
    handlers = _handlers()
    with warnings.catch_warnings(), np.errstate(), np.printoptions():
        try:
            yield
        finally:
            for number, now in _handlers().items():
                before = handlers[number]
                if now != before and before is not None:  # None: one that Python didn't install
                    signal.signal(number, before)


@contextmanager
def kept_process() -> Iterator[None]:
    """Keep these, and also what else code that is merely listed has no reason to change.

    These are the environment, the current folder, the locale, the streams, the exception hook, the
    recursion limit, garbage collection, the function that traces, the root logger, the states of
    the global random numbers and the alarm.
    """
    environment = dict(os.environ)
    before = [(write, read()) for read, write in _accessors()]
    timed = hasattr(signal, "setitimer") and signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    with kept_settings():
        try:
            yield
        finally:
            for write, value in before:
                with suppress(OSError, locale.Error):  # the folder may be gone
                    write(value)
            if timed:  # an alarm would end the process
                signal.setitimer(signal.ITIMER_REAL, 0.0)
            for name in os.environ.keys() - environment.keys():
                del os.environ[name]
            os.environ.update(environment)


def _handlers() -> dict[signal.Signals | int, Any]:
    """The handler of each signal. Only the main thread may set one."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.getsignal(number) for number in signal.valid_signals()}


def _accessors() -> Iterator[tuple[Callable[[], Any], Callable[[Any], object]]]:
    """The functions that read and write each setting."""
    yield _current_folder, lambda folder: folder and os.chdir(folder)
    yield partial(locale.setlocale, locale.LC_ALL), partial(locale.setlocale, locale.LC_ALL)
    yield sys.getrecursionlimit, sys.setrecursionlimit
    yield gc.isenabled, lambda enabled: gc.enable() if enabled else gc.disable()
    yield sys.gettrace, _set_trace
    if random := sys.modules.get("random"):
        yield random.getstate, random.setstate
    if "numpy.random" in sys.modules:  # importing it takes 10 ms
        yield np.random.get_state, np.random.set_state
    for owner, name in (
        (sys, "stdin"),
        (sys, "stdout"),
        (sys, "stderr"),
        (sys, "excepthook"),
    ):
        yield partial(getattr, owner, name), partial(setattr, owner, name)
    yield _root_logger, _set_root_logger


def _root_logger() -> tuple[int, list[Any], int]:
    """Its level, its handlers, and the disabled levels; Python's defaults if nobody has used it."""
    if logging := sys.modules.get("logging"):  # importing it takes 3 ms
        return logging.root.level, logging.root.handlers.copy(), logging.root.manager.disable
    return 30, [], 0  # WARNING


def _set_root_logger(settings: tuple[int, list[Any], int]) -> None:
    if logging := sys.modules.get("logging"):
        logging.root.level, logging.root.handlers, logging.root.manager.disable = settings


def _set_trace(function: Any) -> None:
    """Set the function that traces, unless it is set already, which a debugger would notice."""
    if sys.gettrace() is not function:
        sys.settrace(function)


def _current_folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 (a Path would be built for nothing)
    except OSError:  # it was removed
        return None
