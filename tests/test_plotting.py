"""`Result.plot` draws a figure of what a result has recorded."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from plots import (
    CURRENT,
    HISTOGRAM,
    NEURON,
    RATE,
    SWEEP,
    V,
    made_up,
    panel,
    time_axes,
    traces,
    with_outcome,
    ylabels,
)
from short_runs import run

from hhplug import InvalidInput, NotRecorded, Stimulus
from hhplug.results.spikes import Spikes
from hhplug.validity import Invalid

matplotlib = pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def firing():
    """A run of four neurons for 80 ms, of which all but the second keep firing."""
    return run(80.0, 0.05, stimulus=Stimulus.constant([10.0, 0.0, 40.0, 20.0]))


@pytest.mark.parametrize(
    ("arguments", "panels"),
    [
        ({}, [CURRENT, V]),
        ({"spikes": "counts"}, [CURRENT, V]),
        ({"spikes": "off"}, [CURRENT, V]),
        ({"record": ()}, [CURRENT, NEURON]),
        ({"stimulus": SWEEP}, [V, NEURON, RATE]),
        ({"stimulus": SWEEP, "spikes": "counts"}, [V, RATE]),
        ({"stimulus": SWEEP, "spikes": "off"}, [V]),
        ({"stimulus": SWEEP, "record": ()}, [NEURON, RATE]),
        ({"stimulus": SWEEP, "record": ("n",)}, [NEURON, RATE]),
        ({"stimulus": SWEEP, "record_neurons": []}, [NEURON, RATE]),
        ({"stimulus": SWEEP, "record": (), "spikes": "counts"}, [RATE]),
        ({"stimulus": Stimulus.constant([1.0, 2.0])}, [V, NEURON]),  # two points are no curve
        ({"stimulus": Stimulus.step([1.0, 2.0, 3.0], 0.2, 0.5)}, [CURRENT, V, NEURON, RATE]),
        ({"batch_size": 100}, [V, NEURON]),
        ({"batch_size": 100, "spikes": "counts"}, [V]),
        # Each one's mean over the whole periods is 0, but for rounding errors.
        ({"stimulus": Stimulus.sine([1.0, 2.0, 3.0], 2000.0)}, [CURRENT, V, NEURON]),
    ],
)
def test_a_plot_has_a_panel_for_all_data_worth_showing(arguments, panels):
    figure = run(**arguments).plot()
    figure.canvas.draw()
    assert ylabels(figure) == panels
    for ax in figure.axes:
        if ax.get_ylabel() == RATE:
            assert ax.get_xlabel() == "I_ext (µA/cm²)"
    *above, last = time_axes(figure) or [None]
    assert all(ax.get_xlabel() == "" for ax in above)
    assert last is None or last.get_xlabel() in ("time (ms)", "I_ext (µA/cm²)")


def test_a_plot_of_one_neuron_has_its_current_above_its_trace():
    stimulus = Stimulus.step(10.0, 0.2, 0.7) + Stimulus.ramp(0.0, 5.0, 0.0, 1.0)
    result = run(stimulus=stimulus)
    current, trace = result.plot().axes
    assert current.get_position().y0 > trace.get_position().y1
    (line,) = current.lines
    assert line.get_drawstyle() == "steps-post"  # held during each step
    assert_array_equal(line.get_ydata()[:-1], stimulus.sample(0.1, 10))
    assert_allclose(line.get_xdata(), np.arange(11) * 0.1, rtol=1e-15)
    assert_array_equal(trace.lines[0].get_xydata().T, [result.time, result.V[:, 0]])


def test_one_chosen_neuron_is_plotted_like_a_run_of_one_neuron(spiking):
    current, trace = spiking.plot(neurons=[2]).axes
    assert_array_equal(trace.lines[0].get_ydata(), spiking.V[:, 2])
    assert set(current.lines[0].get_ydata()) == {40.0}


def test_a_current_given_as_an_array_is_drawn_neuron_by_neuron():
    array = np.arange(30.0).reshape(10, 3)
    current = panel(run(stimulus=array, start_step=5).plot(), CURRENT)
    assert_array_equal([line.get_ydata()[:-1] for line in current.lines], array.T)
    assert_allclose(current.lines[0].get_xdata()[[0, -1]], [0.5, 1.5], rtol=1e-15)


@pytest.mark.parametrize("stimulus", [None, Stimulus.constant(10.0)])
def test_a_constant_current_is_drawn_on_an_axis_with_zero(stimulus):
    low, high = run(stimulus=stimulus).plot().axes[0].get_ylim()
    assert low < 0.0 < high


def test_a_plot_draws_the_samples_every_spike_and_the_settled_rates(firing):
    figure = firing.plot()
    lanes, raster, curve = traces(figure), panel(figure, NEURON), panel(figure, RATE)
    assert_array_equal([ax.lines[0].get_ydata() for ax in lanes], firing.V.T)
    assert_array_equal(lanes[0].lines[0].get_xdata(), firing.time)
    assert_array_equal(raster.lines[0].get_xdata(), firing.spikes.time)
    assert_array_equal(raster.lines[0].get_ydata(), firing.spikes.neuron)
    assert_array_equal(curve.lines[0].get_xydata().T, firing.fi_curve())
    assert curve.get_title() == "settled: 40–80 ms"


def test_the_panels_over_time_share_one_axis(spiking):
    figure = spiking.plot()
    figure.canvas.draw()
    left, right = zip(*(ax.get_position().intervalx for ax in time_axes(figure)), strict=True)
    assert np.ptp(left) == np.ptp(right) == 0.0
    assert all(ax.get_xlim() == (0.0, 20.0) for ax in time_axes(figure))
    time_axes(figure)[0].set_xlim(5.0, 10.0)
    assert all(ax.get_xlim() == (5.0, 10.0) for ax in time_axes(figure))


def test_a_continued_run_is_drawn_at_its_own_time():
    figure = run(stimulus=SWEEP, start_step=50).plot()
    assert_allclose(time_axes(figure)[0].get_xlim(), [5.0, 6.0], rtol=1e-15)
    assert figure.get_suptitle().startswith("3 neurons, 5–6 ms, ")


@pytest.mark.parametrize(
    ("n", "neurons", "title"),
    [
        (1, None, "1 neuron, 1 ms, dt 0.1 ms, reference float64"),
        (1, [0], "1 neuron, "),
        (1200, None, "1,200 neurons, "),
        (1200, [7], "neuron 7 of 1,200, "),
        (1200, [7, 3], "2 of 1,200 neurons, "),
    ],
)
def test_the_title_says_how_many_neurons_there_are(n, neurons, title):
    figure = run(batch_size=n).plot(neurons=neurons)
    assert figure.get_suptitle().startswith(title)


def test_traces_are_labelled_by_neuron_and_mean_current():
    # 4 µA/cm² for the last 0.4 of the 0.5 ms over which the mean is taken.
    sweep = Stimulus.constant(np.arange(9) / 2) + Stimulus.step(5.0, 0.1, 0.6)
    result = run(stimulus=sweep, record_neurons=[7, 2])
    labels = [ax.texts[0].get_text() for ax in traces(result.plot())]
    assert labels == ["neuron 7\n4.5 µA/cm²", "neuron 2\n2 µA/cm²"]
    legend = result.plot_traces().get_legend()
    assert legend.get_title().get_text() == "neuron: mean I_ext (µA/cm²)"
    assert [text.get_text() for text in legend.get_texts()] == ["7: 4.5", "2: 2"]


def test_a_plot_of_many_neurons_shows_five_traces_and_part_of_the_raster():
    n = 5000
    many = run(batch_size=n)
    every = Spikes(np.arange(n), np.full(n, 0.5), np.ones(n, bool))
    figure = with_outcome(many, spikes=every).plot()
    assert len(traces(figure)) == 5
    shown = panel(figure, NEURON).lines[0].get_ydata()
    assert len(shown) == 2000
    assert (shown[0], shown[-1]) == (0, n - 1)


def test_named_neurons_have_rows_and_traces_in_the_order_given(firing):
    figure = firing.plot(neurons=[3, 0, 2])
    raster, curve = panel(figure, NEURON), panel(figure, RATE)
    assert_array_equal([ax.lines[0].get_ydata() for ax in traces(figure)], firing.V[:, [3, 0, 2]].T)
    assert [label.get_text() for label in raster.get_yticklabels()] == ["3", "0", "2"]
    times = raster.lines[0].get_xdata()[raster.lines[0].get_ydata() == 1]
    assert_array_equal(times, firing.spikes.time[firing.spikes.neuron == 0])
    assert_array_equal(curve.lines[0].get_xdata(), [10.0, 20.0, 40.0])


def test_a_run_of_too_many_spikes_shows_the_last_part_of_the_stimulus():
    busy = np.arange(5.0, 10_000.0, 10.0)  # 1,000 spikes, one every 10 ms
    stimulus = Stimulus.step([1.0, 2.0, 3.0], 1000.0, 8000.0)
    result = made_up([[], busy, [7.0]], stimulus=stimulus, V=np.zeros((10_000, 3)), T=10_000.0)
    figure = result.plot()
    # The last 25 spikes of the stimulus begin 245 ms before its end at 8000 ms; 300 ms are shown.
    assert {ax.get_xlim() for ax in time_axes(figure)} == {(7700.0, 8030.0)}
    assert figure.get_suptitle().startswith("3 neurons, 7,700–8,030 ms of 10,000 ms, ")
    inside = busy[(busy >= 7700.0) & (busy <= 8030.0)]
    assert_array_equal(panel(figure, NEURON).lines[0].get_xdata(), inside)
    assert_array_equal(traces(figure)[0].lines[0].get_xdata(), np.arange(7700.0, 8031.0))
    edges, I_ext = panel(figure, CURRENT).lines[2].get_data()
    assert_array_equal(I_ext[:-1], np.where(edges[:-1] < 8000.0, 3.0, 0.0))
    # Single panels show the same time.
    assert result.plot_traces().get_xlim() == result.plot_raster().get_xlim() == (7700.0, 8030.0)
    # The whole run is shown for neurons with few spikes.
    assert result.plot(neurons=[0, 2]).axes[0].get_xlim() == (0.0, 10_000.0)


def test_rates_that_differ_at_one_current_are_drawn_as_a_histogram():
    counts = np.array([1, 1, 2, 2, 3, 3])
    result = with_outcome(run(batch_size=6, spikes="counts"), spike_count=counts)
    histogram = panel(result.plot(), HISTOGRAM)
    assert histogram.get_xlabel() == RATE
    heights = [bar.get_height() for bar in histogram.patches]
    assert (heights[0], heights[-1], sum(heights)) == (2, 2, 6)
    assert all(tick == int(tick) for tick in histogram.get_yticks())


def test_a_neuron_that_blew_up_does_not_change_the_axis_of_V():
    V = np.zeros((1000, 3))
    V[:, 0] = np.linspace(-70.0, 40.0, 1000)
    V[500, 2], V[501:, 2] = 1e30, np.nan
    result = made_up([[], [], []], V=V)
    invalid = Invalid(np.array([2]), np.array([500]))
    figure = with_outcome(result, invalid=invalid).plot()
    assert all(ax.get_ylim() == (-75.5, 45.5) for ax in traces(figure))
    assert traces(figure)[2].texts[0].get_text().startswith("neuron 2 (invalid)")


@pytest.mark.parametrize("name", ["plot", "plot_traces", "plot_raster"])
@pytest.mark.parametrize(
    ("neurons", "message"),
    [
        ([4], "neurons must be between 0 and 3, got 4"),
        ([-1], "neurons must be between 0 and 3, got -1"),
        ([1, 1], "neurons must name each neuron once, got 1 twice"),
        ([], "neurons must name at least one neuron"),
        (2, "neurons must be a list of neuron indices"),
        ([0.5], "neurons must be a list of neuron indices"),
    ],
)
def test_neurons_that_do_not_exist_are_refused(spiking, name, neurons, message):
    with pytest.raises(InvalidInput, match=message):
        getattr(spiking, name)(neurons=neurons)


def test_the_error_names_a_neuron_without_V():
    result = run(stimulus=SWEEP, record_neurons=[2, 0])
    for draw in (result.plot, result.plot_traces):
        with pytest.raises(NotRecorded, match=r"V of neuron 1 was not .* record_neurons, .*=\[2\]"):
            draw(neurons=[0, 1])
    assert result.plot(neurons=[2]).axes  # the remedy
    assert result.plot_raster(neurons=[0, 1]).lines


def test_a_notebook_shows_a_plot_even_if_pyplot_is_not_imported():
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


def test_a_plot_can_be_pickled(spiking):
    again = pickle.loads(pickle.dumps(spiking.plot()))
    assert len(again.axes) == len(spiking.plot().axes)


@pytest.mark.parametrize("arguments", [{"record": ()}, {"record": ("m",)}, {"record_neurons": []}])
def test_a_plot_without_voltage_and_spikes_is_refused(arguments):
    with pytest.raises(InvalidInput, match=r"nothing to plot: .* neither V nor the times of sp"):
        run(spikes="off", **arguments).plot()
