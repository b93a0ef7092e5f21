"""The CPU backends against a textbook loop, the reference and a jitted JAX scan, in one run.

`python -m benchmarks.on_cpu` prints the ratios; asv tracks them. JAX is left out where it is
missing.
"""

from collections.abc import Callable
from importlib.util import find_spec
from time import perf_counter

import numpy as np

from hhplug import Simulator, Stimulus
from hhplug.problem import DTYPES

from .peers import jax_scan, textbook_numpy

NEURONS = 10_000
STEPS = 2000
DT = 0.01  # ms
ROUNDS = 4  # of all contestants in turn, so that a slow spell of the machine meets each

AMPLITUDES = np.linspace(0.0, 20.0, NEURONS)  # µA/cm²
BACKENDS = ("numpy", "numba")
PEERS = ("textbook", "reference", "jax")


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
        **{name: backend(name, dtype) for name in BACKENDS},
    }
    if dtype == "float32" and find_spec("jax"):
        contestants["jax"] = jax_scan(NEURONS, STEPS, DT)
        contestants["jax"]()
    best = dict.fromkeys(contestants, float("inf"))
    for _ in range(ROUNDS):
        for name, contestant in contestants.items():
            began = perf_counter()
            contestant()
            best[name] = min(best[name], perf_counter() - began)
    return best


class Speedup:
    """How many times faster than each peer; the reference is float64, JAX float32."""

    params = (BACKENDS, DTYPES, PEERS)
    param_names = ("backend", "dtype", "peer")
    unit = "times"
    timeout = 300
    version = "2"

    def track_speedup(self, backend: str, dtype: str, peer: str) -> float:
        best = seconds(dtype)
        return best[peer] / best[backend] if peer in best else float("nan")


def one_neuron(dtype: str) -> float:
    """Seconds that 5000 steps of one neuron take on the Numba backend, warm."""
    simulator = Simulator("numba", dtype)
    times = []
    for _ in range(20):
        began = perf_counter()
        simulator.run(50.0, DT, batch_size=1, record=(), spikes="counts")
        times.append(perf_counter() - began)
    return min(times)


def main() -> None:
    for dtype in DTYPES:
        best = seconds(dtype)
        for name, time in best.items():
            speed = NEURONS * STEPS / time
            ratios = "; ".join(f"{b} takes 1/{time / best[b]:.2f}" for b in BACKENDS)
            print(f"{dtype} {name:10} {speed:.3g} neuron-steps/s; {ratios}")
        print(f"{dtype} numba, one neuron, 5000 steps: {one_neuron(dtype) * 1e3:.2f} ms")


if __name__ == "__main__":
    main()
