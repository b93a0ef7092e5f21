"""Runs with noise and with times per neuron: in parts, in any order, resumed, saved and shown."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from under_test import NAMES

import hhplug
from hhplug import InvalidInput, Problem, Result, Simulator, Stimulus, simulate

N, STEPS, DT = 37, 300, 0.05
STIMULI = {
    "noise": Stimulus.ornstein_uhlenbeck(6.0, np.linspace(0, 5, N), tau=3.0, seed=1)
    + Stimulus.white_noise(1.0, seed=1),
    "noise for all": Stimulus.ornstein_uhlenbeck(8.0, 4.0, tau=2.0, seed=2**40),
    "times": Stimulus.step(20.0, start=1.0, stop=1.0 + np.linspace(0.2, 9.0, N))
    + Stimulus.sine(5.0, frequency=np.linspace(1, 200, N)),
    "all": Stimulus.ornstein_uhlenbeck(6.0, 3.0, tau=np.linspace(0.5, 9.0, N), seed=1)
    + Stimulus.pulse_train(20.0, 1.0, np.linspace(0.1, 2.0, N), 4.0, 3)
    + Stimulus.recorded(np.sin(np.arange(90)), dt=0.17, gain=np.linspace(0, 9, N))
    + Stimulus.ornstein_uhlenbeck(1.0, 1.0, tau=1.0, seed=1),
}
ORDER = np.random.default_rng(5).permutation(N)
DTYPES = [(name, dtype) for name in NAMES for dtype in ("float32", "float64")]


@pytest.fixture(scope="module", params=DTYPES, ids=" ".join)
def simulator(request):
    name, dtype = request.param
    if name == "reference" and dtype == "float32":
        pytest.skip("the reference has no float32")
    return Simulator(name, dtype)


def run(simulator, stimulus, steps=STEPS, **arguments):
    return simulator.run(steps * DT, DT, batch_size=N, stimulus=stimulus, **arguments)


def assert_same(one, other):
    assert_array_equal(one.V, other.V)
    assert_array_equal(one.final_state, other.final_state)
    assert_array_equal(one.spikes.neuron, other.spikes.neuron)
    assert_array_equal(one.spikes.time, other.spikes.time)
    assert one.final.carry.keys() == other.final.carry.keys()
    for name, values in one.final.carry.items():
        assert_array_equal(values, other.final.carry[name])


@pytest.mark.parametrize("stimulus", STIMULI.values(), ids=STIMULI)
def test_a_resumed_sharded_and_permuted_run_equals_the_whole_bit_for_bit(simulator, stimulus):
    whole = run(simulator, stimulus)
    assert whole.spike_count.sum() > N / 2
    arguments = {"T": STEPS * DT, "dt": DT, "batch_size": N, "dtype": simulator.dtype}
    problem = Problem(stimulus=stimulus, **arguments)
    parts = []
    for neurons in (ORDER[:5], ORDER[5:6], ORDER[6:]):
        part = problem.take(neurons)
        results = [simulate(part.shortened(101), simulator.backend)]
        for steps in (1, 198):
            results.append(
                simulate(
                    Problem(
                        steps * DT, DT, stimulus=part.stimulus, dtype=simulator.dtype,
                        resume=results[-1],
                    ),
                    simulator.backend,
                )
            )  # fmt: skip
        parts.append(hhplug.concat(results))
    joined = Result.join(parts)
    assert_same(joined, whole)
    assert_array_equal(joined.drive(), whole.drive())
    assert_same(simulate(joined.problem, simulator.backend), whole)


def test_a_saved_run_with_noise_goes_on_where_it_ended(simulator, tmp_path):
    stimulus = STIMULI["all"]
    run(simulator, stimulus, 120).save(tmp_path / "first.npz")
    first = hhplug.load_result(tmp_path / "first.npz")
    second = run(simulator, stimulus, STEPS - 120, resume=first)
    second.save(tmp_path / "second.npz")
    second = hhplug.load_result(tmp_path / "second.npz")
    whole = run(simulator, stimulus)
    assert_same(hhplug.concat([first, second]), whole)
    assert_array_equal(simulate(second.problem, simulator.backend).V, whole.V[120:])


def test_the_current_that_a_dataset_shows_is_the_one_of_the_run():
    pytest.importorskip("xarray")
    stimulus = STIMULI["all"]
    whole = run(Simulator("reference"), stimulus)
    second = run(Simulator("reference"), stimulus, 180, resume=run(
        Simulator("reference"), stimulus, 120), record_every=3, record_neurons=[9, 2])  # fmt: skip
    shown = whole.to_xarray()["I_ext"]
    assert_array_equal(shown, stimulus.sample(DT, STEPS))
    assert_array_equal(second.to_xarray()["I_ext"], shown[120::3, [9, 2]])
    # The membrane's equation, by a difference quotient of V over one step.
    by_rows = Simulator("reference").run(STEPS * DT, DT, stimulus=shown.values)
    assert_array_equal(by_rows.V, whole.V)


def test_noise_in_float32_and_in_float64_is_the_same_but_for_rounding():
    runs = [run(Simulator("numpy", dtype), STIMULI["noise"]) for dtype in ("float32", "float64")]
    single, double = (r.problem.current.chunk(0, STEPS) for r in runs)
    assert 0.0 < np.abs(single - double).max() < 1e-4  # µA/cm², of currents up to 50


def test_the_f_i_axis_has_the_mean_of_noise():
    result = run(Simulator("numpy"), STIMULI["noise"])
    assert_array_equal(result.drive(), np.full(N, 6.0))
    late = Stimulus.step([5.0] * N, 5.0, 10.0) + Stimulus.white_noise(2.0, seed=1)
    # Noise is a current in every step, so the window is the second half of the run.
    assert_allclose(run(Simulator("numpy"), late).drive(), 5.0 * 2.5 / 7.5, rtol=1e-12)


def test_a_run_that_goes_on_with_another_dt_takes_the_process_as_it_was():
    stimulus = Stimulus.ornstein_uhlenbeck(0.0, 1.0, tau=1e6, seed=3)  # hardly changes
    first = run(Simulator("reference"), stimulus)
    later = Simulator("reference").run(1.0, 0.01, stimulus=stimulus, resume=first)
    before, after = first.problem.current.chunk(0, STEPS), later.problem.current.chunk(1500, 100)
    assert np.abs(after - before[-1]).max() < 0.01


def test_white_noise_after_a_process_is_that_of_its_own_steps(simulator):
    first = run(simulator, STIMULI["noise for all"], 40)
    white = Stimulus.constant(8.0) + Stimulus.white_noise(1.0, seed=3)
    begin = {"initial_state": first.final_state, "start_step": first.next_step}
    assert_same(run(simulator, white, 20, resume=first), run(simulator, white, 20, **begin))


def test_a_process_goes_on_whether_or_not_white_noise_stands_before_it():
    process = Stimulus.ornstein_uhlenbeck(0.0, 1.0, tau=3.0, seed=1)
    white = Stimulus.white_noise(1.0, seed=2)
    sim = Simulator("numpy", "float64")
    following = run(sim, white + process, 40)
    alone = run(sim, process, 20, resume=following)
    expected = process.sample(DT, 60, batch_size=N)
    assert_array_equal(list(alone.problem.current.rows(40, 20)), expected[40:])
    with_white = run(sim, white + process, 20, resume=run(sim, process, 40))
    expected += white.sample(DT, 60, batch_size=N)
    assert_allclose(list(with_white.problem.current.rows(40, 20)), expected[40:], rtol=1e-12)


def test_runs_whose_noise_does_not_go_on_cannot_be_joined():
    stimulus, simulator = STIMULI["noise"], Simulator("reference")
    first = run(simulator, stimulus)
    second = run(simulator, stimulus, initial_state=first.final_state, start_step=first.next_step)
    with pytest.raises(InvalidInput, match=r"doesn't begin in the state .* run it with resume="):
        hhplug.concat([first, second])


def test_parts_with_different_seeds_cannot_be_joined():
    parts = [
        simulate(
            Problem(1.0, DT, batch_size=N, stimulus=Stimulus.white_noise(1.0, seed)).take(neurons),
            "reference",
        )
        for seed, neurons in ((1, slice(0, 9)), (2, slice(9, None)))
    ]
    with pytest.raises(InvalidInput, match="the same seed of white_noise to be joined"):
        Result.join(parts)


def test_different_noises_of_consecutive_runs_become_the_current_of_every_step():
    simulator = Simulator("reference")
    quiet = run(simulator, None, 20)
    noisy = run(simulator, Stimulus.white_noise(1.0, seed=1), 20, resume=quiet)
    joined = hhplug.concat([quiet, noisy])
    assert joined.stimulus.shape == (40, N)
    assert_array_equal(joined.stimulus[:20], np.zeros((20, N)))
    assert_array_equal(simulate(joined.problem, "reference").V, joined.V)
