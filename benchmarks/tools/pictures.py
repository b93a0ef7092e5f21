"""Draw docs/speed.png and docs/work-precision.png from the recorded results.

`python -m benchmarks.tools.pictures` draws both.
"""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.contestants import BACKENDS, ENTRIES, PEERS
from benchmarks.inputs import COARSENESS, DTYPES, SIZES
from benchmarks.tools.checkout import TOP
from benchmarks.tools.recorded import RESULTS, Values, machines, newest
from benchmarks.tools.tables import STEP, WORK_PRECISION

DOCS = TOP / "docs"
NEURONS = 10_000  # in the work-precision picture

LINES = {"float32": "-", "float64": "--"}
Curve = list[tuple[float, float]]


def speeds(found: Values, name: str, dtype: str) -> Curve:
    """Return points (number of neurons, neuron-steps per second)."""
    keys = [(n, (STEP, name, dtype, str(n))) for n in SIZES]
    return [(n, 1e6 / found[key]) for n, key in keys if key in found]


def work_precision(found: Values, name: str, dtype: str) -> Curve:
    """Return points (s to compute 1 ms of NEURONS, worst error of V in mV), one for each dt."""
    step = found.get((STEP, name, dtype, str(NEURONS)))
    keys = [(dt, (WORK_PRECISION, name, dtype, str(dt))) for dt in COARSENESS]
    return [(step * NEURONS / 1e6 / dt, found[key]) for dt, key in keys if step and key in found]


Curves = dict[tuple[str, str], Curve]
"""Curves by (backend or peer, dtype)."""


def curves(curve: Callable[[Values, str, str], Curve], machine: str, folder: Path) -> Curves:
    """Return the curves that have a result on this machine."""
    found, known = newest(machine, folder), {}
    for name, dtype in product(BACKENDS + PEERS, DTYPES):
        if points := curve(found, name, dtype):
            known[name, dtype] = points
    return known


def picture(curve: Callable[[Values, str, str], Curve], x: str, y: str, folder: Path) -> Figure:
    """Draw a panel for each machine that has curves."""
    panels = {m: known for m in machines(folder) if (known := curves(curve, m, folder))}
    figure = Figure(figsize=(5.5 * len(panels), 4.5), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for ax, (machine, known) in zip(axes, panels.items(), strict=True):
        draw(ax, known)
        ax.set(title=machine, xlabel=x, ylabel=y)
    return figure


def draw(ax: Axes, known: Curves) -> None:
    for (name, dtype), points in known.items():
        ax.plot(
            *np.transpose(points),
            color=ENTRIES[name].color,
            linestyle=LINES[dtype],
            marker="o",
            markersize=3,
            label=f"{name} {dtype}",
        )
    ax.set(xscale="log", yscale="log")
    ax.grid(alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize="x-small", frameon=False, handlelength=3.5)


PICTURES = {
    "speed.png": (speeds, "neurons", "neuron-steps/s"),
    "work-precision.png": (
        work_precision,
        f"computing for 1 ms of {NEURONS:,} neurons (s)",
        "worst error of V over 10 ms (mV)",
    ),
}


def main(docs: Path = DOCS, folder: Path = RESULTS) -> None:
    for name, (curve, x, y) in PICTURES.items():
        picture(curve, x, y, folder).savefig(docs / name, dpi=150)


if __name__ == "__main__":
    main()
