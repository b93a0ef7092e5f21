"""Tests of problems in which everything is varied: near the reference, and bit for bit by law."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hhplug.problem import Problem
from hhplug.results.result import Result
from hhplug.running.simulate import simulate
from hhplug.testing.accuracy import BOUNDS
from hhplug.testing.covering import Row
from hhplug.testing.diagnosis import explained
from hhplug.testing.kit import Kit, Run, assert_equal, assert_near, assert_same
from hhplug.testing.varied import DT, Varied, described
from hhplug.validity import VALID

OTHER_SPIKES = {"times": "counts", "counts": "off", "off": "times"}
# Steps by which rounding in float32 may move the step at which a neuron passes the limit.
LATE = {"float32": 2, "float64": 0}


@pytest.mark.filterwarnings("ignore:.* neurons? starts? with a state:RuntimeWarning")
class VariedTests:
    @pytest.mark.kit_level(2)
    def test_a_varied_problem_is_right_and_obeys_every_law(self, kit: Kit, row: Row):
        varied = Varied(row, kit.dtype, kit.short)
        problem = varied.problem
        inputs = [array.copy() for array in _inputs(problem)]
        try:
            ours = kit.run_in_blocks(problem, varied.lengths, guarded=True)
            _assert_unchanged(problem, inputs)
            _assert_near_the_reference(kit, varied, ours)
            one_block = kit.run_in_blocks(problem, [problem.n_steps], guarded=True)
            assert_same(ours, one_block, "the run in one block differs")
            if kit.spec.capabilities.ordered_spikes and problem.spikes != "off":
                at_the_end = kit.run_in_blocks(problem, varied.lengths, ordered_spikes=True)
                assert_same(ours, at_the_end, "with spikes that come at the run's end, it differs")
            _assert_end_to_end(kit, problem, one_block)
            _assert_other_forms_change_nothing(kit, problem, one_block)
            _assert_neurons_alone(kit, problem, one_block)
        except AssertionError as error:
            raise AssertionError(f"{error}\nThe problem has {described(row)}") from None


def _inputs(problem: Problem) -> list[NDArray[Any]]:
    """The arrays of a problem that a backend is given."""
    arrays = [problem.initial_state, *problem.parameters.values()]
    current = problem.current
    arrays.append(current.separable.gain if current.separable else problem.stimulus)
    return [array for array in arrays if isinstance(array, np.ndarray)]


def _assert_unchanged(problem: Problem, before: list[NDArray[Any]]) -> None:
    for array, copy in zip(_inputs(problem), before, strict=True):
        assert_equal(array, copy, "the backend changed an array of the problem")


@cache
def _reference_run(row: tuple[tuple[str, str], ...], short: bool) -> Result:
    """Return a row's run on the reference; it is computed once per process."""
    return simulate(Varied(dict(row), "float64", short).problem, "reference")


def _assert_near_the_reference(kit: Kit, varied: Varied, ours: Run) -> None:
    problem, bound = varied.problem, BOUNDS[kit.dtype].V_5_ms
    pools = problem.membrane.reading.pools
    expected = _reference_run(tuple(varied.row.items()), kit.short)
    _assert_invalid_near(kit, ours, expected)
    # What an invalid neuron does isn't determined, but is the same in every run of the backend.
    valid = expected.valid
    bounds = {
        name: bound * (np.abs(final).max() if name in pools and final.size else 1.0)
        for name, final in zip(problem.membrane.states, expected.final_state[:, valid], strict=True)
    }  # of a concentration, which is far below 1 mM, relative to the largest
    of_columns = valid[problem.neurons]
    for name, samples in ours.samples.items():
        right = expected[name]
        off = np.abs(samples[:, of_columns] - right[:, of_columns])
        if not (off < bounds[name]).all():
            about = name, samples, right, bounds[name], problem, varied.lengths, of_columns
            raise AssertionError(explained(*about))
    for name, *states in zip(bounds, ours.final_state, expected.final_state, strict=True):
        mine, right = (np.where(valid, state, 0.0) for state in states)
        assert_near(mine, right, bounds[name], f"{name} of the final state")
    if problem.spikes == "off":
        assert ours.spike_count is None
        return
    # Rounding may move a crossing out of the run where V is as near to the threshold as that.
    ends = np.stack([problem.initial_state[0], expected.final_state[0]])
    sure = np.all(np.abs(ends - problem.spike_threshold) > bound, axis=0) & valid
    assert_equal(ours.spike_count[sure], expected.spike_count[sure], "spike count")
    if problem.spikes == "times":
        _assert_spikes_near(kit, ours.spikes, expected.spikes, sure)


def _assert_invalid_near(kit: Kit, ours: Run, expected: Result) -> None:
    right = expected.first_invalid_step
    first = ours.invalid.first_steps(right.size)
    assert_equal(first == VALID, right == VALID, "which neurons are valid")
    late = first - right
    worst = np.argmax(np.abs(late))
    assert abs(late[worst]) <= LATE[kit.dtype], (
        f"neuron {worst} is told to be invalid from step {first[worst]} on, but is from step "
        f"{right[worst]} on"
    )


def _assert_spikes_near(kit: Kit, ours: Any, expected: Any, sure: Any) -> None:
    mine, theirs = sure[ours.neuron], sure[expected.neuron]
    assert_equal(ours.neuron[mine], expected.neuron[theirs], "spikes' neurons")
    late = ours.time[mine] - expected.time[theirs]
    bound = BOUNDS[kit.dtype].spike_time
    if not (np.abs(late) < bound).all():
        worst = late[np.argmax(np.nan_to_num(np.abs(late), nan=np.inf))]
        steps = " (one step)" if abs(abs(worst) - DT) < bound else ""
        raise AssertionError(f"a spike is {worst:+.3g} ms late{steps}, and may be by {bound:.2g}")


def _assert_end_to_end(kit: Kit, problem: Problem, whole: Run) -> None:
    """Two runs laid end to end equal the whole."""
    cut = problem.n_steps * 2 // 5
    stimulus = problem.stimulus
    first = kit.run_in_blocks(problem.shortened(cut), [cut])
    arguments = problem.arguments()
    arguments |= {
        "T": (problem.n_steps - cut) * DT,
        "start_step": problem.start_step + cut,
        "stimulus": stimulus[cut:] if isinstance(stimulus, np.ndarray) else stimulus,
    }
    rest = Problem(**arguments).continuing(first.final, first.invalid)
    second = kit.run_in_blocks(rest, [problem.n_steps - cut])
    what = f"a run of {cut} steps, and one that goes on from it, differ from the whole"
    for name, samples in whole.samples.items():
        joined = np.concatenate([first.samples[name], second.samples[name]])
        assert_equal(joined, samples, f"{what}: {name}")
    assert_equal(second.final_state, whole.final_state, f"{what}: final state")
    assert_equal(second.invalid.neuron, whole.invalid.neuron, f"{what}: invalid neurons")
    assert_equal(second.invalid.step, whole.invalid.step, f"{what}: first invalid steps")
    if problem.spikes != "off":
        count = first.spike_count + second.spike_count
        assert_equal(count, whole.spike_count, f"{what}: spike count")
    if problem.spikes == "times":
        neuron = np.concatenate([first.spikes.neuron, second.spikes.neuron])
        time = np.concatenate([first.spikes.time, second.spikes.time])
        order = np.lexsort([time, neuron])
        assert_equal(neuron[order], whole.spikes.neuron, f"{what}: spikes' neurons")
        assert_equal(time[order], whole.spikes.time, f"{what}: spike times")


def _assert_other_forms_change_nothing(kit: Kit, problem: Problem, whole: Run) -> None:
    """Recording changes nothing, nor do parameters that are given for each neuron."""
    n = problem.n_neurons
    changes: dict[str, Any] = {
        "parameters": {name: np.zeros(n) + value for name, value in problem.parameters.items()},
        "record": () if problem.record else problem.membrane.states,
        "record_neurons": None,
        "spikes": OTHER_SPIKES[problem.spikes],
    }
    other = kit.run_in_blocks(Problem(**problem.arguments() | changes), [problem.n_steps])
    what = (
        f"record={changes['record']}, spikes={changes['spikes']!r} and parameters that are given "
        "for each neuron change the"
    )
    assert_equal(other.final_state, whole.final_state, f"{what} final state")
    assert_equal(other.invalid.step, whole.invalid.step, f"{what} first invalid steps")
    if "off" not in (problem.spikes, changes["spikes"]):
        assert_equal(other.spike_count, whole.spike_count, f"{what} spike count")


def _assert_neurons_alone(kit: Kit, problem: Problem, whole: Run) -> None:
    """Some neurons, in another order, are as they are in the whole population."""
    n = problem.n_neurons
    chosen = list(dict.fromkeys([n - 1, n // 2, 0, n // 3]))
    part = problem.take(chosen)
    alone = kit.run_in_blocks(part, [problem.n_steps])
    what = f"neurons {chosen} alone differ from the population"
    assert_equal(alone.final_state, whole.final_state[:, chosen], f"{what}: final state")
    first, those = (
        run.invalid.first_steps(size) for run, size in ((alone, len(chosen)), (whole, n))
    )
    assert_equal(first, those[chosen], f"{what}: first invalid steps")
    column = {neuron: place for place, neuron in enumerate(problem.neurons.tolist())}
    columns = [column[neuron] for neuron in part.neuron_ids[part.neurons].tolist()]
    for name, samples in alone.samples.items():
        assert_equal(samples, whole.samples[name][:, columns], f"{what}: {name}")
    if problem.spikes != "off":
        assert_equal(alone.spike_count, whole.spike_count[chosen], f"{what}: spike count")
