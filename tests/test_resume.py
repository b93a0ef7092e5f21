"""A run and its continuation from the result equal one uninterrupted run, bit for bit.

One neuron becomes NaN, because dt is too long for its Na conductance. Its gates leave [0, 1] at
step 60, and it is NaN from step 61 on. The other neurons fire later than that.
"""

import re
import warnings
from dataclasses import replace
from math import isclose, nan

import numpy as np
import pytest
from device.host_device import HostDevice, backend_on
from device.host_problems import blocks_of
from end_to_end import assert_end_to_end
from numpy.testing import assert_array_equal
from under_test import NAMES

import hhplug
from hhplug import HHParameters, InvalidInput, Problem, Simulator, Stimulus
from hhplug.state import State

N, NONFINITE, STEPS, DT = 5, 2, 300, 0.01  # ms
CUTS = {"before the gates leave [0, 1]": 50, "gates outside [0, 1]": 60, "NaN": 100}
G_NA = np.where(np.arange(N) == NONFINITE, 2000.0, 120.0)
ARRAY = np.random.default_rng(14).uniform(0.0, 40.0, (STEPS, N))
EVERYTHING = {"record_all": True, "record_every": 7}

without_nan_warnings = pytest.mark.filterwarnings("ignore:1 of 5 neurons:RuntimeWarning")


def simulator(backend="reference"):
    return Simulator(backend, parameters=HHParameters(g_Na=G_NA))


def run(backend="reference", first=0, last=STEPS, **arguments):
    """Run the steps first ≤ k < last."""
    given = {"stimulus": ARRAY[first:last], **EVERYTHING} | arguments
    return simulator(backend).run((last - first) * DT, DT, **given)


@without_nan_warnings
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("backend", NAMES)
@pytest.mark.parametrize("waves", [False, True])
def test_two_runs_joined_by_resume_equal_one_run(backend, cut, waves):
    waves = {"stimulus": Stimulus.sine(20.0, 400.0, offset=15.0)} if waves else {}
    first = run(backend, 0, cut, **waves)
    second = run(backend, cut, STEPS, resume=first, **waves)
    assert second.time[0] >= cut * DT
    assert_end_to_end([first, second], run(backend, **waves))
    assert np.isnan(second.final_state[:, NONFINITE]).all()
    assert second.spike_count.any()


@without_nan_warnings
@pytest.mark.parametrize("backend", NAMES)
def test_a_final_state_with_a_nonfinite_neuron_is_accepted_as_initial_state(backend):
    first = run(backend, 0, CUTS["NaN"])
    state = {"initial_state": first.final_state, "start_step": first.next_step}
    assert_end_to_end([first, run(backend, first.next_step, **state)], run(backend))


@pytest.mark.parametrize("way", ["resume", "initial_state"])
def test_each_run_with_a_nonfinite_neuron_gives_one_warning(way):
    with pytest.warns(RuntimeWarning) as first_warned:
        first = run(last=150)
    state = {"resume": first} if way == "resume" else {"initial_state": first.final_state}
    with pytest.warns(RuntimeWarning) as second_warned:
        run(first=150, **state)
    (became,), (start,) = first_warned, second_warned
    assert str(became.message).startswith("1 of 5 neurons became invalid, the first neuron 2")
    assert str(start.message).startswith(
        "1 of 5 neurons start with a state that is NaN or infinite, the first neuron 2;"
    )
    assert start.filename == became.filename == __file__


@without_nan_warnings
def test_a_neuron_that_becomes_nonfinite_later_gives_a_warning_of_its_own():
    first = run(last=150)
    state = first.final_state.copy()
    state[:, 4] = 1e200
    with pytest.warns(RuntimeWarning) as warned:
        run(first=150, resume=replace(first, final=State(state)))
    assert len(warned) == 2
    assert str(warned[1].message).startswith("1 of 5 neurons became invalid, the first neuron 4")


@pytest.mark.parametrize("value", [nan, np.inf, -np.inf])
def test_a_warning_of_a_shared_nonfinite_state_counts_every_neuron(value):
    with pytest.warns(RuntimeWarning, match=r"^3 of 3 neurons start .* the first neuron 0;"):
        Problem(1.0, batch_size=3, initial_state=[-65.0, 0.1, value, 0.3])


@without_nan_warnings
def test_a_gate_outside_0_to_1_is_refused_and_the_proposed_resume_works():
    cut = CUTS["gates outside [0, 1]"]
    first = run(last=cut)
    assert np.isfinite(first.final_state).all()
    with pytest.raises(
        InvalidInput, match=r"of initial_state must be between 0 and 1, got .* for neuron 2; .*"
    ) as refused:
        run(first=cut, initial_state=first.final_state)
    assert "use resume=result" in str(refused.value)
    assert_end_to_end([first, run(first=cut, resume=first)], run())


def test_a_wrong_gate_of_a_finite_neuron_is_refused_beside_a_nonfinite_neuron():
    state = np.full((4, 3), 0.5)
    state[0, 0], state[2, 1] = nan, 1.5
    with pytest.raises(InvalidInput, match=r"h of initial_state .*, got 1\.5 for neuron 1"):
        Problem(1.0, initial_state=state)


@without_nan_warnings
def test_a_saved_result_can_be_resumed_and_its_second_half_can_be_loaded(tmp_path):
    for cut in CUTS.values():
        run(last=cut).save(tmp_path / "first.npz")
        second = run(first=cut, resume=hhplug.load_result(tmp_path / "first.npz"))
        second.save(tmp_path / "second.npz")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            loaded = hhplug.load_result(tmp_path / "second.npz")
        assert_array_equal(loaded.problem.initial_state, second.problem.initial_state)
        assert_end_to_end([run(last=cut), loaded], run())
        assert_array_equal(hhplug.simulate(loaded.problem, "reference").m, second.m)


@without_nan_warnings
def test_a_run_continues_from_a_result_whose_arrays_are_on_a_device():
    backend = backend_on(HostDevice())

    def simulated(first, last, **arguments):
        parameters = HHParameters(g_Na=G_NA)
        problem = Problem(
            (last - first) * DT,
            DT,
            stimulus=ARRAY[first:last],
            parameters=parameters,
            device_arrays=True,
            **arguments,
        )
        return hhplug.simulate(problem, backend)

    with blocks_of(64):
        first = simulated(0, 150)
        parts = [part.on_host() for part in (first, simulated(150, STEPS, resume=first))]
        assert_end_to_end(parts, simulated(0, STEPS).on_host())


@without_nan_warnings
def test_a_run_with_a_shorter_dt_continues_at_the_same_time():
    stimulus = Stimulus.step(np.full(N, 30.0), start=1.2, stop=2.0)
    first = run(last=100, stimulus=stimulus)
    second = simulator().run(2.0, 0.004, stimulus=stimulus, resume=first)
    assert (second.problem.start_step, second.time[0]) == (250, 1.0)
    # Two steps of half the length follow the same solution: RK4's error of a step is below 1e-6 mV.
    halves = simulator().run(0.01, 0.005, stimulus=stimulus, resume=first, batch_size=N)
    whole = simulator().run(0.01, 0.01, stimulus=stimulus, resume=first)
    sound = np.arange(N) != NONFINITE
    assert np.abs(halves.final_state - whole.final_state)[:, sound].max() < 1e-6
    current = second.problem.current
    on = [float(row[0]) for row in current.rows(second.problem.start_step, 500)]
    assert np.flatnonzero(on)[[0, -1]].tolist() == [50, 249]  # 1.2 ≤ t < 2 ms


@pytest.mark.parametrize(
    ("steps", "dt", "T"), [(101, 0.02, 1.0), (101, 0.03, 0.3), (100, 0.03, 0.6), (7, 0.05, 3.0),
                           (1, 0.02, 1.0), (12_345, 0.02, 0.02), (30, 0.7, 0.7), (90, 0.04, 0.6)]
)  # fmt: skip
def test_a_dt_that_does_not_divide_the_time_is_refused_and_the_proposed_ones_work(steps, dt, T):
    first = Simulator("numpy").run(steps * DT, DT, record=(), spikes="off")
    with pytest.raises(
        InvalidInput, match=r"dt must divide the time of resume, .* whole steps;"
    ) as error:
        Problem(T, dt, resume=first)
    for near in re.findall(r"([\d.e-]+) and ([\d.e-]+) ms$", str(error.value))[0]:
        second = Problem(T, float(near), resume=first)
        assert isclose(second.start_step * second.dt, steps * DT, rel_tol=1e-9)
        assert isclose(second.T, T, rel_tol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"initial_state": [-65, 0, 0, 0]}, "initial_state must be left out beside resume"),
        ({"start_step": 0}, "start_step must be left out beside resume"),
        ({"resume": "run.npz"}, r"resume must be a Result, got str; hhplug.load_result\(path\)"),
        ({"batch_size": 4}, "batch_size says 4 neurons, but resume has 3"),
        ({"batch_size": 1}, "batch_size says 1 neurons, but resume has 3"),
        ({"parameters": HHParameters(g_K=[30.0, 40.0])}, "g_K says 2 neurons, but resume has 3"),
        ({"stimulus": Stimulus.constant([1.0] * 4)}, "resume says 3 neurons, but stimulus has 4"),
        ({"dt": 1e-320, "T": 1e-319}, "more than can be counted"),
    ],
)
def test_an_argument_that_cannot_be_resumed_is_refused_by_name(plain, arguments, message):
    with pytest.raises(InvalidInput, match=message):
        Problem(**{"T": 1.0, "dt": 0.1, "resume": plain} | arguments)


def test_a_result_of_one_neuron_is_not_spread_over_many():
    one = Simulator("reference").run(0.1)
    with pytest.raises(InvalidInput, match="batch_size says 3 neurons, but resume has 1"):
        Problem(0.1, batch_size=3, resume=one)


def test_the_population_is_that_of_the_result(plain):
    assert Problem(1.0, 0.1, resume=plain).n_neurons == 3


def test_a_result_does_not_change_when_a_run_continues_from_it(plain):
    before = plain.final_state.copy()
    hhplug.simulate(Problem(0.2, 0.1, resume=plain), "reference")
    assert_array_equal(plain.final_state, before)
