"""Time a run that records V to a store, beside the same run in memory and zarr-python alone.

usage: python -m benchmarks.tools.stores --backend NAME [--neurons N] [--steps N] [--every N]
                                         [--shards N] [--folder DIR] [--no-memory]

It prints lines of Markdown: seconds of each run, its ratio to that of the run in memory, MB/s of
float32 before compression, seconds for each shard, and the size on disk. Zarr alone writes the
recording that the run made, in the same chunks, from memory. The population is an F-I sweep whose
neurons fire.
"""

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from zarr.storage import LocalStore

from hhplug import Problem, Simulator, Stimulus, open_result
from hhplug.distributed.shards import advance_shard, layout
from hhplug.stores.arrays import create
from hhplug.stores.grid import Grid
from hhplug.stores.store import RunStore

DT = 0.01  # ms


def main() -> None:
    """Print the table."""
    options = _options()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for line in _table(options, Path(folder)):
            print(line, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--backend", required=True)
    parser.add_argument("--neurons", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--no-memory", action="store_true", help="leave the run in memory out")
    return parser.parse_args()


def _population(options: argparse.Namespace, neurons: slice) -> Problem:
    amplitude = np.linspace(8.0, 20.0, options.neurons)[neurons]
    return Problem(
        options.steps * DT,
        DT,
        stimulus=Stimulus.constant(amplitude),
        record_every=options.every,
        dtype="float32",
    )


def _table(options: argparse.Namespace, folder: Path):
    population = partial(_population, options)
    everyone = slice(0, options.neurons)
    problem = population(everyone)
    size = len(problem.sample_steps(0, options.steps)) * options.neurons * 4 / 1e6  # MB
    simulator = Simulator(options.backend, "float32")
    arguments = {
        "T": problem.T,
        "dt": DT,
        "stimulus": problem.stimulus,
        "record_every": options.every,
    }
    simulator.run(T=1.0, dt=DT, stimulus=problem.stimulus)  # compiles
    yield f"{options.neurons:,} neurons, {options.steps:,} steps, V every {options.every}"
    yield f"{options.backend} on {simulator.device}, {size:,.0f} MB of V"
    yield ""
    yield "| | s | × in memory | MB/s of V | on disk, MB |"
    yield "| --- | --- | --- | --- | --- |"
    in_memory = None if options.no_memory else _seconds(lambda: simulator.run(**arguments))

    def row(name: str, seconds: float, written: str = "") -> str:
        ratio = f"{seconds / in_memory:.2f}" if in_memory else ""
        return f"| {name} | {seconds:.2f} | {ratio} | {size / seconds:,.0f} | {written} |"

    if in_memory:
        yield row("in memory", in_memory)
    path = folder / "run.zarr"
    seconds = _seconds(lambda: simulator.run(**arguments, store=path))
    yield row("to a store", seconds, f"{_megabytes(path):,.0f}")
    result = open_result(path)
    V, grid = np.asarray(result.V), RunStore(path).grid
    alone = folder / "alone.zarr"
    seconds = _seconds(lambda: _write(V, grid, alone))
    yield row("zarr-python alone", seconds, f"{_megabytes(alone):,.0f}")
    store = layout(
        folder / "shards.zarr", population, options.neurons, options.neurons // options.shards
    )
    each = [
        _seconds(lambda number=number: advance_shard(store, population, number, options.backend))
        for number in range(options.shards)
    ]
    yield ""
    yield f"{np.mean(each):.2f} s for each of {options.shards} shards (one after the other)"


def _write(V: NDArray[np.float32], grid: Grid, path: Path) -> None:
    dims = "time", "neuron"
    array = create(
        LocalStore(path), "V", V.shape, V.dtype, dims, chunks=grid.chunk, shards=grid.cell
    )
    for segment in range(grid.n_segments):
        rows = grid.rows(segment)
        array[rows] = V[rows]


def _seconds(function: Callable[[], object]) -> float:
    began = perf_counter()
    function()
    return perf_counter() - began


def _megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


if __name__ == "__main__":
    main()
