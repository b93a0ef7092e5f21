"""The remedies that errors and warnings propose work.

Each case causes an error, finds the proposal in its text, and does what the proposal says.
Proposals that are expressions are evaluated as they are written.
"""

import re
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import hhplug
from hhplug import HHParameters, InvalidInput, Problem, Simulator, Stimulus
from hhplug.errors import NotEnoughMemory
from hhplug.plugins import choice

STEPS, DT = 10, 0.1  # ms


def run(T=1.0, dt=DT, **arguments):
    return Simulator("reference").run(T, dt, **arguments)


def counted():
    return run(spikes="counts", stimulus=Stimulus.constant(5.0))


def part_of(expression, names=None):
    """Return a function that evaluates the part of the message that the group matches."""

    def do(message):
        proposed = re.search(expression, message)[1]
        return eval(proposed, {"Stimulus": Stimulus, "np": np, **(names or {})})

    return do


MASKED = np.ma.masked_array(np.ones(STEPS), mask=np.arange(STEPS) == 3)
STARTED = run(batch_size=2)


@dataclass
class Case:
    make: object  # a function that raises the error
    does: object  # a function of the message that does what it proposes


CASES = {
    "a float for an int": Case(
        lambda: Problem(1.0, batch_size=3.0),
        lambda message: Problem(1.0, batch_size=part_of(r"use (\d+)")(message)),
    ),
    "a masked array": Case(
        lambda: run(stimulus=MASKED),
        lambda message: run(stimulus=part_of(r"fill it first, (.*)$", {"array": MASKED})(message)),
    ),
    "T between two steps": Case(
        lambda: run(T=0.97),
        lambda message: [
            run(T=float(T)) for T in re.search("are (.*) and (.*) ms", message).groups()
        ],
    ),
    "a number for a stimulus": Case(
        lambda: run(stimulus=5.0),
        lambda message: run(stimulus=part_of(r"use (Stimulus.*)$")(message)),
    ),
    "no parameters by name": Case(
        lambda: Simulator("reference", parameters=[120.0]),
        lambda message: Simulator(
            "reference", parameters=part_of(r"for example (.*)$")(message)
        ).run(1.0),
    ),
    "nothing to record": Case(
        lambda: run(record=None),
        lambda message: run(record=part_of(r"use record=(.*)$")(message)),
    ),
    "a variable that was not recorded": Case(
        lambda: run().m,
        lambda message: run(record=part_of(r"run with record=(.*)$")(message)).m,
    ),
    "a dt that the stimulus doesn't have": Case(
        lambda: run(dt=0.05, stimulus=labelled_in_time()),
        lambda _: run(dt=0.1, stimulus=labelled_in_time()),
    ),
    "an intervals' rate of counts": Case(
        lambda: counted().firing_rate(),
        lambda message: counted().firing_rate(method=part_of("use method=('count')")(message)),
    ),
    "a window of counts": Case(
        lambda: counted().firing_rate(0.2, 0.8, method="count"),
        lambda message: (
            counted().firing_rate(method="count"),
            run(spikes=part_of("run with spikes=('times')")(message)).firing_rate(0.2, 0.8),
        ),
    ),
    "a state together with a result to continue": Case(
        lambda: run(resume=STARTED, initial_state=STARTED.final_state),
        lambda message: (
            run(resume=STARTED),
            run(
                initial_state=part_of(r"use initial_state=(\S+) and", {"result": STARTED})(message),
                start_step=7,
            ),
        ),
    ),
    "a state that no user may give": Case(
        lambda: run(initial_state=[-65.0, 1.5, 0.5, 0.5]),
        lambda message: part_of(r"use (resume)=result", {"resume": run(resume=STARTED)})(message),
    ),
    "a device of a backend that has one": Case(
        lambda: hhplug.simulate(Problem(0.1), choice.choose("reference"), device=0),
        lambda _: hhplug.simulate(Problem(0.1), choice.choose("reference")),
    ),
    "arrays on a device of a backend without one": Case(
        lambda: run(device_arrays=True),
        lambda _: run(),
    ),
    "a precision that a backend hasn't": Case(
        lambda: Simulator("reference", dtype="float32"),
        lambda _: (Simulator("reference"), Simulator("numpy", dtype="float32")),
    ),
    "results in another order": Case(
        lambda: hhplug.concat([run(resume=STARTED), STARTED]),
        lambda _: hhplug.concat([STARTED, run(resume=STARTED)]),
    ),
    "a result of another state": Case(
        lambda: hhplug.concat([STARTED, run(batch_size=2, start_step=STARTED.next_step)]),
        lambda _: hhplug.concat([STARTED, run(resume=STARTED)]),
    ),
    "a Stimulus made without its class methods": Case(
        lambda: Stimulus(10.0),
        lambda message: part_of(r"with (Stimulus\.constant\(amplitude\))", {"amplitude": 10.0})(
            message
        ),
    ),
    "a picture of a neuron that was not recorded": Case(
        lambda: run(batch_size=3, record_neurons=[1]).plot(neurons=[2]),
        lambda message: (
            run(batch_size=3, record_neurons=[1, 2]).plot(neurons=[2]),
            run(batch_size=3, record_neurons=[1]).plot(
                neurons=part_of(r"neurons=(\[.*\])$")(message)
            ),
        ),
    ),
}


def labelled_in_time():
    xarray = pytest.importorskip("xarray")
    return xarray.DataArray(np.ones(STEPS), {"time": np.arange(STEPS) * DT}, ("time",))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_proposal_of_an_error_works(case):
    with pytest.raises(InvalidInput) as error:
        case.make()
    assert case.does(str(error.value)) is not None


def test_the_recording_proposed_by_an_error_fits():
    arguments = {"stimulus": Stimulus.constant(np.full(50, 20.0)), "batch_size": 50}
    with (
        patch("hhplug.running.memory_check.free_memory", return_value=60_000),
        patch("hhplug.running.memory_check.UNCHECKED_BYTES", 0),
    ):
        with pytest.raises(NotEnoughMemory) as error:
            run(20.0, 0.01, **arguments)
        proposed = re.search("use (.*)$", str(error.value))[1]
        every = int(re.search(r"record_every=(\d+) \(", proposed)[1])
        assert "record_neurons for some of them" in proposed
        assert "record=() for spikes alone" in proposed
        run(20.0, 0.01, record_every=every, **arguments)
        run(20.0, 0.01, record_neurons=[3], **arguments)
        run(20.0, 0.01, record=(), **arguments)


def test_the_spike_log_proposed_by_an_error_fits(monkeypatch):
    monkeypatch.setattr("hhplug.running.memory_recorder.SORTING_BYTES", 2e8)
    arguments = {"stimulus": Stimulus.constant([30.0, 30.0]), "record": ()}
    with patch("hhplug.running.memory_check.free_memory", return_value=3e8):
        with pytest.raises(NotEnoughMemory, match=r"use spikes='counts', or shorter runs, each"):
            run(20.0, 0.01, **arguments)
        run(20.0, 0.01, spikes="counts", **arguments)
    with patch("hhplug.running.memory_check.free_memory", return_value=1e9):
        first = run(8.0, 0.01, **arguments)
        run(1.0, 0.01, resume=first, **arguments)


@pytest.mark.parametrize("what", [{"T": 100.0}, {"start": 0.0}, {"method": "count"}])
def test_the_proposal_of_the_single_spike_warning_gives_a_rate(what):
    arguments = {"stimulus": Stimulus.constant(20.0), "record": ()}

    def rate(T=22.0, **window):
        return Simulator("numpy").run(T, **arguments).firing_rate(**window)

    with pytest.warns(
        RuntimeWarning, match=r"longer run, a wider .* \(start=, stop=\), or method="
    ):
        assert_array_equal(rate(), [np.nan])
    assert rate(**what) > 0.0


def test_the_proposal_of_the_square_stimulus_warning_gives_no_warning():
    xarray = pytest.importorskip("xarray")
    square = np.arange(float(STEPS**2)).reshape(STEPS, STEPS)
    with pytest.warns(RuntimeWarning) as warned:
        expected = Problem(1.0, DT, stimulus=square)
    labelled = part_of(r"(xarray\..*\)) says so", {"xarray": xarray, "stimulus": square})
    taken = Problem(1.0, DT, stimulus=labelled(str(warned[0].message)))
    assert_array_equal(taken.current.array.values, expected.current.array.values)


@pytest.mark.parametrize(("g_Na", "T"), [(1e3, 20.0), (2e5, 0.2)])  # 0.05/2¹³ has 11 digits
def test_a_shorter_dt_loses_no_neurons_as_the_warning_says(g_Na, T):
    simulator = Simulator("numba", parameters=HHParameters(g_Na=g_Na))
    arguments = {"stimulus": Stimulus.constant(30.0), "record": ()}
    with pytest.warns(RuntimeWarning, match="dt=0.05 ms is too long") as warned:
        simulator.run(T, 0.05, **arguments)
    (dt,) = re.findall(r"; use dt=(\S+)", str(warned[0].message))
    assert simulator.run(T, float(dt), **arguments).valid.all()
    (method,) = re.findall(r'method="(\w+)"', str(warned[0].message))
    stiff = Simulator("numba", parameters=simulator.parameters, method=method)
    assert stiff.run(T, 0.05, **arguments).valid.all()
