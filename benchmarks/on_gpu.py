"""The backends on a GPU: kernel times by events, whole calls by the clock, peers beside them.

`python -m benchmarks.on_gpu` prints a line for each; it needs a GPU, PyTorch for its events, and
JAX and CuPy for the peers.
"""

import gc
import subprocess
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch

from hhplug import HHParameters, Problem, Simulator, Stimulus, registry
from hhplug.device import Launch

from .peers import jax_scan, one_launch_per_step

BACKENDS = ("pycuda", "triton")
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


def kernel_ms(
    backend: str, n: int, steps: int, dtype: Any, repeats: int = 5, **changes: Any
) -> float:
    """Median time of the kernel for one block, by events beside its launch, after a first."""
    events = []
    prepare: Any = registry.choose(backend).backend.prepare
    with prepare(problem(n, steps, dtype, **changes), steps) as session:
        launch, stream = session.launch, session.stream
        queue = torch.cuda.ExternalStream(stream.pointer)

        def timed(work: Launch) -> None:
            stream.synchronize()  # so that the events bracket this kernel and no wait for another
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record(queue)
            launch(work)
            end.record(queue)
            events.append((begin, end))

        session.launch = timed
        for _ in range(repeats + 1):
            session.advance(steps)
        session.state()
    return median(begin.elapsed_time(end) for begin, end in events[1:])


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
    print(f"{what:48} {milliseconds:9.3f} ms  {speed:.3e} neuron-steps/s", flush=True)


def whole_calls(backend: str) -> None:
    simulator = Simulator(backend, "float32")
    call = wall_ms(lambda: simulator.run(T=50, batch_size=10_000, record=()))
    tell(f"{backend}: whole call, 10,000 × 5000, no trace", call, 10_000, 5000)
    recorded = wall_ms(lambda: simulator.run(T=50, batch_size=10_000))
    tell(f"{backend}: whole call, 10,000 × 5000, V every step", recorded, 10_000, 5000)


def first_results(backend: str) -> None:
    """From the start of Python to a small result, cache warm, and to an imported PyTorch."""
    scripts = {
        "first result": f"import hhplug; hhplug.Simulator({backend!r}).run(1, batch_size=9)",
        "import of PyTorch": "import torch",
    }
    for what, script in scripts.items():
        times = []
        for _ in range(4):
            began = perf_counter()
            subprocess.run([sys.executable, "-c", script], check=True)
            times.append(perf_counter() - began)
        print(f"{backend}: {what}, s: {', '.join(f'{t:.2f}' for t in times[1:])}", flush=True)


def kernels(backend: str) -> None:
    for dtype, steps in (("float32", 500), ("float64", 200)):
        for n, count in ((8 * MILLION, steps), (10_000, 5000)):
            tell(f"{backend}: kernel {dtype}, {n:,}", kernel_ms(backend, n, count, dtype), n, count)
    timed = kernel_ms(backend, 8 * MILLION, 500, "float32", spikes="times")
    tell(f"{backend}: kernel float32, 8 M, spike times", timed, 8 * MILLION, 500)
    recording = kernel_ms(backend, MILLION, 500, "float32", record=("V",))
    tell(f"{backend}: kernel float32, 1 M, V every step", recording, MILLION, 500)
    for exponent in range(9):
        n = 10**exponent
        steps = 5000 if n <= 10**5 else max(20, 5 * 10**9 // n)
        took = kernel_ms(backend, n, steps, "float32", repeats=3)
        tell(f"{backend}: kernel float32, {n:,}", took, n, steps)


def main() -> None:
    print(torch.cuda.get_device_name(), flush=True)
    for backend in BACKENDS:
        # In a process of its own: host memory that others have used and freed comes back slowly.
        call = f"from benchmarks.on_gpu import whole_calls; whole_calls({backend!r})"
        subprocess.run([sys.executable, "-c", call], check=True)
        first_results(backend)
    launches = wall_ms(lambda: one_launch_per_step(10_000, 5000, DT), repeats=3)
    tell("peer: one launch a step, 10,000 × 5000", launches, 10_000, 5000)
    for backend in BACKENDS:
        kernels(backend)
    jitted = wall_ms(jax_scan(8 * MILLION, 100, DT), repeats=3)
    tell("peer: jitted JAX scan, 8 M", jitted, 8 * MILLION, 100)


if __name__ == "__main__":
    main()
