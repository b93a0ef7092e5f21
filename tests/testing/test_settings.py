"""The settings of a process that the kit looks at: a change of any is named."""

import decimal
import faulthandler
import gc
import locale
import logging
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from sabotaged.process import _set_mxcsr

from hhplug.testing.settings import settings

# What a backend may change; how it is undone follows from what was set before.
CHANGES = {
    "how warnings are shown": lambda patch: patch.setattr(warnings, "showwarning", print),
    "the handlers and the level of logging": lambda patch: patch.setattr(
        logging.getLogger(), "level", 17
    ),
    "the rounding of numbers": lambda _: _set_mxcsr(0x1F80 | 0x2000),  # down
    "the context of decimal numbers": lambda patch: patch.setattr(decimal.getcontext(), "prec", 7),
    "how NumPy prints": lambda _: np.set_printoptions(precision=3),
    "NumPy's buffers": lambda _: np.setbufsize(16_384),
    "NumPy's functions": lambda patch: patch.setattr(np, "exp", abs),
    "Python's functions": lambda patch: patch.setattr("builtins.input", list),
    "the precision of JAX": lambda patch: patch.setitem(
        sys.modules, "jax", SimpleNamespace(config=SimpleNamespace(jax_enable_x64=True))
    ),
    "the locale": lambda _: locale.setlocale(locale.LC_ALL, "C.UTF-8"),
    "the start method of processes": lambda _: multiprocessing.set_start_method(
        "spawn", force=True
    ),
    "how modules are found": lambda patch: patch.setattr(sys, "meta_path", [*sys.meta_path, None]),
    "what is called for exceptions": lambda patch: patch.setattr(threading, "excepthook", print),
    "faulthandler": lambda _: (
        faulthandler.disable() if faulthandler.is_enabled() else faulthandler.enable(sys.__stderr__)
    ),
    "the permissions of new files": lambda _: os.umask(0o077),
    "the folder of temporary files": lambda patch: patch.setattr(tempfile, "tempdir", "/"),
    "the timeout of sockets": lambda _: socket.setdefaulttimeout(3.0),
    "the timer": lambda _: signal.setitimer(signal.ITIMER_REAL, 1e5),
    "the stack of new threads": lambda _: threading.stack_size(2**20),
    "garbage collection": lambda _: gc.set_threshold(701),
    "the recursion limit": lambda _: sys.setrecursionlimit(3456),
}


@pytest.fixture
def undone():
    """Put back what no MonkeyPatch does."""
    umask = os.umask(0)
    os.umask(umask)
    threshold, limit = gc.get_threshold(), sys.getrecursionlimit()
    was_on, method = faulthandler.is_enabled(), multiprocessing.get_start_method(allow_none=True)
    size, options = np.getbufsize(), np.get_printoptions()
    name = locale.setlocale(locale.LC_ALL)
    yield
    _set_mxcsr(0x1F80)
    os.umask(umask)
    gc.set_threshold(*threshold)
    sys.setrecursionlimit(limit)
    locale.setlocale(locale.LC_ALL, name)
    if was_on != faulthandler.is_enabled():
        (faulthandler.enable(sys.__stderr__) if was_on else faulthandler.disable())
    multiprocessing.set_start_method(method, force=True)
    np.setbufsize(size)
    np.set_printoptions(**options)
    socket.setdefaulttimeout(None)
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    threading.stack_size(0)


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.usefixtures("undone")
def test_a_change_is_seen_and_named(what):
    with pytest.MonkeyPatch.context() as patch:
        before = settings()
        CHANGES[what](patch)
        after = settings()
    assert what in [name for name, value in before.items() if after[name] != value]


@pytest.mark.parametrize("function", ["json.dumps", "math.exp", "os.getpid", "time.sleep"])
def test_a_function_of_python_that_is_replaced_is_seen(function, monkeypatch):
    before = settings()
    monkeypatch.setattr(function, abs)
    assert settings()["Python's functions"] != before["Python's functions"]


def test_without_a_change_none_is_seen():
    assert settings() == settings()
