"""Plots of a result: currents, voltage traces, a spike raster and the F-I curve."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from hhplug.errors import InvalidInput, NotRecorded
from hhplug.extras import COLORS, require_matplotlib
from hhplug.results.view import DECIMALS, TRACES, Neurons, Rates, View, rates, shown, spread, traced

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hhplug.figure import Figure
    from hhplug.results.result import Result

Draw = Callable[["Axes"], None]
Panel = tuple[float, Draw]  # height in inches, and the function that draws it

FI_NEURONS = 2000  # most neurons drawn in an F-I curve
LEAST_FI_NEURONS = 3  # fewest neurons whose points make a curve
FEW = 50  # most neurons whose markers are large
ROW_LABELS = 12  # most labels on the neuron axis of a raster
# Inches: the width of a figure, and the heights of the currents, of a panel, and of one trace.
WIDTH, STRIP, PANEL, LANE = 9.0, 0.7, 2.3, 0.55
GRAY = "0.35"


def plot(result: "Result", neurons: ArrayLike | None = None) -> "Figure":
    """The figure of `Result.plot`."""
    require_matplotlib()
    view = _view(result, neurons)
    alone = len(view.neurons) == 1
    has_raster = result.outcome.spikes is not None and not (alone and view.has_V)
    panels = _lanes(view) if view.has_V else []
    if has_raster:
        height = min(PANEL, STRIP + 0.1 * len(view.neurons))
        panels.append((height, partial(_draw_raster, view=view)))
    if panels and (alone or view.current_changes):
        panels.insert(0, (STRIP, partial(_draw_currents, view=view)))
    draw_rates = None if result.outcome.spike_count is None else _panel_of_rates(view)
    if not panels and not draw_rates:
        raise InvalidInput(
            "nothing to plot: the run kept neither V nor the times of spikes, "
            "and the neurons make no F-I curve"
        )
    figure = _laid_out(panels, draw_rates, rates_at_right=has_raster)
    figure.suptitle(view.title, fontsize="medium")
    return figure


def plot_traces(
    result: "Result", neurons: ArrayLike | None = None, ax: "Axes | None" = None
) -> "Axes":
    """The axes of `Result.plot_traces`."""
    named = None if neurons is None else shown(result, neurons)
    if not math.prod(result.V.shape):
        raise NotRecorded(
            "V was recorded of no neuron, or at no step of this run; "
            "run with other record_neurons or a smaller record_every"
        )
    chosen = traced(result, named, TRACES if named is None else len(named))
    view = View(result, shown(result, neurons), chosen)
    ax = _axes(ax)
    for neuron, (name, current) in view.labels.items():
        _draw_trace(ax, view, neuron, f"{name}: {current}")
    ax.set(ylabel="V (mV)", ylim=view.limits_of_V)
    if len(chosen) > 1:  # above the axes, where it covers no trace
        ax.legend(
            title="neuron: mean I_ext (µA/cm²)",
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            borderaxespad=0.0,
            ncols=TRACES,
            columnspacing=1.0,
            handlelength=1.0,
            alignment="left",
            frameon=False,
            fontsize="small",
            title_fontsize="small",
        )
    return ax


def plot_raster(
    result: "Result", neurons: ArrayLike | None = None, ax: "Axes | None" = None
) -> "Axes":
    """The axes of `Result.plot_raster`."""
    chosen = shown(result, neurons)
    view = View(result, chosen, chosen[:0])
    ax = _axes(ax)
    _draw_raster(ax, view)
    return ax


def plot_fi(
    result: "Result",
    start: float | None = None,
    stop: float | None = None,
    method: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """The axes of `Result.plot_fi`."""
    of_all = rates(result, shown(result, None), start, stop, method)
    ax = _axes(ax)
    _draw_fi(ax, of_all, {})
    return ax


def check_file(path: Path) -> None:
    """Raise InvalidInput if matplotlib can't write the file's format. May raise MissingExtra."""
    figure = require_matplotlib()()
    figure.text(0.0, 0.0, "V")
    try:
        figure.savefig(BytesIO(), format=path.suffix[1:])
    except (ValueError, RuntimeError) as error:  # RuntimeError: .pgf without LaTeX
        raise InvalidInput(f"cannot draw {str(path)!r}: {error}") from None


def _view(result: "Result", neurons: ArrayLike | None) -> View:
    """The View of `plot`: all neurons or those given, with V and the current of a few of them."""
    chosen = shown(result, neurons)
    few = chosen[spread(len(chosen), TRACES)]
    view = View(result, chosen, few)
    if not view.has_V:
        return view
    return replace(view, traced=traced(result, None if neurons is None else chosen, TRACES))


def _axes(ax: "Axes | None") -> "Axes":
    """The user's axes, or those of a new figure. Raises InvalidInput for anything else."""
    Figure = require_matplotlib()
    if ax is None:
        ax = Figure(figsize=(WIDTH, PANEL + 0.7), layout="constrained").subplots()
        ax.spines[["top", "right"]].set_visible(False)
    elif not hasattr(ax, "get_xlim"):
        raise InvalidInput(f"ax must be one matplotlib Axes, got {type(ax).__name__}")
    return ax


def _laid_out(panels: list[Panel], draw_rates: Draw | None, rates_at_right: bool) -> "Figure":
    """A figure of the panels on one time axis, with the rates at the right of the last or below."""
    heights = [height for height, _ in panels]
    rates_at_right = rates_at_right and draw_rates is not None
    if rates_at_right:
        heights[-1] = PANEL
    elif draw_rates:
        heights.append(PANEL)
    figure = require_matplotlib()(figsize=(WIDTH, sum(heights) + 0.7), layout="constrained")
    widths = [2.0, 1.0] if rates_at_right else [1.0]
    grid = figure.add_gridspec(
        len(heights), len(widths), height_ratios=heights, width_ratios=widths
    )
    ax = None
    for row, (_, draw) in enumerate(panels):
        ax = figure.add_subplot(grid[row, 0], sharex=ax)
        draw(ax)
        if row < len(panels) - 1:
            ax.tick_params(bottom=False, labelbottom=False)
            ax.spines["bottom"].set_visible(False)
            ax.set_xlabel("")
        for text in ax.texts:
            text.set_in_layout(not rates_at_right)  # there is room for the label above the rates
    if draw_rates:
        draw_rates(figure.add_subplot(grid[-1, -1]))
    for ax in figure.axes:
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def _colors(neurons: Neurons) -> dict[int, Any]:
    """A colour for each neuron."""
    colors: Any = COLORS
    if len(neurons) > len(COLORS):
        from matplotlib import colormaps

        colors = colormaps["viridis"](np.linspace(0.0, 0.9, len(neurons)))
    return dict(zip(neurons.tolist(), colors, strict=False))


def _set_time(ax: "Axes", view: View) -> None:
    ax.set(xlabel="time (ms)", xlim=view.time)


def _draw_currents(ax: "Axes", view: View) -> None:
    for neuron, color in _colors(view.traced).items():
        ax.plot(*view.current(neuron), drawstyle="steps-post", color=color, linewidth=1.2)
    low, high = min(ax.dataLim.ymin, 0.0), max(ax.dataLim.ymax, 0.0)
    margin = 0.1 * (high - low or 10.0)
    ax.set(ylabel="I_ext\n(µA/cm²)", ylim=(low - margin, high + margin))
    ax.locator_params(axis="y", nbins=3)
    _set_time(ax, view)


def _draw_trace(ax: "Axes", view: View, neuron: int, label: str = "") -> None:
    time, V = view.trace(neuron)
    marker = "." if len(V) == 1 else "none"
    color = _colors(view.traced)[neuron]
    ax.plot(time, V, marker=marker, color=color, linewidth=1.0, label=label)
    _set_time(ax, view)


def _lanes(view: View) -> list[Panel]:
    """A panel for each trace, the first at the bottom as in the raster."""
    draw = partial(_draw_lane, view=view, limits=view.limits_of_V)
    count = len(view.labels)
    if count == 1:
        return [(PANEL, partial(draw, neuron=neuron, ylabel="V (mV)")) for neuron in view.labels]
    lanes = []
    for lane, (neuron, (name, current)) in enumerate(reversed(view.labels.items())):
        ylabel = "V (mV)" if lane == count // 2 else ""
        label = f"neuron {name}\n{current} µA/cm²"
        one = partial(draw, neuron=neuron, ylabel=ylabel, label=label)
        lanes.append((max(LANE, 0.8 * PANEL / count), one))
    return lanes


def _draw_lane(
    ax: "Axes",
    view: View,
    neuron: int,
    limits: tuple[float, float],
    ylabel: str,
    label: str = "",
) -> None:
    _draw_trace(ax, view, neuron)
    ax.set(ylabel=ylabel, ylim=limits)
    if label:
        ax.text(1.02, 0.5, label, transform=ax.transAxes, va="center", fontsize="small")
        ax.locator_params(axis="y", nbins=3)


def _draw_raster(ax: "Axes", view: View) -> None:
    time, row = view.raster()
    rows, count = view.rows, len(view.rows)
    height = ax.get_window_extent().height * 72.0 / ax.figure.dpi / count  # points
    ax.plot(
        time,
        row,
        linestyle="none",
        marker="|",
        markersize=np.clip(0.7 * height, 1.5, 12.0),
        markeredgewidth=1.0 if count <= FEW else 0.6,
        color="black",
        rasterized=True,
    )
    ax.set(ylabel="neuron", ylim=(rows[0] - 0.5, rows[-1] + 0.5))
    if count > ROW_LABELS and np.array_equal(rows, view.neurons):
        ax.locator_params(axis="y", steps=[1, 2, 5, 10])
    else:
        labelled = spread(count, ROW_LABELS)
        ax.set_yticks(rows[labelled], [str(neuron) for neuron in view.neurons[labelled]])
    _set_time(ax, view)


def _panel_of_rates(view: View) -> Draw | None:
    """The F-I curve, or a histogram if currents are equal and rates differ, or None."""
    shown_rates = rates(view.result, view.neurons)
    count, current = len(view.neurons), shown_rates.current
    if count >= LEAST_FI_NEURONS and np.ptp(current.round(DECIMALS)) > 0.0:
        return partial(_draw_fi, rates=shown_rates, colors=_colors(view.traced))
    known = shown_rates.rate[np.isfinite(shown_rates.rate)]
    if count > TRACES and known.size and np.ptp(known) > 0.0:
        return partial(_draw_histogram, rates=shown_rates)
    return None


def _draw_fi(ax: "Axes", rates: Rates, colors: dict[int, Any]) -> None:
    known = np.flatnonzero(np.isfinite(rates.rate))
    known = known[np.argsort(rates.current[known], kind="stable")]
    drawn = known[spread(len(known), FI_NEURONS)]
    dots = {"marker": "o", "linestyle": "none", "markeredgewidth": 0.0}
    size = 5.0 if len(drawn) <= FEW else 2.5
    ax.plot(rates.current[drawn], rates.rate[drawn], markersize=size, color=GRAY, **dots)
    for neuron, color in colors.items():
        here = rates.neurons == neuron
        ax.plot(rates.current[here], rates.rate[here], markersize=7.0, color=color, **dots)
    highest = max(rates.rate[known], default=0.0) or 1.0
    ax.set(xlabel="I_ext (µA/cm²)", ylabel="firing rate (Hz)")
    ax.set_ylim(-0.04 * highest, 1.08 * highest)
    ax.set_title(rates.title, fontsize="small", color=GRAY)


def _draw_histogram(ax: "Axes", rates: Rates) -> None:
    ax.hist(rates.rate[np.isfinite(rates.rate)], bins=20, color=GRAY)
    ax.set(xlabel="firing rate (Hz)", ylabel="neurons")
    ax.locator_params(axis="y", integer=True)
    ax.set_title(rates.title, fontsize="small", color=GRAY)
