"""`plot_traces`, `plot_raster` and `plot_fi` draw single panels."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from plots import SWEEP, made_up, with_outcome
from short_runs import run

from hhplug import InvalidInput, NotRecorded

matplotlib = pytest.importorskip("matplotlib")


def test_a_legend_covers_no_trace(spiking):
    ax = spiking.plot_traces()
    ax.figure.canvas.draw()
    assert ax.get_legend().get_window_extent().y0 >= ax.get_window_extent().y1


@pytest.mark.parametrize("n", [1, 2, 5, 13, 1000])
def test_the_tick_labels_of_neurons_are_whole_numbers(n):
    raster = run(batch_size=n, record=()).plot_raster()
    raster.figure.canvas.draw()
    labels = [label.get_text() for label in raster.get_yticklabels()]
    assert labels
    assert all(label.lstrip("−").isdigit() for label in labels)


def test_a_long_trace_is_drawn_by_the_extremes_of_its_columns():
    V = np.random.default_rng(0).normal(size=(100_000, 3))
    V[33_333, 0] = 50.0  # a spike of one sample
    # The spike is so high that the noise isn't counted as swings, so the whole time is shown.
    line = made_up([[], [], []], V=V, T=100_000.0).plot_traces(neurons=[0]).lines[0]
    time, drawn = line.get_xdata(), line.get_ydata()
    assert len(drawn) <= 4002
    assert_array_equal(drawn, V[time.astype(int), 0])
    assert (time[0], time[-1]) == (0.0, 99_999.0)
    columns = V[:, 0].reshape(2000, 50)
    at = time.astype(int) // 50
    assert_array_equal([drawn[at == k].max() for k in range(2000)], columns.max(axis=1))
    assert_array_equal([drawn[at == k].min() for k in range(2000)], columns.min(axis=1))


def test_a_trace_that_became_nan_is_drawn_to_its_end():
    V = np.zeros((100_000, 3))
    V[70_010, 1] = 50.0
    V[70_025:, 1] = np.nan  # amid a column of 50 samples
    line = made_up([[], [], []], V=V, T=100_000.0).plot_traces(neurons=[1]).lines[0]
    assert line.get_xdata()[np.nanargmax(line.get_ydata())] == 70_010.0


def test_the_trace_of_a_neuron_at_rest_is_a_straight_line():
    low, high = run(10.0).plot_traces().get_ylim()
    assert high - low >= 10.0
    assert abs((low + high) / 2.0 + 65.0) < 0.1


def test_a_single_sample_is_drawn_as_a_dot():
    assert run(0.1).plot_traces().lines[0].get_marker() == "."
    assert run(0.2).plot_traces().lines[0].get_marker() == "none"


def test_swings_of_V_are_counted_if_there_are_no_spikes():
    swinging = np.sin(2.0 * np.pi * np.arange(10_000)[:, np.newaxis] / 20.0) * [0.0, 1.0, 0.0]
    result = made_up([[], [], []], V=swinging, T=10_000.0)
    low, high = result.plot_traces().get_xlim()
    assert high == 10_000.0
    assert 9400.0 <= low <= 9520.0  # 25 swings of 20 ms
    assert result.plot_traces(neurons=[0]).get_xlim() == (0.0, 10_000.0)


def test_no_line_joins_the_points_of_an_fi_curve():
    result = made_up([[], [], np.arange(0.0, 1000.0, 10.0)])
    line = result.plot_fi().lines[0]
    assert line.get_linestyle() == "None"
    assert_allclose(line.get_ydata(), [0.0, 0.0, 100.0], rtol=1e-12)


def test_a_neuron_without_a_rate_is_counted_and_not_drawn():
    result = made_up([[], [700.0], np.arange(0.0, 1000.0, 10.0)])
    curve = result.plot_fi()  # without a warning
    assert_array_equal(curve.lines[0].get_xdata(), [1.0, 3.0])
    assert curve.get_title() == "settled: 500–1,000 ms\n1 of 3 without a rate"


def test_the_fi_curve_is_that_of_the_window_and_the_method():
    result = made_up([[100.0, 110.0], [100.0, 150.0], [100.0, 200.0]])
    curve = result.plot_fi(start=50.0, stop=250.0)
    assert_allclose(curve.lines[0].get_ydata(), [100.0, 20.0, 10.0], rtol=1e-12)
    assert curve.get_title() == "50–250 ms"
    by_count = result.plot_fi(start=50.0, stop=250.0, method="count").lines[0]
    assert_allclose(by_count.get_ydata(), [10.0, 10.0, 10.0], rtol=1e-12)


def test_the_fi_curve_of_counted_spikes_is_that_of_the_whole_run():
    counted = run(stimulus=SWEEP, spikes="counts")
    curve = with_outcome(counted, spike_count=np.array([1, 2, 3])).plot_fi()
    assert_allclose(curve.lines[0].get_ydata(), [1000.0, 2000.0, 3000.0], rtol=1e-12)  # in 1 ms
    assert curve.get_title() == "whole run: 0–1 ms"
    with pytest.raises(NotRecorded, match="method='count'"):
        counted.plot_fi(method="isi")


@pytest.mark.parametrize("name", ["plot_traces", "plot_raster", "plot_fi"])
def test_a_panel_is_drawn_on_the_users_axes_or_on_new_ones(spiking, name):
    from hhplug.figure import Figure

    left, right = matplotlib.figure.Figure().subplots(1, 2)
    draw = getattr(spiking, name)
    assert draw(ax=right) is right
    assert right.lines
    assert not left.lines
    own = draw()
    assert isinstance(own.figure, Figure)
    for line, same in zip(own.lines, right.lines, strict=True):
        assert_array_equal(line.get_xydata(), same.get_xydata())
    with pytest.raises(InvalidInput, match="ax must be one matplotlib Axes, got ndarray"):
        draw(ax=np.array([left, right]))


def test_the_error_names_the_data_that_were_not_recorded():
    with pytest.raises(NotRecorded, match=r"V was not recorded"):
        run(record=()).plot_traces()
    with pytest.raises(NotRecorded, match="V was recorded of no neuron"):
        run(record_neurons=[]).plot_traces()
    with pytest.raises(NotRecorded, match="spike times were not kept"):
        run(spikes="counts").plot_raster()
    with pytest.raises(NotRecorded, match="spikes"):
        run(spikes="off").plot_fi()
