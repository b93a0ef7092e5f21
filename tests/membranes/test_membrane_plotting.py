"""`Membrane.plot` draws steady states and time constants over V."""

import subprocess
import sys

import numpy as np
import pytest

from hhplug import InvalidInput, MissingExtra, membranes
from hhplug.membranes.description import Channel
from hhplug.membranes.membrane import Membrane

pytest.importorskip("matplotlib")


def curves(ax):
    return [line.get_ydata() for line in ax.lines]


@pytest.mark.parametrize("name", ["CS", "LTS", "squid"])
def test_a_picture_has_a_curve_for_each_gate(name):
    membrane = getattr(membranes, name)
    figure = membrane.plot()
    left, right = figure.axes
    assert [ax.get_xlabel() for ax in (left, right)] == ["V (mV)", "V (mV)"]
    assert [left.get_ylabel(), right.get_ylabel()] == ["steady state", "time constant (ms)"]
    V = left.lines[0].get_xdata()
    rates = membrane.rates(V)
    moving = [gate for gate in rates.values() if np.any(gate.tau > 0.0)]
    np.testing.assert_array_equal(curves(left), [gate.inf for gate in rates.values()])
    np.testing.assert_array_equal(curves(right), [gate.tau for gate in moving])
    (legend,) = figure.legends
    labels = [text.get_text().removesuffix(" (instantaneous)") for text in legend.get_texts()]
    assert labels == list(rates)
    styles = [(line.get_color(), line.get_linestyle()) for line in left.lines]
    assert len(set(styles)) == len(rates)
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_a_picture_is_of_other_parameters_too():
    shifted = membranes.RS.plot({"V_T": -45.0})
    usual = membranes.RS.plot()
    V = usual.axes[0].lines[0].get_xdata()
    m = membranes.RS.rates(V - 10.0)["m"].inf
    np.testing.assert_allclose(curves(shifted.axes[0])[0], m, rtol=1e-12)
    with pytest.raises(InvalidInput, match="one value of V_T, got"):
        membranes.RS.plot({"V_T": [-45.0] * 3})


def test_a_leak_alone_has_an_empty_picture():
    figure = Membrane("leak", L=Channel(g=1.0, E=-70.0)).plot()
    assert [len(ax.lines) for ax in figure.axes] == [0, 0]


def test_a_picture_needs_matplotlib_and_a_membrane_does_not(monkeypatch):
    script = (
        "import sys; from hhplug.membranes import RS; str(RS); print('matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False\n", "")
    monkeypatch.setitem(sys.modules, "hhplug.figure", None)
    with pytest.raises(MissingExtra, match=r"pip install matplotlib"):
        membranes.RS.plot()
