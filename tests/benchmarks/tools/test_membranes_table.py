"""The table of membranes has the errors that it names."""

from benchmarks.tools import membranes as table
from hhplug import membranes

RK4_ERROR = 2.1e-4  # ms at dt 0.01 for WB: 2.0e-4 after 150 ms, by the README of NEURON's data


def test_spike_times_are_NEURONs_to_the_error_of_the_method():
    error = table.spike_time_error(membranes.WB, "numpy", "float64")
    assert error is not None
    assert error < RK4_ERROR
    assert table.spike_time_error(membranes.FS, "numpy", "float64") is None


def test_a_wrong_train_has_an_infinite_error(monkeypatch):
    monkeypatch.setattr(table, "DT", 0.05)  # ms
    data = table.Stimulus.step
    monkeypatch.setattr(table.Stimulus, "step", lambda current, *when: data(0.5 * current, *when))
    assert table.spike_time_error(membranes.WB, "numpy", "float64") == float("inf")


def test_rates_are_compared_with_the_description():
    assert table.rate_error(membranes.WB, "numpy", "float64") < 1e-13
