"""Compare kernels: with noise, features and the like with one without, or those of two commits.

    python -m benchmarks.tools.kernels BACKEND [--membranes squid RS] [--neurons N ...]
    python -m benchmarks.tools.kernels BACKEND --against COMMIT [--neurons N ...]

The first measures in one process, case after case, in several rounds. The second measures the squid
at COMMIT and at HEAD, in both precisions and for several numbers of neurons, in processes that take
turns. Both print lines of Markdown, with the medians of all rounds. They need a machine that does
nothing else.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.inputs import DTYPES
from benchmarks.tools.block_times import DT, seconds_per_step
from benchmarks.tools.checkout import TOP
from benchmarks.tools.measure_in_place import install
from benchmarks.tools.membranes import CURRENTS, spread_parameters
from hhplug import Simulator, Stimulus, membranes
from hhplug.features.definitions import FEATURES

ROUNDS = 3
SIZES = (1, 10_000, 1_000_000, 8_000_000)  # neurons; cases are compared with the last
FIRST_EIGHT = tuple(FEATURES)[:8]


def held(I: np.ndarray) -> Stimulus:  # noqa: E741
    return Stimulus.constant(I)


def noisy(I: np.ndarray) -> Stimulus:  # noqa: E741
    return Stimulus.ornstein_uhlenbeck(I, sigma=1.0, tau=3.0, seed=1952)


def recorded(I: np.ndarray) -> Stimulus:  # noqa: E741
    samples = 1.0 + 0.1 * np.sin(np.arange(100_000) / 50.0)
    return Stimulus.recorded(samples, 10 * DT, gain=I)


CASES: dict[str, tuple[Callable[[np.ndarray], Stimulus], dict[str, Any]]] = {
    "held": (held, {}),
    "recorded": (recorded, {}),
    "noise": (noisy, {}),
    "stiff": (held, {}),
    "eight features": (held, {"features": FIRST_EIGHT}),
    "all features": (held, {"features": tuple(FEATURES)}),
}


def compare_cases(
    backend: str, dtype: str, names: list[str], sizes: Sequence[int], cases: list[str]
) -> None:
    """Print the speed of each case, and its ratio to that of the first one."""
    print("| membrane | neurons | case | neuron-steps/s | of the first one's |")
    print("|---|---|---|---|---|")
    for name, n in product(names, sizes):
        membrane = getattr(membranes, name)
        arguments = {"parameters": spread_parameters(membrane, n), "membrane": membrane}
        usual = Simulator(backend, dtype, **arguments)
        stiff = Simulator(backend, dtype, **arguments, method="stiff")
        currents = np.linspace(*CURRENTS[name], n)
        rounds = []
        for _ in range(ROUNDS):
            times = []
            for case in cases:
                stimulus, of_run = CASES[case]
                sim = stiff if case == "stiff" else usual
                times.append(seconds_per_step(sim, stimulus(currents), **of_run))
            rounds.append(times)
        seconds = np.array(rounds)
        for k, case in enumerate(cases):
            ratio = median(seconds[:, 0] / seconds[:, k])
            speed = n / median(seconds[:, k])
            print(f"| {name} {dtype} | {n:,} | {case} | {speed:.3e} | {ratio:.3f} |", flush=True)


def compare_commits(backend: str, against: str, sizes: Sequence[int]) -> None:
    """Print the ratio of HEAD's speed to that of another commit."""
    print(f"| dtype | neurons | at {against}, neuron-steps/s | at HEAD | HEAD's of {against}'s |")
    print("|---|---|---|---|---|")
    with TemporaryDirectory() as folder:
        sites = []
        for commit in (against, "HEAD"):
            (Path(folder) / commit).mkdir(parents=True)
            sites.append(install(commit, Path(folder) / commit))
        for dtype in DTYPES:
            seconds = np.array(
                [[_measured(site, backend, dtype, sizes) for site in sites] for _ in range(ROUNDS)]
            )
            for k, n in enumerate(sizes):
                before, now = (n / median(seconds[:, which, k]) for which in (0, 1))
                ratio = median(seconds[:, 0, k] / seconds[:, 1, k])
                print(f"| {dtype} | {n:,} | {before:.3e} | {now:.3e} | {ratio:.3f} |", flush=True)


def _measured(site: Path, backend: str, dtype: str, sizes: Sequence[int]) -> list[float]:
    """Seconds of a step of each size, in a process that imports hhplug from a folder."""
    script = TOP / "benchmarks" / "tools" / "block_times.py"
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, script, backend, dtype, *map(str, sizes)],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [float(line) for line in done.stdout.splitlines()]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description="Compare the speeds of kernels.")
    parser.add_argument("backend")
    parser.add_argument("--against", metavar="COMMIT", help="compare HEAD with this commit")
    parser.add_argument("--membranes", nargs="+", default=["squid"], choices=membranes.__all__)
    parser.add_argument("--neurons", nargs="+", type=int, help="one number or several")
    parser.add_argument("--dtype", default="float32", choices=DTYPES)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    options = parser.parse_args()
    if options.against:
        compare_commits(options.backend, options.against, options.neurons or SIZES)
    else:
        sizes = options.neurons or SIZES[-1:]
        cases = options.dtype, options.membranes, sizes, options.cases
        compare_cases(options.backend, *cases)


if __name__ == "__main__":
    main()
