"""A picture of a membrane's gates: steady states and time constants over V."""

from collections.abc import Mapping
from itertools import cycle, product
from typing import TYPE_CHECKING

import numpy as np

from hhplug.extras import COLORS, require_matplotlib
from hhplug.membranes.equations import Array, GateRates

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hhplug.figure import Figure

PLOTTED = np.linspace(-110.0, 50.0, 641)  # mV: where V goes, every 0.25 mV
WIDTH, HEIGHT = 9.0, 3.2  # inches
STYLES = tuple((color, line) for line, color in product(("-", "--", ":"), COLORS))


def plot_rates(name: str, rates: Mapping[str, GateRates]) -> "Figure":
    """The figure of `Membrane.plot`. rates: those of each gate at the voltages PLOTTED."""
    figure = require_matplotlib()(figsize=(WIDTH, HEIGHT), layout="constrained")
    left, right = figure.subplots(1, 2)
    styles = dict(zip(rates, cycle(STYLES), strict=False))
    moving = {x: gate for x, gate in rates.items() if np.any(gate.tau > 0.0)}
    for x, gate in rates.items():
        label = x if x in moving else f"{x} (instantaneous)"
        _draw(left, gate.inf, styles[x], label)
    for x, gate in moving.items():
        _draw(right, gate.tau, styles[x])
    left.set(ylabel="steady state", ylim=(-0.03, max(1.03, left.get_ylim()[1])))
    right.set(ylabel="time constant (ms)", yscale="log")
    right.yaxis.set_major_formatter("{x:g}")
    if rates:
        figure.legend(loc="outside right center", frameon=False)
    for ax in (left, right):
        ax.set(xlabel="V (mV)", xlim=(PLOTTED[0], PLOTTED[-1]))
        ax.spines[["top", "right"]].set_visible(False)
    figure.suptitle(name, fontsize="medium")
    return figure


def _draw(ax: "Axes", values: Array, style: tuple[str, str], label: str = "") -> None:
    color, line = style
    ax.plot(PLOTTED, values, color=color, linestyle=line, linewidth=1.5, label=label or None)
