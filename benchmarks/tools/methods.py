"""Measure which error the methods leave at which dt, for usual and for strong conductances.

`python -m benchmarks.tools.methods` prints the table of docs/guide/runs.md and draws
docs/methods.png. It takes a minute. Nothing here depends on the machine's speed: work is counted in
operations.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmarks.tools.checkout import TOP
from hhplug import Simulator, Stimulus, membranes
from hhplug.lowering.lower import lower
from hhplug.membranes.membrane import Membrane
from hhplug.problem import METHODS, Method

PICTURE = TOP / "docs" / "methods.png"
BACKEND, DTYPE = "auto", "float64"
T = 200.0  # ms
EXACT_DT = 0.001  # ms, of RK4
DTS = (0.005, 0.01, 0.02, 0.025, 0.04, 0.05, 0.08, 0.1)  # ms
TABLE_DTS = (0.01, 0.02, 0.05, 0.1)
NEURONS = 48
CURRENTS = {"squid": (8.0, 20.0), "RS": (2.0, 10.0), "FS": (2.0, 10.0), "WB": (1.0, 6.0)}  # µA/cm²
STRONG = 5.0  # times the usual conductances and currents
MOST_LOST = 0.05  # the largest share of wrong trains with which an error is shown
COLORS = {"rk4": "C0", "stiff": "C3"}
LABELS: dict[str, dict[str, Any]] = {
    "rk4": {"xytext": (-4, -4), "ha": "right", "va": "top"},
    "stiff": {"xytext": (4, 4)},
}


@dataclass(frozen=True)
class Error:
    """What a method leaves at one dt."""

    lost: float  # share of the neurons that are invalid, or have a wrong number of spikes
    time: float  # ms, 95 % of the spike times of the others are within

    def __str__(self) -> str:
        if self.lost > MOST_LOST:
            return f"{self.lost * 100:.0f} % lost"
        mantissa, exponent = f"{self.time:.0e}".split("e")
        return f"{mantissa}e{int(exponent)}"


def trains(
    membrane: Membrane, times: float, method: Method, dt: float
) -> tuple[NDArray[np.bool_], list[NDArray[np.float64]]]:
    """Whether each neuron is valid, and its spike times in ms. times: the usual conductances."""
    usual = membrane.equations.defaults
    strong = {name: times * value for name, value in usual.items() if name.startswith("g_")}
    current = times * np.linspace(*CURRENTS[membrane.name], NEURONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        result = Simulator(BACKEND, DTYPE, strong, membrane=membrane, method=method).run(
            T, dt, stimulus=Stimulus.constant(current), record=()
        )
    found = [result.spikes.time[result.spikes.neuron == i] for i in range(NEURONS)]
    return result.valid, found


def error(
    membrane: Membrane, times: float, method: Method, dt: float, exact: list[NDArray[np.float64]]
) -> Error:
    """The error against the trains of `exact`."""
    valid, found = trains(membrane, times, method, dt)
    right = [ok and len(a) == len(b) for ok, a, b in zip(valid, found, exact, strict=True)]
    late = [np.abs(a - b) for good, a, b in zip(right, found, exact, strict=True) if good]
    late = np.concatenate(late) if late else np.empty(0)
    return Error(1.0 - float(np.mean(right)), float(np.quantile(late, 0.95)) if late.size else 0.0)


Errors = dict[tuple[str, float, Method, float], Error]
"""Errors by membrane, times the usual conductances, method and dt."""


def measured() -> Errors:
    errors: Errors = {}
    for name in CURRENTS:
        membrane = getattr(membranes, name)
        for times in (1.0, STRONG):
            _, exact = trains(membrane, times, "rk4", EXACT_DT)
            for method in METHODS:
                for dt in DTS:
                    errors[name, times, method, dt] = error(membrane, times, method, dt, exact)
    return errors


def table(errors: Errors) -> str:
    """The table as Markdown: rows for membranes and methods, columns for dt."""
    first, *others = TABLE_DTS
    head = f"| membrane | method | dt {first:g} ms | "
    head += " | ".join(f"{dt:g} ms" for dt in others) + " |"
    lines = [head, "|---|---|" + "---|" * len(TABLE_DTS)]
    for name in CURRENTS:
        for times in (1.0, STRONG):
            for method in METHODS:
                cells = [str(errors[name, times, method, dt]) for dt in TABLE_DTS]
                what = name if times == 1.0 else f"{name}, conductances × {times:g}"
                lines.append(f"| {what} | {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def picture(errors: Errors) -> Figure:
    """A panel for each membrane: error against operations, usual and strong conductances."""
    figure = Figure(figsize=(11.0, 6.0), layout="constrained")
    axes = figure.subplots(2, len(CURRENTS), sharex=True, sharey=True)
    for row, times in zip(axes, (1.0, STRONG), strict=True):
        for ax, name in zip(row, CURRENTS, strict=True):
            for method in METHODS:
                operations = len(lower(getattr(membranes, name), "gpu-float32", method).ops)
                points = [
                    (operations / dt, found.time, dt)
                    for dt in DTS
                    if (found := errors[name, times, method, dt]).lost <= MOST_LOST
                ]
                work, late, dts = np.transpose(points)
                ax.plot(work, late, "o-", color=COLORS[method], markersize=4, label=method)
                for k in (0, -1):  # the lower curve has its labels below
                    ax.annotate(f"{dts[k]:g}", (work[k], late[k]), fontsize="x-small",
                                textcoords="offset points", **LABELS[method])  # fmt: skip
            ax.set(xscale="log", yscale="log")
            ax.set_title(name if times == 1.0 else f"{name}, conductances × {times:g}", fontsize=10)
            ax.grid(alpha=0.3)
            ax.spines[["top", "right"]].set_visible(False)
    axes[0, 0].legend(frameon=False)
    figure.supxlabel("operations per ms of a neuron (at the ends of a curve: its dt, ms)")
    figure.supylabel(f"95 % of spike times over {T:g} ms are within (ms)")
    return figure


def main(path: Path = PICTURE) -> None:
    errors = measured()
    print(table(errors))
    picture(errors).savefig(path, dpi=150)


if __name__ == "__main__":
    main()
