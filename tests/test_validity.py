"""Which neurons are invalid, in runs whose right spike trains are known from a fine step."""

import itertools
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import hhplug
from hhplug import Problem, Simulator, Stimulus, simulate
from hhplug.membranes import squid
from hhplug.testing.accuracy import accuracy_problem

USUAL = {name: parameter.value for name, parameter in squid.parameters.items()}
SPIKE_ERROR = 0.1  # ms; a train is wrong if it has other spikes, or one that is so far off


def run(T, dt, parameters, current, dtype="float64", **arguments):
    """Run the squid on Numba, where the test looks at validity by itself."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* became invalid", RuntimeWarning)
        return Simulator("numba", dtype, parameters).run(
            T, dt, stimulus=Stimulus.constant(current), record=(), **arguments
        )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_alarm_over_the_accuracy_problem(dtype):
    assert simulate(accuracy_problem(50.0, dtype), "numba").valid.all()


def test_no_alarm_at_half_and_one_and_a_half_of_every_parameter():
    n, random = 4000, np.random.default_rng(1)
    drawn = {name: value * random.uniform(0.5, 1.5, n) for name, value in USUAL.items()}
    assert run(40.0, 0.02, drawn, random.uniform(0.0, 20.0, n)).valid.all()
    corners = np.array(list(itertools.product((0.5, 1.5), repeat=len(USUAL)))).T
    at_corners = {name: value * c for (name, value), c in zip(USUAL.items(), corners, strict=True)}
    for current in (0.0, 10.0, 20.0):
        assert run(40.0, 0.01, at_corners, np.full(len(corners.T), current)).valid.all()


def test_no_alarm_over_currents_down_to_minus_25():
    assert run(50.0, 0.01, None, np.linspace(-25.0, 25.0, 501)).valid.all()


# Each ends with a finite V and a spike count that is wrong by dt = 0.001 ms.
@pytest.mark.parametrize(
    ("g_Na", "current", "dt"),
    [(1020, 30, 0.01), (500, 30, 0.02), (410, 30, 0.025), (550, 10, 0.02), (420, 10, 0.025)],
)
def test_a_finite_run_with_wrong_spikes_is_invalid(g_Na, current, dt):
    wrong = run(100.0, dt, {"g_Na": [float(g_Na)]}, [float(current)])
    assert np.isfinite(wrong.final_state).all()
    right = run(100.0, 0.001, {"g_Na": [float(g_Na)]}, [float(current)])
    assert wrong.spike_count != right.spike_count
    assert right.valid.all()
    assert 0 <= wrong.first_invalid_step[0] < 100.0 / dt
    assert np.isnan(wrong.firing_rate(50.0, 100.0)).all()


@pytest.mark.parametrize("dt", [0.01, 0.025])
def test_every_wrong_train_of_a_wide_prior_is_invalid(dt):
    n, T, random = 4000, 30.0, np.random.default_rng(2)
    drawn = {
        "g_Na": 120.0 * 10.0 ** random.uniform(-1.0, 1.0, n),
        "g_K": 36.0 * 10.0 ** random.uniform(-1.0, 1.0, n),
        "g_L": 0.3 * 10.0 ** random.uniform(-1.0, 1.0, n),
        "C_m": random.uniform(0.5, 2.0, n),
    }
    current = random.uniform(0.0, 30.0, n)
    coarse, fine = run(T, dt, drawn, current), run(T, 0.001, drawn, current)
    assert fine.valid.all()
    wrong = coarse.spike_count != fine.spike_count
    error = np.zeros(n)
    for result in (coarse, fine):
        keep = ~wrong[result.spikes.neuron]
        sign = 1.0 if result is coarse else -1.0
        np.add.at(error, result.spikes.neuron[keep], sign * result.spikes.time[keep])
    wrong |= np.abs(error) > SPIKE_ERROR
    early = int((~coarse.valid & ~wrong).sum())
    print(f"dt {dt}: {wrong.sum()} of {n} trains are wrong, {early} more are told to be invalid")
    assert wrong.sum() > 10
    assert not coarse.valid[wrong].any()
    assert early < 0.1 * n


@pytest.mark.filterwarnings("ignore:.* neurons (became|start):RuntimeWarning")
def test_the_first_invalid_step_is_kept_by_a_resumed_run_a_part_and_a_file(tmp_path):
    g_Na = np.geomspace(120.0, 4000.0, 7)
    simulator, arguments = Simulator("reference", None, {"g_Na": g_Na}), {"dt": 0.02}
    stimulus = Stimulus.constant(np.linspace(10.0, 30.0, 7))
    whole = simulator.run(8.0, stimulus=stimulus, **arguments)
    steps = whole.first_invalid_step
    assert 1 < (steps >= 0).sum() < 7
    cut = int(np.median(steps[steps >= 0])) * 0.02
    first = simulator.run(cut, stimulus=stimulus, **arguments)
    second = simulator.run(8.0 - cut, stimulus=stimulus, resume=first, **arguments)
    assert (first.first_invalid_step != steps).any()
    assert_array_equal(second.first_invalid_step, steps)
    assert_array_equal(hhplug.concat([first, second]).first_invalid_step, steps)
    second.save(tmp_path / "second.npz")
    loaded = hhplug.load_result(tmp_path / "second.npz")
    assert_array_equal(loaded.first_invalid_step, steps)
    assert_array_equal(simulate(loaded.problem, "reference").first_invalid_step, steps)
    chosen = ([6, 1, 3], [0, 5], [2, 4])
    parts = [simulate(loaded.problem.take(neurons), "reference") for neurons in chosen]
    assert_array_equal(parts[0].first_invalid_step, steps[[6, 1, 3]])
    assert_array_equal(hhplug.Result.join(parts).first_invalid_step, steps)


@pytest.mark.filterwarnings("always:.* became invalid:RuntimeWarning")
def test_neurons_that_were_invalid_before_give_no_second_warning(recwarn):
    simulator = Simulator("reference", None, {"g_Na": 1020.0})
    stimulus = Stimulus.constant(30.0)
    first = simulator.run(10.0, stimulus=stimulus)
    assert np.isfinite(first.final_state).all()
    assert len(recwarn) == 1
    second = simulator.run(0.2, stimulus=stimulus, resume=first)
    assert_array_equal(second.first_invalid_step, first.first_invalid_step)
    assert len(recwarn) == 1


@pytest.mark.filterwarnings("ignore:.* became invalid:RuntimeWarning")
@pytest.mark.parametrize("dt", [0.005, 0.02])
def test_a_run_that_goes_on_with_another_dt_keeps_the_time_of_the_first_invalid_step(dt):
    simulator = Simulator("reference", None, {"g_Na": [120.0, 1020.0]})
    stimulus = Stimulus.constant(30.0)
    first = simulator.run(10.0, 0.01, stimulus=stimulus)
    second = simulator.run(0.1, dt, stimulus=stimulus, resume=first)
    assert 0 < first.first_invalid_step[1] * 0.01 < 10.0
    valid, invalid = second.first_invalid_step * dt
    assert valid < 0.0
    assert abs(invalid - first.first_invalid_step[1] * 0.01) <= dt / 2 + 1e-9


def fine_solution(problem, refined):
    """Run the staircase of a problem with steps that are a whole part as long."""
    rows = np.stack(list(problem.current.rows(0, problem.n_steps)))
    rows = np.broadcast_to(rows, (len(rows), problem.n_neurons))
    return Problem(
        problem.T,
        problem.dt / refined,
        stimulus=np.repeat(rows, refined, axis=0),
        parameters=problem.parameters,
        record=(),
        dtype="float64",
    )


@pytest.mark.parametrize(
    "stimulus",
    [
        Stimulus.constant(10.0),
        Stimulus.sine(15.0, 80.0, offset=5.0),
        Stimulus.step(20.0, 1.0, 3.0) + Stimulus.step(30.0, 12.0, 14.0),
    ],
    ids=["held", "sine", "steps"],
)
def test_spike_times_are_of_fourth_order(stimulus):
    n, T = 16, 24.0
    worst = {}
    for dt in (0.02, 0.01):
        problem = Problem(
            T,
            dt,
            stimulus=stimulus * np.linspace(0.8, 2.0, n),
            parameters={"g_K": np.linspace(30.0, 40.0, n)},
            record=(),
            dtype="float64",
        )
        ours = simulate(problem, "numba")
        fine = simulate(fine_solution(problem, round(dt / 0.00125)), "numba")
        assert len(ours.spikes) > n
        assert_array_equal(ours.spikes.neuron, fine.spikes.neuron)
        worst[dt] = np.abs(ours.spikes.time - fine.spikes.time).max()
    print(f"worst error {worst[0.02]:.2g} ms at dt 0.02, {worst[0.01]:.2g} ms at dt 0.01")
    assert worst[0.02] / worst[0.01] > 12.0
