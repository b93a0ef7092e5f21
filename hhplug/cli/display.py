"""Format what the command line prints: tables, and dicts for JSON."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hhplug.cli.measurement import DURATION, Measurement
from hhplug.features.definitions import FEATURES
from hhplug.plugins import loading
from hhplug.plugins.entry import Entry
from hhplug.results import analysis, plotting
from hhplug.results.result import Result, counted

ROWS = 11  # largest number of rows in the table of the F-I relation
BAR = 40  # length of the longest bar, in characters
WIDE = 100  # columns of a terminal from which on the listing says what each backend is


def summary(result: Result) -> dict[str, object]:
    """A dict for JSON of what a run did. Its lists have a value for each neuron."""
    rows: dict[str, object] = {
        "backend": result.backend,
        "device": result.device,
        "dtype": result.dtype,
        "membrane": result.membrane.name,
        "method": result.problem.method,
        "neurons": result.problem.n_neurons,
        "steps": result.problem.n_steps,
        "dt_ms": result.problem.dt,
        "duration_ms": result.problem.T,
        "stimulus": repr(result.problem.given_stimulus),
        "noise_seeds": result.problem.given_stimulus.seeds,
        "seconds": asdict(result.timing),
        "neuron_steps_per_second": result.neuron_steps_per_second,
        "spikes": int(result.spike_count.sum()),
        "invalid_neurons": int((~result.valid).sum()),
        "rate_window_ms": analysis.window(result.problem),
        "current_uA_per_cm2": result.drive().tolist(),
        "firing_rate_Hz": _numbers(result.firing_rate()),
        "valid": result.valid.tolist(),
        "first_invalid_step": result.first_invalid_step.tolist(),
    }
    if result.problem.features:
        rows["feature_window_ms"] = result.problem.window_done
        rows["features"] = {name: _numbers(values) for name, values in result.features.items()}
    return rows


def _numbers(values: NDArray[Any]) -> list[float | None]:
    """A list for JSON, which has no NaN."""
    return [None if math.isnan(value) else value for value in values.tolist()]


def print_summary(result: Result, written: Sequence[Path]) -> None:
    """Print what ran, its F-I relation, and the files that were written."""
    problem, timing = result.problem, result.timing
    console = Console(highlight=False)
    console.print(
        Text(
            f"{counted(problem.n_neurons, 'neuron')}, {problem.T:g} ms in "
            f"{counted(problem.n_steps, 'step')} of {problem.dt:g} ms\n"
            f"{result.backend} {result.dtype} on {result.device}\n"
            f"{timing.run:.3g} s, {result.neuron_steps_per_second:.3g} neuron-steps/s, "
            f"{counted(result.spike_count.sum(), 'spike')}"
        )
    )
    start, stop = analysis.window(problem)
    current, rate = result.fi_curve()
    console.print(Text(f"\nMean current and firing rate from {start:g} to {stop:g} ms:\n"))
    table = Table(box=None, pad_edge=False)
    table.add_column("I_ext (µA/cm²)", justify="right")
    table.add_column("rate (Hz)", justify="right")
    table.add_column()
    highest = max(np.nan_to_num(rate).max(), 1e-9)
    for i in plotting.spread(len(rate), ROWS if np.ptp(current) > 0 else 1):
        bar = "█" * round(BAR * np.nan_to_num(rate[i]) / highest)
        table.add_row(f"{current[i]:.2f}", f"{rate[i]:.1f}", bar)
    console.print(table)
    if problem.features:
        _print_features(result, console)
    for path in written:
        console.print(Text(f"\nwrote {path}"))


def _print_features(result: Result, console: Console) -> None:
    """Print a row for each feature, with its range over the neurons that have it."""
    start, stop = result.problem.window_done
    console.print(Text(f"\nFeatures from {start:g} to {stop:g} ms:\n"))
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for heading in ("lowest", "mean", "highest", "neurons"):
        table.add_column(heading, justify="right")
    for name, values in result.features.items():
        some = values[~np.isnan(values)]
        numbers = (some.min(), some.mean(), some.max()) if some.size else ()
        shown = [f"{number:.4g}" for number in numbers] or ["", "", ""]
        unit = FEATURES[name].unit
        table.add_row(f"{name} ({unit})" if unit != "1" else name, *shown, f"{some.size:,}")
    console.print(table)


def print_backends(entries: Sequence[Entry]) -> None:
    """Print a row for each backend; below, why one is unavailable, and which plugins are slow."""
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False)
    headings = ("backend", "status", "precision", "membranes", "from", "what")
    # A narrow terminal would show the last column letter by letter.
    columns = len(headings) if console.width >= WIDE else len(headings) - 1
    for heading in headings[:columns]:
        table.add_column(heading, no_wrap=heading != "what")
    for entry in entries:
        status = "[red]unavailable" if entry.unavailable else "[green]available"
        precision = " ".join(entry.spec.capabilities.dtypes) if entry.spec else ""
        membranes = entry.spec.capabilities.membranes if entry.spec else ""
        what = entry.device or (entry.spec.summary if entry.spec else "")
        cells = (entry.name, status, precision, membranes, Text(entry.source), Text(what))
        table.add_row(*cells[:columns])
    console.print(table)
    for entry in entries:
        if entry.unavailable:
            problem = entry.unavailable
            text = f"\n{entry.name}: [{problem.code}] {problem.reason}"
            if problem.fix:
                text += ("" if text.endswith("?") else ".") + f" Fix: {problem.fix}"
            console.print(Text(text), soft_wrap=True)
    slow = {entry.source: entry.seconds for entry in entries if entry.seconds > loading.SLOW}
    for source, seconds in slow.items():
        text = f"\n{source} took {seconds:.2g} s to load, for which every listing waits."
        console.print(Text(text), soft_wrap=True)


def print_measurements(measurements: Sequence[Measurement], n_runs: int) -> None:
    """Print a row for each measurement. Speed-ups are relative to the first backend."""
    table = Table(box=None, pad_edge=False)
    for heading in ("neurons", "backend", "precision", "time (ms)", "neuron-steps/s", "speed-up"):
        justify = "left" if heading in ("backend", "precision") else "right"
        table.add_column(heading, justify=justify)
    for m in measurements:
        table.add_row(
            f"{m.neurons:,}",
            m.backend,
            m.dtype,
            f"{m.seconds * 1e3:.3g}",
            f"{m.neuron_steps_per_second:.3g}",
            f"{m.speedup:.2f}",
        )
    console = Console(highlight=False)
    console.print(table)
    console.print(
        Text(
            f"\nMedian of {n_runs} runs of {DURATION:g} ms at dt 0.01 ms, "
            f"nothing recorded; speed-up over {measurements[0].backend}."
        )
    )
