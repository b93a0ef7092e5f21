"""The PyCUDA backend on a GPU: kernel times by events, whole calls by the clock, peers beside them.

`python -m benchmarks.pycuda_backend` prints a line for each; it needs a GPU, and JAX for its peer.
"""

import gc
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import pycuda.driver as cuda  # pyright: ignore[reportMissingImports]

from hhplug import HHParameters, Problem, Simulator, Stimulus, registry

from .peers import jax_scan, one_launch_per_step

DT = 0.01  # ms
MILLION = 2**20


def problem(n: int, steps: int, dtype: Any, **changes: Any) -> Problem:
    """Currents 0–20 µA/cm² in random order, parameters per neuron, spikes counted, no trace."""
    rng = np.random.default_rng(1952)
    parameters = HHParameters(g_Na=rng.uniform(118.0, 122.0, n), g_K=rng.uniform(35.0, 37.0, n))
    return Problem(
        steps * DT,
        DT,
        stimulus=Stimulus.constant(rng.uniform(0.0, 20.0, n)),
        parameters=parameters,
        dtype=dtype,
        **{"record": (), "spikes": "counts"} | changes,
    )


def kernel_ms(n: int, steps: int, dtype: Any, repeats: int = 5, **changes: Any) -> float:
    """Median time of the kernel for one block, by events beside its launch, after a first."""
    backend: Any = registry.choose("pycuda").backend
    events = []

    def timed(launch: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: Any, stream: Any, **shape: Any) -> None:
            stream.synchronize()  # so that the events bracket this kernel and no wait for another
            begin, end = cuda.Event(), cuda.Event()
            begin.record(stream)
            launch(*arguments, stream=stream, **shape)
            end.record(stream)
            events.append((begin, end))

        return call

    with backend.prepare(problem(n, steps, dtype, **changes), steps) as session:
        session._kernel = timed(session._kernel)
        for _ in range(repeats + 1):
            session.advance(steps)
        session.state()
    return median(begin.time_till(end) for begin, end in events[1:])


def wall_ms(call: Callable[[], object], repeats: int = 9) -> float:
    """Median wall clock of a warm call; its result is dropped outside the timed part."""
    times = []
    for _ in range(repeats + 2):
        gc.collect()
        began = perf_counter()
        result = call()
        times.append((perf_counter() - began) * 1e3)
        del result
    return median(times[2:])


def tell(what: str, milliseconds: float, n: int, steps: int) -> None:
    speed = n * steps / milliseconds * 1e3
    print(f"{what:44} {milliseconds:9.3f} ms  {speed:.3e} neuron-steps/s", flush=True)


def main() -> None:
    print(registry.choose("pycuda").backend.device)
    # Whole calls first: later, host memory that others have used and freed comes back slowly.
    simulator = Simulator("pycuda", "float32")
    call = wall_ms(lambda: simulator.run(T=50, batch_size=10_000, record=()))
    tell("whole call, 10,000 × 5000, no trace", call, 10_000, 5000)
    recorded = wall_ms(lambda: simulator.run(T=50, batch_size=10_000))
    tell("whole call, 10,000 × 5000, V every step", recorded, 10_000, 5000)
    launches = wall_ms(lambda: one_launch_per_step(10_000, 5000, DT), repeats=3)
    tell("peer: one launch a step, 10,000 × 5000", launches, 10_000, 5000)
    print(f"  whole call is {launches / call:.1f} times as fast")
    tell("kernel float32, 8 M", kernel_ms(8 * MILLION, 500, "float32"), 8 * MILLION, 500)
    tell("kernel float32, 10,000", kernel_ms(10_000, 5000, "float32"), 10_000, 5000)
    tell("kernel float64, 8 M", kernel_ms(8 * MILLION, 200, "float64"), 8 * MILLION, 200)
    tell("kernel float64, 10,000", kernel_ms(10_000, 5000, "float64"), 10_000, 5000)
    recording = kernel_ms(MILLION, 500, "float32", record=("V",))
    tell("kernel float32, 1 M, V every step", recording, MILLION, 500)
    jitted = wall_ms(jax_scan(8 * MILLION, 100, DT), repeats=3)
    tell("peer: jitted JAX scan, 8 M", jitted, 8 * MILLION, 100)
    for exponent in range(9):
        n = 10**exponent
        steps = 5000 if n <= 10**5 else max(20, 5 * 10**9 // n)
        tell(f"kernel float32, {n:,}", kernel_ms(n, steps, "float32", repeats=3), n, steps)


if __name__ == "__main__":
    main()
