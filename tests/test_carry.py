"""What a backend hands to the run that resumes another, besides the membrane's variables."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import hhplug
from hhplug import Problem, simulate
from hhplug.backend import API, BackendSpec, Capabilities
from hhplug.plugins.choice import OpenedBackend
from hhplug.plugins.entry import Entry
from hhplug.reference import ReferenceBackend, ReferenceSession
from hhplug.state import State


class CountingSession(ReferenceSession):
    """Carries the number of steps that each neuron has done, twice as many in its second row."""

    def __init__(self, problem):
        super().__init__(problem)
        begun = problem.initial.carry.get("steps", np.zeros((2, problem.n_neurons), int))
        self._begun, self._first = begun, self._step

    def state(self):
        done = self._step - self._first
        steps = self._begun + done * np.array([[1], [2]])
        return State(super().state().variables, {"steps": steps})


class CountingBackend(ReferenceBackend):
    def prepare(self, problem, max_steps):  # noqa: ARG002
        return CountingSession(problem)


@pytest.fixture
def counting():
    capabilities = Capabilities(("float64",))
    spec = BackendSpec("counting", "a:b", API, "a toy", capabilities=capabilities)
    return OpenedBackend(Entry("counting", "tests", "", spec), spec, CountingBackend())


def test_a_resumed_run_has_what_the_run_before_carried(counting, tmp_path):
    first = simulate(Problem(0.3, 0.1, batch_size=3), counting)
    assert_array_equal(first.final.carry["steps"], [[3] * 3, [6] * 3])
    second = simulate(Problem(0.2, 0.1, resume=first), counting)
    assert_array_equal(second.final.carry["steps"], [[5] * 3, [10] * 3])
    first.save(tmp_path / "first.npz")
    loaded = hhplug.load_result(tmp_path / "first.npz")
    assert_array_equal(
        simulate(Problem(0.2, 0.1, resume=loaded), counting).final.carry["steps"],
        second.final.carry["steps"],
    )
    second.save(tmp_path / "second.npz")
    problem = hhplug.load_result(tmp_path / "second.npz").problem
    assert_array_equal(problem.initial.carry["steps"], first.final.carry["steps"])
    assert_array_equal(hhplug.concat([first, second]).final.carry["steps"], [[5] * 3, [10] * 3])


def test_a_part_of_a_population_carries_what_belongs_to_its_neurons(counting):
    first = simulate(Problem(0.1, 0.1, batch_size=4), counting)
    carry = {"steps": first.final.carry["steps"] + np.arange(4)}
    whole = Problem(0.1, 0.1, batch_size=4).continuing(State(first.final_state, carry))
    parts = [simulate(whole.take(neurons), counting) for neurons in ([3, 1], [0, 2])]
    assert_array_equal(parts[0].final.carry["steps"], [[5, 3], [7, 5]])
    joined = hhplug.Result.join(parts)
    assert_array_equal(joined.final.carry["steps"], [[2, 3, 4, 5], [4, 5, 6, 7]])
    assert_array_equal(joined.problem.initial.carry["steps"], carry["steps"])


def test_a_run_that_begins_anew_has_nothing_of_a_run_before(counting):
    first = simulate(Problem(0.3, 0.1, batch_size=3), counting)
    state = {"initial_state": first.final_state, "start_step": first.next_step}
    again = simulate(Problem(0.2, 0.1, **state), counting)
    assert_array_equal(again.final.carry["steps"], [[2] * 3, [4] * 3])
