"""The settings of a process that belong to its user, and what a backend's first run changes."""

import builtins
import decimal
import faulthandler
import gc
import json
import locale
import logging
import math
import os
import random
import signal
import socket
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

DENORMAL = 1e-310  # a denormal float64
PATCHED = (builtins, json, math, os, sys, threading, time)  # programs replace their functions
# Half a unit in the last place, which is lost unless the processor rounds up, down or toward zero.
HALVES = np.array([1.0, -1.0, 1.0, -1.0]), np.array([2.0**-53, -(2.0**-53), -(2.0**-54), 2.0**-54])


def settings() -> dict[str, Any]:
    """The settings of the process that belong to its user."""
    torch, jax = (sys.modules.get(name) for name in ("torch", "jax"))
    processes = sys.modules.get("multiprocessing")
    root = logging.getLogger()
    numpy_state = np.random.get_state()  # noqa: NPY002 (users' programs still have it)
    return {
        "the environment": dict(os.environ),
        "np.errstate": (np.geterr(), np.geterrcall()),
        "NumPy's random state": repr(numpy_state),
        "Python's random state": random.getstate(),
        "the signal handlers": [signal.getsignal(number) for number in signal.valid_signals()],
        "the warning filters": list(warnings.filters),
        "how warnings are shown": warnings.showwarning,
        "the handlers and the level of logging": (
            root.handlers[:],
            root.level,
            root.manager.disable,
        ),
        "denormal numbers": np.array([DENORMAL]) * 0.5 != 0.0,
        "the rounding of numbers": np.add(*HALVES).tolist(),
        "the context of decimal numbers": repr(decimal.getcontext()),
        "how NumPy prints": np.get_printoptions(),
        "NumPy's buffers": np.getbufsize(),
        "NumPy's functions": _functions(np),
        "Python's functions": [_functions(module) for module in PATCHED],
        "the locale": locale.setlocale(locale.LC_ALL),
        "the working directory": Path.cwd(),
        "the default type of PyTorch": torch and torch.get_default_dtype(),
        "the threads of PyTorch": torch and torch.get_num_threads(),
        "whether PyTorch computes gradients": not torch or torch.is_grad_enabled(),
        "the precision of JAX": bool(jax and jax.config.jax_enable_x64),
        "the start method of processes": processes and processes.get_start_method(allow_none=True),
        "the recursion limit": sys.getrecursionlimit(),
        "standard input, output and error": (sys.stdin, sys.stdout, sys.stderr),
        "the module search path": list(sys.path),
        "how modules are found": (list(sys.meta_path), list(sys.path_hooks)),
        "what is called for exceptions": (sys.excepthook, sys.unraisablehook, threading.excepthook),
        "what is called at each line": (sys.gettrace(), sys.getprofile()),
        "faulthandler": faulthandler.is_enabled(),
        "the permissions of new files": _umask(),
        "the folder of temporary files": tempfile.gettempdir(),
        "the timeout of sockets": socket.getdefaulttimeout(),
        "the timer": getattr(signal, "getitimer", lambda _: (0.0, 0.0))(0)[0] > 0.0,
        "the stack of new threads": threading.stack_size(),
        "the priority": getattr(os, "getpriority", lambda *_: 0)(0, 0),
        "garbage collection": (
            gc.isenabled(),
            gc.get_threshold(),
            gc.get_debug(),
            gc.callbacks[:],
        ),
        "the interval at which threads switch": sys.getswitchinterval(),
        "the processors it may use": getattr(os, "sched_getaffinity", lambda _: None)(0),
        "the limits of the process": _limits(),
    }


def _functions(module: Any) -> dict[str, int]:
    """The identity of each of a module's functions."""
    return {name: id(value) for name, value in vars(module).items() if callable(value)}


def _umask() -> int:
    umask = os.umask(0)  # can't be read without being set
    os.umask(umask)
    return umask


def _limits() -> list[tuple[int, int]]:
    try:
        import resource
    except ImportError:  # Windows has none
        return []
    names = [name for name in vars(resource) if name.startswith("RLIMIT_")]
    return [resource.getrlimit(getattr(resource, name)) for name in sorted(names)]


def print_changes_of_the_first_run(name: str, dtype: str) -> None:
    """Open a backend, run it for the first time, and print on standard error what that changes.

    The final state of the run is printed too. It is called in a new process. A library may change
    settings when it is loaded, but not later.
    """
    from hhplug.plugins import choice
    from hhplug.problem import Problem
    from hhplug.running.simulate import simulate
    from hhplug.testing.problems import Population

    opened = choice.choose(name)
    problem = Problem(**Population(33, 3).arguments(dtype=dtype))
    module = sys.modules[opened.spec.factory.partition(":")[0]]
    folder = Path(str(module.__file__)).parent

    def seen() -> dict[str, Any]:
        files = {file for file in folder.rglob("*") if "__pycache__" not in file.parts}
        return settings() | {"files beside the package": files}

    before = seen()
    final = simulate(problem, opened).final_state
    after = seen()
    changed = [what for what, value in before.items() if after[what] != value]
    print("\n" + json.dumps([changed, final.tolist()]), file=sys.stderr)
