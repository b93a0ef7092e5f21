"""One figure of a result: voltage traces, spike raster, F-I curve."""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hhplug.errors import InvalidInput, MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hhplug.figure import Figure
    from hhplug.result import Result

TRACES = 5
RASTER_NEURONS = 2000


def plot(result: "Result") -> "Figure":
    """The figure of `Result.plot`."""
    Figure = require_matplotlib()
    mosaic = []
    if "V" in result.samples and result.V.size:
        mosaic.append(["traces", "traces"])
    if result.spike_counts is not None:
        left = "curve" if result.spike_times is None else "raster"
        mosaic.append([left, "curve"])
    if not mosaic:
        raise InvalidInput("nothing to plot: the run kept neither V nor spikes")
    figure = Figure(figsize=(9.0, 3.0 * len(mosaic)), layout="constrained")
    axes = figure.subplot_mosaic(mosaic)
    draw = {"traces": _draw_traces, "raster": _draw_raster, "curve": _draw_curve}
    for name, ax in axes.items():
        draw[str(name)](ax, result)
        ax.spines[["top", "right"]].set_visible(False)
    problem = result.problem
    figure.suptitle(
        f"{problem.n_neurons:,} neurons, {problem.T:g} ms, dt {problem.dt:g} ms, "
        f"{result.backend} {result.dtype}",
        fontsize="medium",
    )
    return figure


def require_matplotlib() -> "type[Figure]":
    """hhplug's kind of matplotlib's Figure, or MissingExtra."""
    try:
        from hhplug.figure import Figure
    except ImportError as error:
        raise MissingExtra(
            "plotting needs matplotlib: pip install 'hhplug[plot]' or matplotlib"
        ) from error
    return Figure


def check_file(path: Path) -> None:
    """Draw a word in the file's format; InvalidInput if matplotlib can't, or MissingExtra."""
    figure = require_matplotlib()()
    figure.text(0.0, 0.0, "V")
    try:
        figure.savefig(BytesIO(), format=path.suffix[1:])
    except (ValueError, RuntimeError) as error:  # RuntimeError: .pgf without LaTeX
        raise InvalidInput(f"cannot draw {str(path)!r}: {error}") from None


def spread(count: int, most: int) -> np.ndarray:
    """At most `most` indices below count, from the first to the last, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def _draw_traces(ax: "Axes", result: "Result") -> None:
    drive = result.drive()
    for column in spread(result.V.shape[1], TRACES):
        neuron = result.neurons[column]
        label = f"neuron {neuron}, {drive[neuron]:.3g} µA/cm²"
        ax.plot(result.time, result.V[:, column], linewidth=1.0, label=label)
    ax.set(xlabel="time (ms)", ylabel="V (mV)")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize="small")


def _draw_raster(ax: "Axes", result: "Result") -> None:
    shown = spread(result.problem.n_neurons, RASTER_NEURONS)
    kept = np.isin(result.spikes.neuron, shown)
    ax.plot(
        result.spikes.time[kept],
        result.spikes.neuron[kept],
        linestyle="none",
        marker="|" if len(shown) <= 50 else ".",
        markersize=6.0 if len(shown) <= 50 else 1.5,
        markeredgewidth=1.0 if len(shown) <= 50 else 0.0,
        color="black",
        rasterized=True,
    )
    problem = result.problem
    ax.set(
        xlabel="time (ms)",
        ylabel="neuron",
        xlim=(problem.start_step * problem.dt, problem.end_step * problem.dt),
        ylim=(-0.5, problem.n_neurons - 0.5),
    )


def _draw_curve(ax: "Axes", result: "Result") -> None:
    current, rate = result.fi_curve()
    if np.ptp(current) > 0:
        ax.plot(current, rate, marker=".", markersize=3.0, linewidth=1.0)
        ax.set(xlabel="I_ext (µA/cm²)", ylabel="firing rate (Hz)")
    else:
        ax.plot(result.firing_rate(), marker=".", markersize=3.0, linestyle="none")
        ax.set(xlabel="neuron", ylabel="firing rate (Hz)")
    ax.set_ylim(bottom=0.0)
