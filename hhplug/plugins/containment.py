"""Undo what a plugin changes in the process while hhplug imports it or calls it."""

import gc
import locale
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import numpy as np

from hhplug.plugins.kept_streams import kept_streams


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

    These are the environment, the current folder, the locale, Python's hooks, the module search
    path, the recursion limit, the interval at which threads switch, garbage collection, the
    functions that trace and profile, the root logger, the timeout of sockets, the folder of
    temporary files, the states of the global random numbers, the permissions of new files, the
    processors that may be used, blocked signals, the alarm, and the standard streams with their
    descriptors. A forked copy of the process that comes back from the plugin is ended.
    """
    process, environment = os.getpid(), dict(os.environ)
    before = [(write, read()) for read, write in _accessors()]
    timed = hasattr(signal, "setitimer") and signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    with kept_settings(), kept_streams():
        try:
            yield
        finally:
            if os.getpid() != process:
                os._exit(0)  # it would go on with the user's program, beside the first
            for write, value in before:
                with suppress(OSError, locale.Error):  # the folder may be gone
                    write(value)
            if timed:  # an alarm would end the process
                signal.setitimer(signal.ITIMER_REAL, 0.0)
            zone = os.environ.get("TZ")
            for name in os.environ.keys() - environment.keys():
                del os.environ[name]
            os.environ.update(environment)
            if zone != os.environ.get("TZ") and hasattr(time, "tzset"):
                time.tzset()


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
    yield gc.get_threshold, lambda threshold: gc.set_threshold(*threshold)
    yield gc.get_debug, gc.set_debug
    yield sys.getswitchinterval, sys.setswitchinterval
    yield sys.gettrace, _set_trace
    yield sys.getprofile, _set_profile
    yield _search_path, _set_search_path
    yield _umask, os.umask
    if hasattr(os, "sched_setaffinity"):
        yield partial(os.sched_getaffinity, 0), partial(os.sched_setaffinity, 0)
    if hasattr(signal, "pthread_sigmask"):
        yield partial(signal.pthread_sigmask, signal.SIG_BLOCK, ()), _set_blocked
    if random := sys.modules.get("random"):
        yield random.getstate, random.setstate
    if "numpy.random" in sys.modules:  # importing it takes 10 ms
        yield np.random.get_state, np.random.set_state
    for owner, name in (
        (sys, "stdin"),
        (sys, "stdout"),
        (sys, "stderr"),
        (sys, "excepthook"),
        (sys, "unraisablehook"),
        (sys, "displayhook"),
        (sys, "breakpointhook"),
        (threading, "excepthook"),
    ):
        yield partial(getattr, owner, name), partial(setattr, owner, name)
    yield _root_logger, _set_root_logger
    yield _of_later_modules, _set_later_modules


def _search_path() -> tuple[list[str], list[str]]:
    return sys.path, list(sys.path)


def _set_search_path(before: tuple[list[str], list[str]]) -> None:
    sys.path, entries = before
    sys.path[:] = entries


def _umask() -> int:
    umask = os.umask(0)  # can't be read without being set
    os.umask(umask)
    return umask


def _of_later_modules() -> tuple[Any, Any]:
    """The timeout of sockets and the folder of temporary files, None if nothing has set them yet.

    Neither module is imported for this.
    """
    socket, tempfile = sys.modules.get("socket"), sys.modules.get("tempfile")
    return socket and socket.getdefaulttimeout(), tempfile and tempfile.tempdir


def _set_later_modules(settings: tuple[Any, Any]) -> None:
    if socket := sys.modules.get("socket"):
        socket.setdefaulttimeout(settings[0])
    tempfile: Any = sys.modules.get("tempfile")
    if tempfile:
        tempfile.tempdir = settings[1]


def _set_blocked(signals: set[signal.Signals]) -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, signals)


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


def _set_profile(function: Any) -> None:
    """Set the function that profiles, unless it is set."""
    if sys.getprofile() is not function:
        sys.setprofile(function)


def _current_folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 (a Path would be built for nothing)
    except OSError:  # it was removed
        return None
