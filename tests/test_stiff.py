"""The method "stiff": its order, its stability, and that every part of hhplug knows it."""

import json

import numpy as np
import pytest
from command_line import SHORT
from made_up_membranes import CALCIUM, SLOW
from scipy.integrate import solve_ivp

from hhplug import (
    HHParameters,
    InvalidInput,
    Problem,
    Simulator,
    Stimulus,
    concat,
    load_result,
    simulate,
)
from hhplug import membranes as library
from hhplug.lowering.lower import lower
from hhplug.lowering.program import evaluate
from hhplug.membranes import squid
from hhplug.plugins import choice
from hhplug.stiff import stiff_step

MEMBRANES = [getattr(library, name) for name in sorted(library.__all__)] + [SLOW, CALCIUM]
STRONG = HHParameters(g_Na=600.0, g_K=180.0, g_L=1.5)  # five times the usual conductances
DT = 0.05  # ms; RK4 is unstable with STRONG from 0.02 ms on


def on_the_way_to_a_spike(membrane, n):
    """States (n_states, n): settled at -65 mV and then moved to voltages up to -30 mV."""
    equations = membrane.equations
    state = equations.settled(np.full(n, -65.0), equations.defaults)
    state[0] = np.linspace(-50.0, -30.0, n)
    return state


@pytest.mark.parametrize("membrane", MEMBRANES, ids=lambda membrane: membrane.name)
def test_the_method_is_of_fourth_order_for_every_membrane(membrane):
    # By SciPy's DOP853.
    equations, p, T = membrane.equations, membrane.equations.defaults, 0.64
    state = on_the_way_to_a_spike(membrane, 3)
    I_ext = np.array([0.0, 5.0, 10.0])
    exact = solve_ivp(
        lambda _, y: equations.derivative(y.reshape(state.shape), I_ext, p).ravel(),
        (0.0, T), state.ravel(), method="DOP853", rtol=1e-12, atol=1e-13,
    ).y[:, -1].reshape(state.shape)  # fmt: skip
    errors = []
    for dt in (0.02, 0.01, 0.005):
        y = state
        for _ in range(round(T / dt)):
            y, _ = stiff_step(equations, y, I_ext, dt, p)
        errors.append(np.abs(y[0] - exact[0]).max())
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert orders[-1] > 3.7, (errors, orders)
    assert orders[-1] < 4.3, (errors, orders)


@pytest.mark.parametrize("target", ["gpu-float64", "numpy-float64"])
@pytest.mark.parametrize("membrane", MEMBRANES, ids=lambda membrane: membrane.name)
def test_the_lowered_step_is_that_of_the_description(membrane, target):
    equations, p, n = membrane.equations, membrane.equations.defaults, 9
    state, I_ext = on_the_way_to_a_spike(membrane, n), np.linspace(-5.0, 20.0, n)
    expected, slopes = stiff_step(equations, state, I_ext, DT, p)
    program = lower(membrane, target, "stiff")
    rows = program.row_values(p, DT)
    values = {**rows, **program.scalar_values(DT), **dict(zip(program.states, state, strict=True))}
    found = evaluate(program, values | {"I": I_ext * rows["per_C_m"] + rows["leak"]})
    for value, right in zip(program.outputs.values(), expected, strict=True):
        np.testing.assert_allclose(found[value], right, rtol=1e-11, atol=1e-11)
    for value, right in zip((program.slopes[0], program.slopes[-1]), slopes, strict=True):
        slope = found[value] * program.per_step(DT) / DT
        np.testing.assert_allclose(slope, right, rtol=1e-9, atol=1e-9)
    assert (found[program.conductance] == 0.0).all()


def test_strong_conductances_leave_a_small_error_where_rk4_loses_every_neuron():
    # Against RK4 with dt = 0.002 ms, whose own error is 1e-8 ms.
    arguments = {"stimulus": Stimulus.constant(np.linspace(40.0, 100.0, 7)), "record": ()}
    exact = Simulator("numba", "float64", STRONG).run(200.0, 0.002, **arguments)
    ours = Simulator("numba", "float64", STRONG, method="stiff").run(200.0, DT, **arguments)
    assert ours.valid.all()
    assert exact.spike_count.min() > 5
    np.testing.assert_array_equal(ours.spike_count, exact.spike_count)
    late = np.abs(ours.spikes.time - exact.spikes.time)
    assert np.median(late) < 2e-3  # ms; 1.2e-3 is measured
    assert late.max() < 5e-3
    with pytest.warns(RuntimeWarning, match=r'or Simulator\(method="stiff"\)'):
        assert not Simulator("numba", "float64", STRONG).run(20.0, DT, **arguments).valid.any()


@pytest.mark.parametrize("backend", ["reference", "numpy", "numba"])
def test_two_runs_end_to_end_equal_one_and_say_their_method(backend, tmp_path):
    simulator = Simulator(backend, parameters=STRONG, method="stiff")
    current = Stimulus.sine(np.linspace(40.0, 100.0, 5), frequency=80.0)
    whole = simulator.run(6.0, DT, stimulus=current)
    first = simulator.run(2.0, DT, stimulus=current)
    first.save(tmp_path / "first.npz")
    second = simulator.run(4.0, DT, stimulus=current, resume=load_result(tmp_path / "first.npz"))
    joined = concat([first, second])
    np.testing.assert_array_equal(joined.V, whole.V)
    np.testing.assert_array_equal(joined.spikes.time, whole.spikes.time)
    assert whole.spikes.time.size
    assert joined.problem.method == load_result(tmp_path / "first.npz").problem.method == "stiff"


def test_a_run_may_go_on_by_another_method_but_is_not_joined_with_it():
    first = Simulator("numpy").run(1.0, batch_size=2)
    second = Simulator("numpy", method="stiff").run(1.0, resume=first)
    assert second.problem.start_step == 100
    with pytest.raises(InvalidInput, match="same method to be joined, but result 0 has 'rk4'"):
        concat([first, second])


def test_the_dataset_names_the_method():
    pytest.importorskip("xarray")
    result = Simulator("numpy", method="stiff").run(1.0, batch_size=2)
    assert result.to_xarray().attrs["method"] == "stiff"


def test_an_unknown_method_is_refused_with_a_suggestion():
    with pytest.raises(InvalidInput, match=r"unknown method 'stif'; .*rk4, stiff.*mean 'stiff'"):
        Problem(1.0, method="stif")
    with pytest.raises(InvalidInput, match="unknown method"):
        Simulator("numpy", method="euler")


PLAIN = """
@hookimpl
def hhplug_backends():
    fields = dict(factory="hhplug.reference:ReferenceBackend", api="2.0", summary="by RK4 alone")
    return [BackendSpec(name="plain", priority=99, **fields)]
"""


def test_a_backend_without_the_method_is_refused_and_passed_over(plugins):
    plugins.install("plain", PLAIN)
    with pytest.raises(InvalidInput, match=r"'plain' integrates by rk4, .* has it: .*reference"):
        Simulator("plain", method="stiff")
    with pytest.raises(InvalidInput, match="integrates by rk4"):
        simulate(Problem(1.0, method="stiff"), choice.choose("plain"))
    assert Simulator(dtype="float64").backend == "plain"
    assert Simulator(dtype="float64", method="stiff").backend != "plain"


def test_run_takes_the_method(hhplug):
    code, output, _ = hhplug(*SHORT, "--backend", "numpy", "--method", "stiff", "--json")
    assert code == 0
    assert json.loads(output)["method"] == "stiff"
    code, _, errors = hhplug(*SHORT, "--backend", "numpy", "--method", "implicit")
    assert code == 2
    assert "unknown method 'implicit'; choose from rk4, stiff" in errors


def test_programs_of_two_methods_have_different_digests():
    programs = [lower(squid, "gpu-float32", method) for method in ("rk4", "stiff")]
    assert programs[0].digest != programs[1].digest
