"""The backends on which general tests run: the comma-separated names in HHPLUG_TEST_BACKENDS.

The tests of a named backend fail if it cannot run here. None are skipped.
"""

import os
import subprocess
import sys

NAMES = os.environ.get("HHPLUG_TEST_BACKENDS", "reference,numpy,numba").split(",")


def seconds_to_first_result(backend, enough):
    """Return the seconds from the import of hhplug to a small result, in a new process.

    This is the least of at most ten measurements, since other processes may use the CPU. A time
    below `enough` ends the series.
    """
    script = f"""
import time; began = time.perf_counter()
from hhplug import Simulator
Simulator({backend!r}).run(T=1.0, batch_size=10)
print(time.perf_counter() - began)
"""
    command = [sys.executable, "-c", script]
    best = float("inf")
    for _ in range(10):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        best = min(best, float(done.stdout))
        if best < enough:
            break
    return best
