"""Joined results equal the result of one long run, bit for bit."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import hhplug
from hhplug import HHParameters, InvalidInput, Simulator, Stimulus
from hhplug.state import State

N, STEPS, DT = 3, 300, 0.05
ARRAY = np.linspace(0.0, 30.0, STEPS * N).reshape(STEPS, N)
STIMULI = {
    "none": None,
    "terms": Stimulus.step([10.0, 20.0, 30.0], 2.0, 12.0) + Stimulus.sine(3.0, 70.0),
    "array": ARRAY,
    "array for all": ARRAY[:, 1],
    "column": ARRAY[:, :1].astype(np.float32),
}
CUTS = (0, 130, 135, STEPS)  # steps
KEPT = {
    "V": {},
    "all of some": {"record_all": True, "record_every": 7, "record_neurons": [2, 0]},
    "spikes": {"record": ()},
    "counts": {"spikes": "counts"},
    "nothing": {"record": (), "spikes": "off"},
}


def part_of(stimulus, first, end):
    return stimulus[first:end] if isinstance(stimulus, np.ndarray) else stimulus


def in_parts(simulator, stimulus, **kept):
    parts = []
    for first, end in pairwise(CUTS):
        arguments = {"resume": parts[-1]} if parts else {"batch_size": N}
        parts.append(
            simulator.run(
                (end - first) * DT, DT, stimulus=part_of(stimulus, first, end), **arguments, **kept
            )
        )
    return parts


def assert_same(joined, whole):
    assert joined.samples.keys() == whole.samples.keys()
    for name in whole.samples:
        assert_array_equal(joined[name], whole[name])
    assert_array_equal(joined.time, whole.time)
    assert_array_equal(joined.final_state, whole.final_state)
    assert_array_equal(joined.outcome.spike_count, whole.outcome.spike_count)
    if whole.outcome.spikes is not None:
        assert_array_equal(joined.spikes.neuron, whole.spikes.neuron)
        assert_array_equal(joined.spikes.time, whole.spikes.time)
    assert_array_equal(joined.neurons, whole.neurons)
    assert (joined.problem.T, joined.next_step) == (whole.problem.T, whole.next_step)


@pytest.mark.parametrize("stimulus", STIMULI.values(), ids=STIMULI)
@pytest.mark.parametrize("kept", KEPT.values(), ids=KEPT)
@pytest.mark.parametrize("backend", ["reference", "numpy"])
def test_consecutive_runs_join_to_the_whole_run(backend, stimulus, kept):
    simulator = Simulator(backend)
    whole = simulator.run(STEPS * DT, DT, batch_size=N, stimulus=stimulus, **kept)
    joined = hhplug.concat(in_parts(simulator, stimulus, **kept))
    assert_same(joined, whole)
    assert_array_equal(joined.drive(), whole.drive())
    if isinstance(stimulus, Stimulus):
        assert joined.stimulus is stimulus


def test_a_joined_result_can_be_saved_repeated_and_continued(tmp_path):
    simulator = Simulator("numpy")
    joined = hhplug.concat(in_parts(simulator, ARRAY[:, 1]))
    joined.save(tmp_path / "joined.npz")
    loaded = hhplug.load_result(tmp_path / "joined.npz")
    assert_same(hhplug.simulate(loaded.problem, "numpy"), joined)
    more = simulator.run(1.0, DT, resume=joined)
    assert more.time[0] == STEPS * DT


def test_a_saved_array_as_long_as_the_population_is_still_along_time(tmp_path):
    simulator = Simulator("numpy")
    first = simulator.run(0.5, 0.1, batch_size=10, stimulus=np.arange(5.0))
    second = simulator.run(0.5, 0.1, stimulus=np.arange(5.0, 10.0), resume=first)
    joined = hhplug.concat([first, second])
    joined.save(tmp_path / "joined.npz")
    loaded = hhplug.load_result(tmp_path / "joined.npz")
    assert_same(hhplug.simulate(loaded.problem, "numpy"), joined)


def test_different_stimuli_become_the_current_of_every_step():
    simulator = Simulator("numpy", "float64")
    quiet = simulator.run(1.0, 0.1, batch_size=2)
    driven = simulator.run(1.0, 0.1, stimulus=Stimulus.step([10.0, 20.0], 1.2, 1.7), resume=quiet)
    last = simulator.run(1.0, 0.1, stimulus=np.arange(10.0), resume=driven)
    joined = hhplug.concat([quiet, driven, last])
    expected = np.zeros((30, 2))
    expected[12:17] = [10.0, 20.0]
    expected[20:] = np.arange(10.0)[:, np.newaxis]
    assert_array_equal(joined.stimulus, expected)
    assert_same(hhplug.simulate(joined.problem, "numpy"), joined)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Stimulus.constant(10.0), Stimulus.constant(20.0)),
        (Stimulus.constant(10.0), Stimulus.step(10.0, 1.0, 1.5)),
        (Stimulus.constant(10.0), Stimulus.constant(10.0) + Stimulus.constant(1.0)),
        (Stimulus.constant(10.0), np.full(10, 10.0)),
        (np.full(10, 10.0), Stimulus.constant(10.0)),
        (np.full(10, 10.0), np.full(10, 20.0)),
    ],
)
def test_stimuli_that_differ_in_anything_become_rows(first, second):
    def rows(stimulus, start_step):
        if isinstance(stimulus, Stimulus):
            return stimulus.sample(0.1, 10, start_step)
        return stimulus

    simulator = Simulator("numpy", "float64")
    begun = simulator.run(1.0, 0.1, stimulus=first)
    joined = hhplug.concat([begun, simulator.run(1.0, 0.1, stimulus=second, resume=begun)])
    assert_array_equal(np.ravel(joined.stimulus), [*rows(first, 0), *rows(second, 10)])


def test_joining_a_single_result_returns_an_equal_result():
    result = Simulator("reference").run(1.0, 0.1)
    assert_same(hhplug.concat([result]), result)
    assert_same(hhplug.concat(result), result)


def test_a_neuron_that_is_invalid_in_one_part_is_invalid_in_the_whole():
    simulator = Simulator("numpy", parameters=HHParameters(g_Na=[120.0, 1e9]))
    with pytest.warns(RuntimeWarning, match="1 of 2 neurons became invalid"):
        first = simulator.run(1.0)
    with pytest.warns(RuntimeWarning, match="1 of 2 neurons start with a state that is NaN"):
        second = simulator.run(1.0, resume=first)
    joined = hhplug.concat([first, second])
    assert_array_equal(joined.valid, [True, False])
    assert_array_equal(joined.first_invalid_step, first.first_invalid_step)
    assert_array_equal(joined.spikes.valid, [True, False])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"record": ("V", "m")}, "must have the same record to be joined, but result 0 has"),
        ({"spikes": "counts"}, "must have the same spikes"),
        ({"record_every": 2}, "must have the same record_every"),
        ({"record_neurons": [1]}, "result 1 has other record_neurons than result 0"),
        ({"spike_threshold": -10.0}, "must have the same spike_threshold"),
        ({"dt": 0.02}, "must have the same dt"),
    ],
)
def test_the_error_names_what_differs_between_parts(change, words):
    simulator = Simulator("numpy")
    first = simulator.run(1.0, 0.01, batch_size=2)
    second = simulator.run(1.0, **({"dt": 0.01, "resume": first} | change))
    with pytest.raises(InvalidInput, match=words):
        hhplug.concat([first, second])


def test_parts_that_do_not_follow_one_another_are_refused():
    simulator = Simulator("numpy")
    first = simulator.run(1.0, 0.1, batch_size=2)
    second = simulator.run(1.0, 0.1, resume=first)
    with pytest.raises(InvalidInput, match="1 begins at step 0, but result 0 ends at step 20"):
        hhplug.concat([second, first])
    other = simulator.run(1.0, 0.1, batch_size=2, start_step=10)
    with pytest.raises(InvalidInput, match="doesn't begin in the state in which result 0 ended"):
        hhplug.concat([first, other])
    noise = Stimulus.ornstein_uhlenbeck(0.0, 1.0, tau=2.0, seed=1)
    noisy = simulator.run(1.0, 0.1, stimulus=noise)
    more = simulator.run(1.0, 0.1, stimulus=noise, resume=noisy)
    carry = {name: values + 1 for name, values in noisy.final.carry.items()}
    changed = replace(noisy, final=State(noisy.final.variables, carry))
    without = {"initial_state": noisy.final_state, "start_step": noisy.next_step}
    anew = simulator.run(1.0, 0.1, stimulus=noise, **without)
    for before, after in ((changed, more), (noisy, anew)):
        with pytest.raises(InvalidInput, match="doesn't begin in the state in which result 0 "):
            hhplug.concat([before, after])
    others = Simulator("numpy", parameters=HHParameters(g_K=30.0)).run(1.0, 0.1, resume=first)
    with pytest.raises(InvalidInput, match="result 1 has another g_K than result 0"):
        hhplug.concat([first, others])
    double = Simulator("numpy", "float64").run(1.0, 0.1, resume=first)
    with pytest.raises(InvalidInput, match=r"must have the same dtype .* 'float32' .* 'float64'"):
        hhplug.concat([first, double])
    with pytest.raises(InvalidInput, match="takes at least one result"):
        hhplug.concat([])
    with pytest.raises(InvalidInput, match="takes a list of results, but number 1 is a int"):
        hhplug.concat([first, 1])
