"""The settings of a process that belong to its user, and what a backend's first run changes."""

import gc
import json
import os
import random
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

DENORMAL = 1e-310  # a denormal float64


def settings() -> dict[str, Any]:
    """The settings of the process that belong to its user."""
    torch = sys.modules.get("torch")
    numpy_state = np.random.get_state()  # noqa: NPY002 (users' programs still have it)
    return {
        "the environment": dict(os.environ),
        "np.errstate": np.geterr(),
        "NumPy's random state": repr(numpy_state),
        "Python's random state": random.getstate(),
        "the signal handlers": [signal.getsignal(number) for number in signal.valid_signals()],
        "the warning filters": list(warnings.filters),
        "denormal numbers": np.array([DENORMAL]) * 0.5 != 0.0,
        "the working directory": Path.cwd(),
        "the default type of PyTorch": torch and torch.get_default_dtype(),
        "the recursion limit": sys.getrecursionlimit(),
        "standard output and error": (sys.stdout, sys.stderr),
        "the module search path": list(sys.path),
        "garbage collection": (gc.isenabled(), gc.get_threshold()),
        "the interval at which threads switch": sys.getswitchinterval(),
        "the processors it may use": getattr(os, "sched_getaffinity", lambda _: None)(0),
    }


def print_changes_of_the_first_run(name: str, dtype: str) -> None:
    """Open a backend, run it for the first time, and print on standard error what that changes.

    It is called in a new process. A library may change settings when it is loaded, but not later.
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
    simulate(problem, opened)
    after = seen()
    changed = [what for what, value in before.items() if after[what] != value]
    print("\n" + json.dumps(changed), file=sys.stderr)
