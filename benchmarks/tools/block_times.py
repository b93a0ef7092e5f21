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


def varied(n: int) -> HHParameters:
    """Parameters of the squid that differ by up to SPREAD from neuron to neuron."""
    spread = np.random.default_rng(1952).uniform(1.0 - SPREAD, 1.0 + SPREAD, (7, n))
    usual = vars(HHParameters()).items()
    rows = zip(usual, spread, strict=True)
    return HHParameters(**{name: row * value for (name, value), row in rows})


def seconds_per_step(sim: Simulator, stimulus: Stimulus, **arguments: Any) -> float:
    """Median over the blocks of a run that takes about SECONDS.

    arguments: of `Simulator.run`; nothing is recorded, and spikes are counted, unless they say
    something else. Raises RuntimeError if the run has too few blocks.
    """
    arguments = {"record": (), "spikes": "counts", **arguments}

    def reports(steps: int) -> list[tuple[float, float]]:
        """The steps that are done after each block, and when."""
        noted: list[tuple[float, float]] = []
        sim.run(
            steps * DT,
            DT,
            stimulus=stimulus,
            progress=lambda done: noted.append((done * steps, perf_counter())),
            **arguments,
        )
        return noted

    steps, seconds = TRIAL_STEPS, 0.0
    while seconds < 20 * SECONDS:
        ends = reports(steps)
        seconds = ends[-1][1] - ends[0][1]
        between = [(now - before) / (b - a) for (a, before), (b, now) in pairwise(ends[1:-1])]
        if seconds > SECONDS / 2 and len(between) >= LEAST_BLOCKS:
            return median(between)
        steps = round(steps * min(20.0, max(1.5, SECONDS / max(seconds, 1e-9))))
    raise RuntimeError(f"a run of {seconds:.0f} s has too few blocks to time")


def main(backend: str, dtype: str, *numbers: str) -> None:
    """Print the seconds of a step, one line for each number of neurons."""
    for n in map(int, numbers):
        stimulus = Stimulus.constant(np.linspace(*CURRENTS, n))
        print(seconds_per_step(Simulator(backend, dtype, varied(n)), stimulus), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
