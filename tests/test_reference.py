"""The reference agrees with the paper, another simulator and SciPy."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from hhplug import HHParameters, Simulator, Stimulus
from hhplug.membranes import squid

BRIAN2_BOUND = 1e-9  # mV and probabilities; 1e-11 is reached


def test_the_derivative_is_the_papers_membrane_equation():
    # J. Physiol. 117 (1952), eq. 26, 7, 15, 16 and table 3, in the paper's own notation: V is the
    # displacement from rest in mV, negative for a depolarisation, and a stimulus is negative.
    rng = np.random.default_rng(26)
    V = -rng.uniform(-30.0, 120.0, 1000)
    m, h, n = rng.uniform(0.0, 1.0, (3, 1000))
    I = rng.uniform(-10.0, 20.0, 1000)  # noqa: E741
    V_Na, V_K, V_l = -115.0, 12.0, -10.613
    total = 36.0 * n**4 * (V - V_K) + 120.0 * m**3 * h * (V - V_Na) + 0.3 * (V - V_l)
    dV = -I - total  # C_M = 1 µF/cm²
    dn = 0.01 * (V + 10) / (np.exp((V + 10) / 10) - 1) * (1 - n) - 0.125 * np.exp(V / 80) * n
    dm = 0.1 * (V + 25) / (np.exp((V + 25) / 10) - 1) * (1 - m) - 4 * np.exp(V / 18) * m
    dh = 0.07 * np.exp(V / 20) * (1 - h) - 1 / (np.exp((V + 30) / 10) + 1) * h

    state = np.stack([-V - 65.0, m, h, n])
    ours = squid.equations.derivative(state, I, squid.equations.defaults)

    np.testing.assert_allclose(ours, [-dV, dm, dh, dn], rtol=1e-11, atol=1e-10)


def test_traces_are_those_of_brian2(brian2):
    result = Simulator("reference").run(
        T=50.0, stimulus=Stimulus.constant(brian2["current"]), record_all=True, record_every=10
    )
    for name in "Vmhn":
        assert np.abs(result[name] - brian2[name]).max() < BRIAN2_BOUND, name
    assert np.abs(result.final_state - brian2["final"]).max() < BRIAN2_BOUND


def test_spikes_are_those_of_brian2(brian2):
    result = Simulator("reference").run(T=50.0, stimulus=Stimulus.constant(brian2["current"]))
    order = np.lexsort([brian2["spike_step"], brian2["spike_neuron"]])
    np.testing.assert_array_equal(result.spikes.neuron, brian2["spike_neuron"][order])
    np.testing.assert_array_equal(np.floor(result.spikes.time / 0.01), brian2["spike_step"][order])


def test_the_error_decreases_with_the_fourth_power_of_dt():
    # SciPy's DOP853 from one jump of the current to the next, which every dt used here hits.
    n, T = 4, 12.0
    parameters = HHParameters(
        C_m=np.linspace(0.9, 1.1, n), g_Na=np.linspace(115, 125, n), E_L=np.linspace(-56, -53, n)
    )
    amplitude = np.linspace(8.0, 20.0, n)
    stimulus = Stimulus.step(amplitude, start=0.8, stop=8.0)
    simulator = Simulator("reference", parameters=parameters)
    p = dict(simulator.parameters)
    state = np.repeat(squid.equations.settled(-65.0, p)[:, np.newaxis], n, axis=1)
    for start, stop, I_ext in ((0.0, 0.8, 0.0), (0.8, 8.0, amplitude), (8.0, T, 0.0)):
        solution = solve_ivp(
            lambda _, y, I_ext=I_ext: squid.equations.derivative(y.reshape(4, n), I_ext, p).ravel(),
            (start, stop),
            state.ravel(),
            method="DOP853",
            rtol=1e-13,
            atol=1e-13,
        )
        state = solution.y[:, -1].reshape(4, n)

    dts = np.array([0.04, 0.02, 0.01])
    errors = [
        np.abs(simulator.run(T, dt=dt, stimulus=stimulus, record=()).final_state - state).max()
        for dt in dts
    ]
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert np.all((orders > 3.8) & (orders < 4.2)), (errors, orders)


@pytest.mark.parametrize("V", [-40.0, -55.0])
def test_the_reference_has_no_device_and_one_precision(V):
    simulator = Simulator("reference")
    result = simulator.run(T=0.1, initial_state=[V, 0.1, 0.6, 0.3])
    assert result.dtype == "float64"
    assert result.V.dtype == np.float64
    assert np.isfinite(result.V).all()
