"""Time the steps of a run while its blocks follow each other, which on a GPU is the kernel's time.

A block is enqueued before the one before it is read, so that the device always has work. The time
between two reports of progress is therefore that of a block's steps, without what a call costs on
the host.

`python benchmarks/tools/block_times.py BACKEND DTYPE NEURONS ...` prints the seconds of a step of
the squid's membrane for each number of neurons. As a script it imports nothing but hhplug and
NumPy, and of hhplug what early commits have.
"""

import sys
from itertools import pairwise
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from hhplug import HHParameters, Simulator, Stimulus

DT = 0.01  # ms
SPREAD = 0.02  # of every parameter of the squid, from neuron to neuron
CURRENTS = 5.0, 20.0  # µA/cm², the lowest and the highest
TRIAL_STEPS = 200
SECONDS = 0.8  # s, of the run whose blocks are timed
LEAST_BLOCKS = 5  # that are timed; the first two and the last are not


def squid(backend: str, dtype: str, n: int) -> Simulator:
    """A Simulator of n neurons with their own parameters."""
    spread = np.random.default_rng(1952).uniform(1.0 - SPREAD, 1.0 + SPREAD, (7, n))
    usual = vars(HHParameters()).items()
    values = {name: row * value for (name, value), row in zip(usual, spread, strict=True)}
    return Simulator(backend, dtype, HHParameters(**values))


def seconds_per_step(sim: Simulator, stimulus: Stimulus, **arguments: Any) -> float:
    """Median over the blocks of a run that takes about SECONDS.

    arguments: of `Simulator.run`; nothing is recorded, and spikes are counted, unless they say
    something else. Raises RuntimeError if the run has too few blocks.
    """
    arguments = {"record": (), "spikes": "counts", **arguments}

    def times(steps: int) -> list[float]:
        """Seconds of a step in each block but the first two and the last."""
        reports: list[tuple[float, float]] = []
        sim.run(
            steps * DT,
            DT,
            stimulus=stimulus,
            progress=lambda done: reports.append((done * steps, perf_counter())),
            **arguments,
        )
        ends = reports[1:-1]
        return [(now - before) / (b - a) for (a, before), (b, now) in pairwise(ends)]

    steps = TRIAL_STEPS
    while True:
        began = perf_counter()
        found = times(steps)
        seconds = perf_counter() - began
        if seconds > SECONDS / 2 and len(found) >= LEAST_BLOCKS:
            return median(found)
        if seconds > 20 * SECONDS:
            raise RuntimeError(f"a run of {steps:,} steps has only {len(found)} blocks to time")
        steps = round(steps * min(20.0, max(1.5, SECONDS / seconds)))


def main(backend: str, dtype: str, *numbers: str) -> None:
    """Print the seconds of a step, one line for each number of neurons."""
    for n in map(int, numbers):
        stimulus = Stimulus.constant(np.linspace(*CURRENTS, n))
        print(seconds_per_step(squid(backend, dtype, n), stimulus), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
