"""The time to a first result in a new process."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from .clock import clock
from .contestants import BACKENDS, COMPILED
from .inputs import Population
from .runs import population_simulator

CACHES = ("XDG_CACHE_HOME", "NUMBA_CACHE_DIR", "TRITON_CACHE_DIR", "CUDA_CACHE_PATH")
FIRST_RESULT = "from hhplug import Simulator; Simulator({!r}).run(T=1.0, batch_size=10)"


def seconds(arguments: list[str], folder: str | None = None) -> float:
    """Return the seconds of a new Python process with these arguments.

    A folder, if given, has the caches of the compilers.
    """
    caches = {name: str(Path(folder) / name) for name in CACHES} if folder else {}
    began = perf_counter()
    subprocess.run(
        [sys.executable, *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, **caches},
    )
    return perf_counter() - began


@cache
def warm_folder(name: str) -> TemporaryDirectory:
    folder = TemporaryDirectory()
    seconds(["-c", FIRST_RESULT.format(name)], folder.name)
    return folder


class FirstResult:
    """From the start of Python to the voltages of ten neurons, with compiled code in a cache."""

    params = (BACKENDS,)
    param_names = ("backend",)
    version = "1"
    timeout = 300
    timer = clock
    number, repeat, rounds, warmup_time = 1, 10, 1, 0

    def setup(self, name: str) -> None:
        population_simulator(name, None, Population(1))
        warm_folder(name)

    def time_first_result(self, name: str) -> None:
        clock.add(seconds(["-c", FIRST_RESULT.format(name)], warm_folder(name).name))


class FirstResultEver:
    """The same with empty caches; the result is the shortest of three times."""

    params = (COMPILED,)
    param_names = ("backend",)
    unit = "seconds"
    version = "1"
    timeout = 600

    def setup(self, name: str) -> None:
        population_simulator(name, None, Population(1))

    def track_first_result_ever(self, name: str) -> float:
        times = []
        for _ in range(3):
            with TemporaryDirectory() as folder:
                times.append(seconds(["-c", FIRST_RESULT.format(name)], folder))
        return min(times)


class Package:
    """Both times include the start of Python."""

    version = "1"
    timeout = 120
    timer = clock
    number, repeat, rounds, warmup_time = 1, 10, 1, 0

    def time_import(self) -> None:
        clock.add(seconds(["-c", "import hhplug"]))

    def time_discovery(self) -> None:
        """`hhplug backends`: every plugin found and probed."""
        clock.add(seconds(["-m", "hhplug", "backends", "--json"]))
