"""The current of each channel follows from what was recorded."""

import numpy as np
import pytest
from made_up_membranes import CALCIUM, SLOW
from numpy.testing import assert_allclose

from hhplug import InvalidInput, NotRecorded, Simulator, Stimulus
from hhplug.membranes import WB

DIFFERENCE_TOLERANCE = 0.02  # µA/cm², of currents of up to 1,000 during a spike; 0.007 is reached
STIMULUS = Stimulus.constant([0.0, 5.0, 20.0])


def test_the_currents_are_those_of_the_equations_at_each_sample():
    g_M, E_K = np.array([0.0, 0.05, 0.2]), -80.0
    result = Simulator("reference", membrane=SLOW, parameters={"g_M": g_M, "E_K": E_K}).run(
        1.0, stimulus=STIMULUS, record_all=True, record_every=7, record_neurons=[2, 0]
    )
    V, m, h, n, p = (result[name] for name in SLOW.states)
    currents = result.currents()
    assert list(currents) == ["Na", "K", "L", "M"]
    assert_allclose(currents["Na"], 120.0 * m**3 * h * (V - 50.0), rtol=1e-13)
    assert_allclose(currents["K"], 36.0 * n**4 * (V - E_K), rtol=1e-13)
    assert_allclose(currents["L"], 0.3 * (V + 54.387), rtol=1e-13)
    assert_allclose(currents["M"], g_M[[2, 0]] * p * (V - E_K), rtol=1e-13)
    assert_allclose(result.currents("M"), currents["M"], rtol=0.0)


def test_the_currents_balance_the_capacitive_one():
    # C_m dV/dt = I_ext − ΣI, with dV/dt by central differences of V.
    dt = 0.001
    result = Simulator("reference", membrane=CALCIUM).run(
        2.0, dt, stimulus=Stimulus.constant([0.0, 15.0]), record_all=True
    )
    slope = (result.V[2:] - result.V[:-2]) / (2.0 * dt)
    total = sum(result.currents().values())[1:-1]
    assert np.abs(slope - ([0.0, 15.0] - total)).max() < DIFFERENCE_TOLERANCE


def test_an_instantaneous_gate_is_computed_from_V():
    result = Simulator("reference", membrane=WB).run(1.0, record=("V", "h"))
    V, h = result.V, result["h"]
    alpha = 0.1 * (V + 35) / (1 - np.exp(-(V + 35) / 10))
    m = alpha / (alpha + 4 * np.exp(-(V + 60) / 18))
    assert_allclose(result.currents("Na"), 35.0 * m**3 * h * (V - 55.0), rtol=1e-12)


@pytest.mark.parametrize(
    ("membrane", "channel", "record", "missing", "wanted"),
    [
        (SLOW, "M", ("V",), "of M needs p,", "('V', 'p')"),
        (SLOW, "L", ("m",), "of L needs V,", "('m', 'V')"),
        (WB, "Na", (), "of Na needs V, h,", "('V', 'h')"),
        (CALCIUM, "AHP", ("V",), "of AHP needs Ca_i,", "('V', 'Ca_i')"),
        (CALCIUM, "Ca", ("V",), "of Ca needs s, Ca_i,", "('V', 's', 'Ca_i')"),
        (SLOW, None, ("V", "m"), "currents of all channels need h, n, p,", "'h', 'n', 'p')"),
    ],
)
def test_the_error_names_what_must_be_recorded(membrane, channel, record, missing, wanted):
    simulator = Simulator("reference", membrane=membrane)
    with pytest.raises(NotRecorded) as error:
        simulator.run(0.1, record=record).currents(channel)
    assert missing in str(error.value)
    assert wanted in str(error.value)
    proposed = eval(str(error.value).partition("record=")[2])
    simulator.run(0.1, record=proposed).currents(channel)


def test_an_unknown_channel_is_refused_with_a_suggestion():
    result = Simulator("reference", membrane=SLOW).run(0.1)
    with pytest.raises(InvalidInput, match=r"'na'; choose from Na, K, L, M\. Did you mean 'Na'"):
        result.currents("na")


def test_currents_of_float32_samples_and_of_a_neuron_that_became_NaN_are_float64():
    with pytest.warns(RuntimeWarning, match="1 of 2 neurons became invalid"):
        result = Simulator("numpy", "float32").run(
            0.05, stimulus=Stimulus.constant([0.0, 1e37]), record_all=True
        )
    current = result.currents("K")
    assert current.dtype == np.float64
    assert np.isfinite(current[:, 0]).all()
    assert not np.isfinite(current[-1, 1])
