"""The accuracy benchmarks detect a wrong backend, and a failing one does not affect the others."""

import numpy as np
import pytest

from benchmarks import accuracy
from hhplug import Simulator
from hhplug.testing.accuracy import BOUNDS


@pytest.fixture(scope="module")
def reference():
    """The reference's runs, in which spikes are compared over 50 ms in place of 200."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accuracy, "TRAIN_STEPS", accuracy.TRACE_STEPS)
        yield accuracy.Reference()


def test_numpy_is_within_bounds_and_its_error_over_dt_falls_with_the_fourth_power(reference):
    errors = reference.errors("numpy", "float64")
    bounds = BOUNDS["float64"]
    assert 0 < errors["V"] < bounds.V_50_ms
    assert errors["spike time"] < bounds.spike_time
    assert 0 < errors["rate"] < bounds.rate
    coarse, fine = (errors[str(dt)] for dt in (0.02, 0.01))
    assert 12 < coarse / fine < 24  # 2⁴, near enough at these dt


def test_the_error_is_infinite_for_a_nan_or_a_wrong_shape():
    assert accuracy.greatest(np.array([1.0, np.nan]), np.array([1.0, 1.0])) == np.inf
    assert accuracy.greatest(np.zeros(3), np.zeros(2)) == np.inf
    assert accuracy.greatest(np.zeros(2), np.array([0.0, -3.0])) == 3.0


def test_a_failing_backend_does_not_affect_the_others(reference, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(Simulator, "run", broken)
    assert isinstance(reference.errors("numpy", "float32"), RuntimeError)
    assert isinstance(reference.errors("reference", "float32"), NotImplementedError)
