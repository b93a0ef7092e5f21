"""Time whole calls of a backend, warm, with everything home: seconds, and what the steps take.

usage: python -m benchmarks.tools.calls BACKEND [--device DEVICE] [--scale SCALE]

It prints lines of Markdown. The neurons of a population have their own currents, and in the second
column their own parameters too. Nothing is recorded, but in two lines V; the last line is for
simulation-based inference, and its parameters are new in each call. Each time is the
median of some calls, between which the result is deleted unless the line says something else.
"""

import argparse
import warnings
from collections.abc import Callable
from functools import cache, partial
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.tools.block_times import varied
from hhplug import FeatureSimulator, HHParameters, Result, Simulator, Stimulus
from hhplug.features.definitions import FEATURES

DT = 0.01  # ms
SIZES = ((8_000_000, 1000), (8_000_000, 5000), (1_000_000, 1000), (10_000, 5000), (1, 5000))
KINDS = {
    "times": {"spikes": "times"},
    "counts": {"spikes": "counts"},
    "all features": {"spikes": "counts", "features": tuple(FEATURES)},
}
RECORDED = ((1_000_000, 500, 1), (1_000_000, 5000, 10))  # neurons, steps, record_every
DRAWS = 1_000_000  # of all parameters, ±50 %, each 120 ms at dt 0.025 with noise
CALLS = 7


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Time whole calls of a backend.")
    parser.add_argument("backend")
    parser.add_argument("--device", type=lambda text: text if text == "all" else int(text))
    parser.add_argument("--scale", default=1.0, type=float, help="of the numbers of neurons")
    options = parser.parse_args()
    print(f"{Simulator(options.backend, device=options.device).device}\n")
    print("| neurons × steps | at home | whole call | own parameters | of it the run |")
    print("|---|---|---|---|---|")
    for n, steps in SIZES:
        n = max(1, round(n * options.scale))
        for kind in KINDS:
            print(_row(options, n, steps, kind), flush=True)
    for n, steps, every in RECORDED:
        n = max(1, round(n * options.scale))
        sim = Simulator(options.backend, "float32", device=options.device)
        arguments = {"record": ("V",), "record_every": every, "spikes": "counts"}
        call = partial(run, sim, n, steps * DT, **arguments)
        (seconds, _), (seconds_to_new, _) = timed(call), timed(call, kept=[])
        size = 4e-9 * n * (steps // every)
        print(
            f"\nV of every {every} steps of {n:,} neurons: {size / seconds:.1f} GB/s, and "
            f"{size / seconds_to_new:.1f} GB/s while earlier results are kept",
            flush=True,
        )
    n = max(1, round(DRAWS * options.scale))
    print(f"\n{n:,} draws of all parameters, 120 ms: {1e3 * draws_seconds(options, n):.0f} ms")


def draws_seconds(options: argparse.Namespace, n: int) -> float:
    """Median seconds from new parameters to features, of calls after one that warms up."""
    usual = vars(HHParameters())
    simulator = FeatureSimulator(
        Simulator(options.backend, "float32", device=options.device),
        tuple(usual),
        T=120.0,
        dt=0.025,
        features=tuple(FEATURES),
        stimulus=Stimulus.ornstein_uhlenbeck(10.0, 2.0, tau=3.0, seed=1952),
    )
    random, seconds = np.random.default_rng(1952), []
    for _ in range(1 + CALLS // 2):
        parameters = random.uniform(0.5, 1.5, (n, len(usual))) * list(usual.values())
        began = perf_counter()
        with warnings.catch_warnings():  # some draws are too stiff for dt
            warnings.simplefilter("ignore", RuntimeWarning)
            simulator(parameters)
        seconds.append(perf_counter() - began)
    return median(seconds[1:])


def _row(options: argparse.Namespace, n: int, steps: int, kind: str) -> str:
    cells = [f"{n:,} × {steps}", kind]
    for parameters in (None, varied(n)):
        sim = Simulator(options.backend, "float32", parameters, options.device)
        seconds, of_run = timed(partial(run, sim, n, steps * DT, record=(), **KINDS[kind]))
        cells.append(f"{1e3 * seconds:.1f} ms")
    return f"| {' | '.join([*cells, f'{1e3 * of_run:.1f} ms'])} |"


def run(sim: Simulator, n: int, T: float, **arguments: Any) -> Result:
    """A run whose currents are spread from 0 to 20 µA/cm²."""
    return sim.run(T, DT, n, currents(n), **arguments)


@cache
def currents(n: int) -> Stimulus:
    """The same object for each call of one size, as a user's loop has it."""
    return Stimulus.constant(np.linspace(0.0, 20.0, n) if n > 1 else 10.0)


def timed(call: Callable[[], Result], kept: list[Result] | None = None) -> tuple[float, float]:
    """Median seconds of calls, and of their runs alone, after two that warm up.

    kept: takes the results, so that each call needs new memory; without it they are deleted.
    """
    calls, runs = [], []
    for number in range(CALLS + 2):
        began = perf_counter()
        result = call()
        seconds = perf_counter() - began
        if number > 1:
            calls.append(seconds)
            runs.append(result.timing.run)
        if kept is not None:
            kept.append(result)
        del result
    return median(calls), median(runs)


if __name__ == "__main__":
    main()
