"""The NumPy backend against a textbook loop and against the reference, in one run.

`python -m benchmarks.numpy_backend` prints the ratios; asv tracks them.
"""

from collections.abc import Callable
from time import perf_counter

import numpy as np

from hhplug import Simulator, Stimulus
from hhplug.problem import DTYPES

from .peers import textbook_numpy

NEURONS = 10_000
STEPS = 500
DT = 0.01  # ms
ROUNDS = 5  # of all contestants in turn, so that a slow spell of the machine meets each

AMPLITUDES = np.linspace(0.0, 20.0, NEURONS)  # µA/cm²


def seconds(dtype: str) -> dict[str, float]:
    """Best time of STEPS steps by each contestant, nothing recorded, spikes counted by ours."""

    def backend(name: str, dtype: str | None) -> Callable[[], object]:
        simulator = Simulator(name, dtype)
        return lambda: simulator.run(
            STEPS * DT, DT, stimulus=Stimulus.constant(AMPLITUDES), record=(), spikes="counts"
        )

    contestants = {
        "textbook": lambda: textbook_numpy(AMPLITUDES, STEPS, DT, dtype),
        "reference": backend("reference", None),
        "numpy": backend("numpy", dtype),
    }
    best = dict.fromkeys(contestants, float("inf"))
    for _ in range(ROUNDS):
        for name, contestant in contestants.items():
            began = perf_counter()
            contestant()
            best[name] = min(best[name], perf_counter() - began)
    return best


class Speedup:
    """How many times faster than each peer of the same precision (the reference is float64)."""

    params = (DTYPES, ("textbook", "reference"))
    param_names = ("dtype", "peer")
    unit = "times"
    timeout = 300
    version = "1"

    def track_speedup(self, dtype: str, peer: str) -> float:
        best = seconds(dtype)
        return best[peer] / best["numpy"]


def main() -> None:
    for dtype in DTYPES:
        best = seconds(dtype)
        for name, time in best.items():
            speed = NEURONS * STEPS / time
            ratio = time / best["numpy"]
            print(f"{dtype} {name:10} {speed:.3g} neuron-steps/s; numpy takes 1/{ratio:.2f}")


if __name__ == "__main__":
    main()
