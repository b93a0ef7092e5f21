"""A plot shows what a result has kept."""

import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from short_runs import run

from hhplug import InvalidInput, Stimulus
from hhplug.recording import Spikes

TRACES = ("time (ms)", "V (mV)")
RASTER = ("time (ms)", "neuron")
CURVE = ("I_ext (µA/cm²)", "firing rate (Hz)")
RATES = ("neuron", "firing rate (Hz)")


@pytest.mark.parametrize(
    ("arguments", "panels"),
    [
        ({"stimulus": Stimulus.constant([1, 2, 3])}, [TRACES, RASTER, CURVE]),
        ({}, [TRACES, RASTER, RATES]),
        ({"batch_size": 100}, [TRACES, RASTER, RATES]),
        ({"stimulus": Stimulus.constant([1, 2, 3]), "spikes": "counts"}, [TRACES, CURVE]),
        ({"spikes": "counts"}, [TRACES, RATES]),
        ({"spikes": "off", "batch_size": 3}, [TRACES]),
        ({"record": (), "batch_size": 3}, [RASTER, RATES]),
        ({"record": ("n",)}, [RASTER, RATES]),
        ({"record_neurons": [], "batch_size": 3}, [RASTER, RATES]),
    ],
)
def test_a_plot_shows_what_was_kept_with_units_on_its_axes(arguments, panels):
    pytest.importorskip("matplotlib")
    figure = run(**arguments).plot()
    figure.canvas.draw()
    assert [(ax.get_xlabel(), ax.get_ylabel()) for ax in figure.axes] == panels


def test_a_plot_draws_the_samples_and_every_spike(spiking):
    pytest.importorskip("matplotlib")
    traces, raster, curve = spiking.plot().axes
    assert_array_equal([line.get_ydata() for line in traces.lines], spiking.V.T)
    assert_array_equal(traces.lines[0].get_xdata(), spiking.time)
    assert_array_equal(raster.lines[0].get_xdata(), spiking.spikes.time)
    assert_array_equal(raster.lines[0].get_ydata(), spiking.spikes.neuron)
    assert_array_equal(curve.lines[0].get_xydata().T, spiking.fi_curve())


def test_a_plot_names_the_neurons_that_the_columns_hold_and_what_drives_them():
    pytest.importorskip("matplotlib")
    sweep = Stimulus.constant(np.arange(9) / 2)
    figure = run(stimulus=sweep, record_neurons=[7, 2]).plot()
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["neuron 7, 3.5 µA/cm²", "neuron 2, 1 µA/cm²"]


def test_a_plot_of_many_neurons_shows_a_few_traces_and_part_of_the_raster():
    pytest.importorskip("matplotlib")
    n = 5000
    many = run(batch_size=n)
    every = Spikes(np.arange(n), np.full(n, 0.5))
    traces, raster, _ = replace(many, spike_times=every).plot().axes
    assert len(traces.lines) == 5
    shown = raster.lines[0].get_ydata()
    assert len(shown) == 2000
    assert (shown[0], shown[-1]) == (0, n - 1)


def test_a_plot_is_a_picture_to_a_notebook_before_pyplot_is_set_up():
    pytest.importorskip("matplotlib")
    script = """
import sys
from hhplug import Simulator
result = Simulator("reference").run(T=0.1)
assert "matplotlib" not in sys.modules
picture = result.plot()._repr_png_()  # what a notebook asks for
assert "matplotlib.pyplot" not in sys.modules
sys.stdout.buffer.write(picture)
"""
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
    assert shown.startswith(b"\x89PNG")


def test_a_plot_can_be_pickled(plain):
    pytest.importorskip("matplotlib")
    again = pickle.loads(pickle.dumps(plain.plot()))
    assert len(again.axes) == 3


@pytest.mark.parametrize("arguments", [{"record": ()}, {"record": ("m",)}, {"record_neurons": []}])
def test_there_is_nothing_to_plot_without_voltage_and_spikes(arguments):
    pytest.importorskip("matplotlib")
    with pytest.raises(InvalidInput, match=r"nothing to plot: .* neither V nor spikes"):
        run(spikes="off", **arguments).plot()
