"""A population computed in parts is the population computed whole, bit for bit."""

from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import hhplug
from hhplug import HHParameters, InvalidInput, Problem, Result, Simulator, Stimulus, simulate
from hhplug.validity import Invalid

N, STEPS, DT = 9, 240, 0.05
RNG = np.random.default_rng(4)
ARRAY = RNG.uniform(0.0, 40.0, (STEPS, N)).astype(np.float32)
AMPLITUDE = RNG.uniform(5.0, 40.0, N)
STIMULI = {
    "none": None,
    "constant": Stimulus.constant(AMPLITUDE),
    "terms": Stimulus.step(AMPLITUDE, 1.0, 9.0)
    + Stimulus.pulse_train(20.0, 0.5, 0.4, 2.0, 5)
    + Stimulus.ramp(0.0, AMPLITUDE, 0.0, 12.0)
    + Stimulus.sine(3.0, 170.0, 0.2, AMPLITUDE / 4),
    "for all": Stimulus.constant(25.0),
    "times per neuron": Stimulus.step(20.0, np.linspace(0.0, 5.0, N), 9.0)
    + Stimulus.recorded(RNG.uniform(0.0, 10.0, 50), 0.2, AMPLITUDE / 20),
    "array": ARRAY,
    "array backwards": ARRAY[:, ::-1],
    "array for all": ARRAY[:, 0],
    "column": ARRAY[:, 3:4],
}
KEPT = {
    "V": {},
    "all of some": {"record_all": True, "record_every": 7, "record_neurons": [7, 0, 3, 2]},
    "spikes": {"record": ()},
    "counts": {"spikes": "counts", "record_neurons": [8]},
    "nothing": {"record": (), "spikes": "off"},
}
CUTS = {
    "slices": [slice(0, 4), slice(4, 5), slice(5, None)],
    "every third": [slice(0, None, 3), slice(1, None, 3), slice(2, None, 3)],
    "a permutation": [[8, 1, 3], [0], [7, 6, 5, 4, 2]],
    "the whole": [slice(None)],
}


def whole_problem(stimulus=None, **arguments):
    parameters = HHParameters(g_Na=np.linspace(100.0, 130.0, N), E_L=-54.0)
    state = np.stack([np.linspace(-70.0, -40.0, N), *np.full((3, N), 0.4)])
    return Problem(
        STEPS * DT, DT, N, stimulus, parameters, "float64", initial_state=state, **arguments
    )


def assert_same(joined, whole):
    assert joined.samples.keys() == whole.samples.keys()
    for name in whole.samples:
        assert_array_equal(joined[name], whole[name])
    for name in ("neurons", "time", "final_state", "valid"):
        assert_array_equal(getattr(joined, name), getattr(whole, name))
    assert_array_equal(joined.outcome.spike_count, whole.outcome.spike_count)
    if whole.outcome.spikes is not None:
        assert_array_equal(joined.spikes.neuron, whole.spikes.neuron)
        assert_array_equal(joined.spikes.time, whole.spikes.time)


@cache
def whole_run(stimulus, kept):
    return simulate(whole_problem(STIMULI[stimulus], **KEPT[kept]), "numpy")


@pytest.mark.parametrize("stimulus", STIMULI)
@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_the_parts_of_a_population_join_to_the_whole(stimulus, kept, cut):
    problem, whole = whole_problem(STIMULI[stimulus], **KEPT[kept]), whole_run(stimulus, kept)
    parts = [simulate(problem.take(neurons), "numpy") for neurons in cut]
    joined = Result.join(parts[::-1])
    assert_same(joined, whole)
    assert_array_equal(joined.drive(), whole.drive())
    assert_same(simulate(joined.problem, "numpy"), whole)


@pytest.mark.parametrize("stimulus", ["terms", "array"])
def test_the_reference_computes_parts_as_the_whole(stimulus):
    problem = whole_problem(STIMULI[stimulus])
    parts = [simulate(problem.take(part), "reference") for part in CUTS["a permutation"]]
    assert_same(Result.join(parts), simulate(problem, "reference"))


def test_neurons_keep_their_numbers_in_a_part_of_a_part():
    problem = whole_problem(ARRAY, record_neurons=[7, 2, 4])
    part = problem.take([8, 7, 4, 2]).take(slice(1, 3))
    assert_array_equal(part.neuron_ids, [7, 4])
    assert_array_equal(part.neurons, [0, 1])
    assert_array_equal(next(part.current.rows(5, 1)), ARRAY[5, [7, 4]].astype(np.float64))
    assert_array_equal(part.parameters.g_Na, problem.parameters.g_Na[[7, 4]])
    assert part.parameters.E_L == -54.0
    whole, some = simulate(problem, "numpy"), simulate(part, "numpy")
    assert_array_equal(some.V, whole.V[:, [0, 2]])
    assert_array_equal(some.final_state, whole.final_state[:, [7, 4]])


def test_slices_of_slices_number_neurons_as_an_array_of_them_would():
    problem, numbers = whole_problem(), np.arange(N)
    for some in (slice(None, None, 2), slice(-1, 0, -2), slice(1, None)):
        problem, numbers = problem.take(some), numbers[some]
        assert_array_equal(problem.neuron_ids, numbers)
        assert problem.neuron_ids.dtype == np.int64


@pytest.mark.parametrize(
    "some", [slice(2, 7), slice(None, None, 3), slice(-2, 0, -2), slice(4, None), slice(3, 4)]
)
def test_a_slice_records_the_neurons_that_an_array_of_them_would(some):
    invalid = Invalid(np.array([1, 3, 4, 7]), np.array([9, 2, 5, 4]))
    whole = whole_problem(record_neurons=[7, 0, 4, 3, 6])
    whole = whole.continuing(whole.initial, invalid)
    ours, expected = whole.take(some), whole.take(np.arange(N)[some])
    assert_array_equal(ours.record_neurons, expected.record_neurons)
    assert_array_equal(ours.record_ranks, expected.record_ranks)
    for field in Invalid._fields:
        assert_array_equal(getattr(ours.invalid, field), getattr(expected.invalid, field))


def test_a_slice_copies_no_arrays_and_indices_copy_no_stimulus(tmp_path):
    stored = np.lib.format.open_memmap(tmp_path / "current.npy", "w+", "f4", ARRAY.shape)
    stored[:] = ARRAY
    problem = whole_problem(stored)
    for neurons in (slice(2, 7), [6, 1]):
        part = problem.take(neurons)
        assert np.shares_memory(part.current.array.values, stored)
    assert np.shares_memory(problem.take(slice(2, 7)).initial_state, problem.initial_state)
    assert np.shares_memory(problem.take(slice(2, 7)).parameters.g_Na, problem.parameters.g_Na)


def test_parts_may_be_saved_and_joined_later(tmp_path):
    problem = whole_problem(ARRAY, record_neurons=[7, 0, 3])
    for number, neurons in enumerate(CUTS["a permutation"]):
        simulate(problem.take(neurons), "numpy").save(tmp_path / f"{number}.npz")
    loaded = [hhplug.load_result(tmp_path / f"{number}.npz") for number in (2, 0, 1)]
    assert_same(Result.join(loaded), simulate(problem, "numpy"))
    again = simulate(loaded[1].problem, "numpy")
    assert_array_equal(again.V, loaded[1].V)


@pytest.mark.filterwarnings("ignore:.* became invalid:RuntimeWarning")
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_invalid_neurons_of_parts_are_those_of_the_whole(cut):
    g_Na = np.where(np.isin(np.arange(N), [1, 4, 7]), np.linspace(4000.0, 9000.0, N), 120.0)
    problem = Problem(2.0, DT, stimulus=Stimulus.constant(20.0), parameters={"g_Na": g_Na})
    whole = simulate(problem, "numpy")
    assert (whole.first_invalid_step[[1, 4, 7]] >= 0).all()
    joined = Result.join(simulate(problem.take(neurons), "numpy") for neurons in cut)
    assert_array_equal(joined.first_invalid_step, whole.first_invalid_step)
    assert_array_equal(joined.spikes.valid, whole.spikes.valid)


def test_parts_with_one_number_or_one_current_for_all_their_neurons_join_to_one_for_each():
    I_ext = np.linspace(0.0, 9.0, 10)
    parts = [
        Problem(1.0, 0.1, 2, (k + 1) * I_ext, {"g_Na": 100.0 + k}).as_part(np.array(ids), None)
        for k, ids in enumerate(([3, 0], [1, 2]))
    ]
    joined = Result.join(simulate(part, "numpy") for part in parts)
    assert_array_equal(joined.parameters["g_Na"], [100.0, 101.0, 101.0, 100.0])
    assert_array_equal(joined.stimulus, I_ext[:, np.newaxis] * [1.0, 2.0, 2.0, 1.0])


def test_one_current_for_all_neurons_is_not_copied_for_each():
    problem = whole_problem(STIMULI["array for all"])
    joined = Result.join(simulate(problem.take(part), "numpy") for part in CUTS["slices"])
    assert joined.stimulus is problem.stimulus


def test_neurons_keep_their_numbers_in_continued_parts():
    simulator = Simulator("numpy", "float64", HHParameters(g_Na=np.linspace(100.0, 130.0, N)))
    problem = Problem(
        2.0, DT, parameters=simulator.parameters, stimulus=STIMULI["constant"], dtype="float64"
    )
    first = [simulate(problem.take(part), "numpy") for part in CUTS["slices"]]
    second = [
        simulate(
            Problem(2.0, DT, resume=part, parameters=part.parameters, stimulus=part.stimulus,
                    dtype="float64"),
            "numpy",
        )
        for part in first
    ]  # fmt: skip
    whole = simulator.run(4.0, DT, stimulus=STIMULI["constant"])
    joined = hhplug.concat([Result.join(first), Result.join(second)])
    assert_array_equal(joined.V, whole.V)
    assert_array_equal(joined.spikes.time, whole.spikes.time)


@pytest.mark.parametrize(
    ("neurons", "words"),
    [
        ([N], "neurons must be between 0 and 8, got 9"),
        ([-1], "neurons must be between 0 and 8, got -1"),
        ([1, 1], "neurons must name each neuron once"),
        ([], "neurons must name at least one neuron, got none"),
        (slice(5, 5), "neurons must name at least one neuron, got none"),
        ([0.5], "neurons must be a list of neuron indices"),
    ],
)
def test_neurons_that_do_not_exist_cannot_be_taken(neurons, words):
    with pytest.raises(InvalidInput, match=words):
        whole_problem().take(neurons)


def test_parts_that_are_not_a_whole_population_are_refused():
    problem = whole_problem()
    first, second = (simulate(problem.take(part), "numpy") for part in ([0, 1], [2, 3]))
    assert Result.join([first, second]).problem.n_neurons == 4
    for parts in ([first, first], [second], [first, simulate(problem.take([5]), "numpy")]):
        with pytest.raises(InvalidInput, match=r"each neuron of a population of \d once"):
            Result.join(parts)
    later = simulate(whole_problem(start_step=5).take(slice(2, None)), "numpy")
    with pytest.raises(InvalidInput, match="must have the same start_step to be joined"):
        Result.join([first, later])
    with pytest.raises(InvalidInput, match="join takes at least one result"):
        Result.join([])


@pytest.mark.parametrize(
    ("stimuli", "words"),
    [
        ((Stimulus.constant(1.0), ARRAY), "result 0 is constant and that of result 1 is an array"),
        ((ARRAY, None), "result 0 is an array and that of result 1 is no current"),
        ((Stimulus.constant(1.0), Stimulus.step(1.0, 0.0, 5.0)), "constant .* result 1 is step"),
        ((STIMULI["terms"], None), "step [+] pulse_train [+] ramp [+] sine .* is no current"),
    ],
)
def test_parts_of_different_stimuli_are_refused(stimuli, words):
    cuts = [0, 1, 2], slice(3, None)
    parts = [
        simulate(whole_problem(stimulus).take(cut), "numpy")
        for stimulus, cut in zip(stimuli, cuts, strict=True)
    ]
    with pytest.raises(InvalidInput, match=f"the same kind of stimulus .* {words}"):
        Result.join(parts)


@pytest.mark.parametrize(
    "stimuli", [(STIMULI["constant"], ARRAY), (ARRAY, ARRAY), (ARRAY, STIMULI["constant"])]
)
def test_parts_by_index_join_along_time_whatever_drove_them(stimuli):
    first = whole_problem(stimuli[0])
    second = Problem(
        STEPS * DT, DT, stimulus=stimuli[1], parameters=first.parameters, dtype="float64",
        resume=simulate(first, "numpy"),
    )  # fmt: skip
    some = [7, 2]
    joined = hhplug.concat([simulate(each.take(some), "numpy") for each in (first, second)])
    assert_array_equal(simulate(joined.problem, "numpy").V, joined.V)
    rows = [list(each.current.rows(each.start_step, STEPS)) for each in (first, second)]
    assert_array_equal(joined.stimulus, np.concatenate(rows)[:, some])
