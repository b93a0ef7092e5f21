"""Tests that a backend leaves the process as it was, and nothing behind in it."""

import gc
import os
import random
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from hhplug.problem import Problem
from hhplug.results.result import Result
from hhplug.testing.kit import Kit
from hhplug.testing.memory import resident_memory
from hhplug.testing.problems import CURRENTS, Population

RUNS = 100
WARM_UP = 10  # runs after which caches are full
MEMORY_WARM_UP = 20  # runs after which a library's pools of memory are full
KEPT_AT_MOST = 0.05  # share of the samples that may be left behind; backends without a leak: 0.002
DENORMAL = 1e-310  # a denormal float64


def _settings() -> dict[str, Any]:
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
    }


def _alive(kind: type) -> int:
    """How many objects of a class there are, after garbage collection."""
    return sum(type(thing) is kind for thing in gc.get_objects())


def _run_one_of_many(kit: Kit, number: int, least_neurons: int, n_steps: int) -> int:
    """Run a problem that differs from that of the next numbers; return the bytes of its samples."""
    current = CURRENTS[number % len(CURRENTS)]
    arguments = Population(least_neurons + number % 7, n_steps, current).arguments()
    spikes = ("times", "counts", "off")[number % 3]
    result = kit.run(**arguments | {"spikes": spikes, "record_every": 1 + number % 2})
    return sum(samples.nbytes for samples in result.samples.values())


class ProcessTests:
    @pytest.mark.one_precision
    @pytest.mark.kit_level(2)
    def test_the_process_stays_as_it_was(self, kit: Kit, capfd: pytest.CaptureFixture[str]):
        arguments = Population(33, 3).arguments()
        kit.run(**arguments)  # what a library sets once, when it is loaded, isn't the backend's
        capfd.readouterr()
        before = _settings()
        kit.run(**arguments)
        after = _settings()
        printed = capfd.readouterr()
        for what, value in before.items():
            assert after[what] == value, f"a run changes {what}"
        assert printed.out == "", "a run prints to standard output"
        assert printed.err == "", "a run prints to standard error"

    @pytest.mark.one_precision
    @pytest.mark.kit_level(2)
    def test_nothing_is_left_behind_by_many_runs(self, kit: Kit):
        this = psutil.Process()
        runs = RUNS // 10 if kit.short else RUNS

        def counted() -> dict[str, int]:
            gc.collect()
            return {
                "open files": this.num_fds() if hasattr(this, "num_fds") else 0,
                "threads": this.num_threads(),
                "child processes": len(this.children(recursive=True)),
                "problems": _alive(Problem),
                "results": _alive(Result),
            }

        warm_up = WARM_UP if not kit.short else 3
        for number in range(warm_up):
            _run_one_of_many(kit, number, 33, 2)
        before = counted()
        for number in range(runs):
            _run_one_of_many(kit, number, 33, 2)
        after = counted()
        for what, count in before.items():
            left = after[what] - count
            assert left < runs / 5, f"{left} {what} are left behind by {runs} runs"

    @pytest.mark.one_precision
    @pytest.mark.kit_level(2)
    @pytest.mark.long_horizon("that a hundred runs leave no memory behind")
    def test_no_memory_is_left_behind_by_many_runs(self, kit: Kit):
        for number in range(MEMORY_WARM_UP):
            _run_one_of_many(kit, number, 2001, 20)
        before = resident_memory()
        recorded = sum(
            _run_one_of_many(kit, number, 2001, 20) for number in range(MEMORY_WARM_UP, RUNS)
        )
        left = resident_memory() - before
        assert left < KEPT_AT_MOST * recorded, (
            f"{RUNS - MEMORY_WARM_UP} runs leave {left / 1e6:.0f} MB of memory behind; "
            f"their samples had {recorded / 1e6:.0f} MB"
        )
