"""Rates and currents agree with SciPy's DOP853 and NEURON's CVODE, in the right window.

data/README.md describes both. A "settled" rate there is the rate from 500 to 1500 ms.
"""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import solve_ivp

from hhplug import HHParameters, InvalidInput, NotRecorded, Problem, Simulator, Stimulus
from hhplug.membranes import squid
from hhplug.results import analysis

DATA = Path(__file__).parent / "data"
RATE_TOLERANCE = 0.05  # Hz; a spike time's error at dt 0.01 ms is below 6e-5 ms
SHOWN_RATE_TOLERANCE = 1.0  # Hz, for a rate printed after 300 ms
SPIKE_TIME_TOLERANCE = 1e-4  # ms; linear interpolation within a step costs up to 6e-5 ms


@pytest.fixture(scope="module")
def settled():
    """Return currents (µA/cm²) and their settled rates (Hz) by DOP853."""
    with np.load(DATA / "squid_fi.npz") as stored:
        return stored["current"], stored["rate"]


def test_rates_of_the_settled_axon_are_those_of_dop853(settled):
    current, rate = settled
    run = Simulator("numba", "float64").run(
        T=1000.0, stimulus=Stimulus.constant(current), record=()
    )
    assert_array_equal(run.fi_curve()[0], current)
    assert np.abs(run.fi_curve()[1] - rate).max() < RATE_TOLERANCE
    assert np.abs(run.fi_curve(500.0, 1000.0)[1] - rate).max() < RATE_TOLERANCE
    # A count in 0.5 s is off by half a spike at most.
    assert np.abs(run.firing_rate(500.0, 1000.0, method="count") - rate).max() <= 2.0


def test_firing_begins_at_the_current_and_the_rate_of_dop853():
    # Silent to 6.25 and 52.4 Hz at 6.3 µA/cm², by DOP853.
    run = Simulator("numba").run(
        T=300.0, stimulus=Stimulus.constant([3.0, 6.0, 6.2, 6.25, 6.3]), record=()
    )
    assert (run.spike_count[:4] > 0).all()  # each fires at first, then rests
    assert_array_equal(run.firing_rate()[:4], 0.0)
    assert abs(run.firing_rate()[4] - 52.4) < SHOWN_RATE_TOLERANCE


def test_spike_times_agree_with_those_of_neuron():
    with np.load(DATA / "squid_neuron.npz") as stored:
        cold = np.flatnonzero(stored["p_phi"] == 1.0)
        neuron, time = stored["spike_neuron"], stored["spike_time"]
        kept = np.isin(neuron, cold)
        parameters = HHParameters(
            **{name: stored[f"p_{name}"][cold] for name in vars(HHParameters())}
        )
        start, stop = float(stored["start"]), float(stored["stop"])
        step = Stimulus.step(stored["current"][cold], start, stop)
        T = float(stored["T"])
    run = Simulator("numba", "float64", parameters).run(T, dt=0.005, stimulus=step, record=())
    assert_array_equal(run.spikes.neuron, np.searchsorted(cold, neuron[kept]))
    assert np.abs(run.spikes.time - time[kept]).max() < SPIKE_TIME_TOLERANCE


CURRENTS = np.array([5.0, 6.0, 10.0, 20.0])
STEP = Stimulus.step(CURRENTS, start=10.0, stop=90.0)
SPELLINGS = {
    "a step": STEP,
    "with zeros added": STEP + Stimulus.constant(np.zeros(4)),
    "as an array": STEP.sample(0.01, 10_000),
    "scaled": CURRENTS * Stimulus.step(1.0, start=10.0, stop=90.0),
    "a difference": Stimulus.step(CURRENTS + 3.0, 10.0, 90.0) - Stimulus.step(3.0, 10.0, 90.0),
    "two halves": Stimulus.step(CURRENTS, 10.0, 50.0) + Stimulus.step(CURRENTS, 50.0, 90.0),
    "as pulses": Stimulus.pulse_train(CURRENTS, start=10.0, width=8.0, period=8.0, count=10),
}


@pytest.mark.parametrize("stimulus", SPELLINGS.values(), ids=SPELLINGS)
def test_equal_currents_written_differently_have_the_same_curve(stimulus):
    run = Simulator("numba", "float64").run(T=100.0, stimulus=stimulus, record=())
    assert analysis.window(run.problem) == pytest.approx((50.0, 90.0))
    current, rate = run.fi_curve()
    assert_allclose(current, CURRENTS, rtol=1e-14)
    assert_allclose(run.drive(), CURRENTS, rtol=1e-14)
    # By DOP853; 0.1 Hz: 40 ms of a train that began 40 ms before.
    assert_allclose(rate, [0.0, 0.0, 68.32, 86.47], rtol=0, atol=0.1)


def test_the_current_of_a_window_includes_every_term():
    stimulus = STEP + Stimulus.constant(5.0) + Stimulus.pulse_train(2.0, 0.0, 1.0, 4.0, 25)
    run = Simulator("numba").run(T=100.0, stimulus=stimulus, record=())
    # Pulses are on for a quarter of the time from 20 to 80 ms. From 50 to 100 ms there are 12 of
    # 1 ms, and the step is on for four fifths.
    assert_allclose(run.drive(20.0, 80.0), CURRENTS + 5.5, rtol=1e-14)
    assert_allclose(run.drive(), 0.8 * CURRENTS + 5.0 + 2.0 * 12.0 / 50.0, rtol=1e-14)
    assert_allclose(run.drive(92.0, 100.0), 5.5, rtol=1e-14)
    assert_array_equal(run.drive(), run.drive(*analysis.window(run.problem)))


@pytest.mark.parametrize("as_array", [False, True])
@pytest.mark.parametrize(
    ("stimulus", "expected"),
    [
        (Stimulus.step(5.0, 2.0, 4.0), (3.0, 4.0)),
        (Stimulus.step([0.0, 5.0], 2.0, 4.0) + Stimulus.step(1.0, 7.0, 8.0), (5.0, 8.0)),
        (Stimulus.constant(1.0), (5.0, 10.0)),
        (Stimulus.constant(0.0), (5.0, 10.0)),
        (Stimulus(), (5.0, 10.0)),
        (Stimulus.step(5.0, 20.0, 30.0), (5.0, 10.0)),  # after the run
        (Stimulus.constant(1.0) - Stimulus.step(1.0, 0.0, 6.0), (8.0, 10.0)),
    ],
)
def test_the_window_is_the_second_half_of_the_stimulus(stimulus, expected, as_array):
    given = stimulus.sample(0.1, 100) if as_array else stimulus
    assert analysis.window(Problem(10.0, 0.1, stimulus=given)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        (1.0, 9.0, (1.0, 9.0)),
        (3.0, None, (3.0, 4.0)),  # to the last step of the stimulus …
        (6.0, None, (6.0, 10.0)),  # … or of the run
        (None, 3.0, (2.0, 3.0)),
        (None, 1.0, (0.0, 1.0)),
    ],
)
def test_one_end_of_a_window_may_be_left_out(start, stop, expected):
    problem = Problem(10.0, 0.1, stimulus=Stimulus.step(5.0, 2.0, 4.0))
    assert analysis.window(problem, start, stop) == pytest.approx(expected)


def test_the_window_of_a_continued_run_counts_from_time_zero():
    problem = Problem(10.0, 0.1, start_step=1000, stimulus=Stimulus.step(5.0, 0.0, 104.0))
    assert analysis.window(problem) == pytest.approx((102.0, 104.0))
    assert_array_equal(analysis.mean_current(problem, 103.0, 105.0), 2.5)


@pytest.mark.parametrize(
    ("start", "stop", "words"),
    [
        (-1.0, 5.0, "must lie within the run, 0 to 10 ms, got start=-1 and stop=5 ms"),
        (5.0, 11.0, "must lie within the run"),
        (None, 11.0, "must lie within the run"),
        (5.0, 5.0, "stop must be later than start=5.0 ms"),
        (11.0, None, "stop must be later than start=11.0 ms"),
        ("soon", None, "start must be a finite number of ms, got 'soon'"),
    ],
)
def test_a_window_outside_the_run_is_refused(start, stop, words):
    run = Simulator("reference").run(10.0, 0.1)
    for ask in (run.firing_rate, run.drive, run.fi_curve):
        with pytest.raises(InvalidInput, match=words):
            ask(start, stop)


def test_the_rate_of_counted_spikes_is_that_of_the_whole_run():
    stimulus = Stimulus.step(np.array([0.0, 40.0]), 0.0, 10.0)
    run = Simulator("reference").run(20.0, 0.05, stimulus=stimulus, spikes="counts", record=())
    assert run.spike_count[1] > 0
    assert_array_equal(run.firing_rate(method="count"), run.spike_count / 0.02)
    # Over the whole run the current is half of what it is while it flows.
    assert_array_equal(run.fi_curve(method="count"), [[0.0, 20.0], run.spike_count / 0.02])
    assert_array_equal(run.drive(), [0.0, 20.0])
    for ask in (run.firing_rate, run.fi_curve):
        with pytest.raises(NotRecorded, match=r"spikes='counts'.*use method='count'"):
            ask()
        with pytest.raises(NotRecorded, match=r"leave start and stop out, or .*spikes='times'"):
            ask(5.0, method="count")


def test_a_neuron_that_became_nan_has_no_rate_by_any_method():
    arguments = {"stimulus": Stimulus.constant([0.0, 1e306]), "record": ()}
    for mode in ("times", "counts"):
        with pytest.warns(RuntimeWarning, match="1 of 2 neurons became invalid"):
            run = Simulator("numpy", "float64").run(5.0, spikes=mode, **arguments)
        assert_array_equal(run.valid, [True, False])
        assert_array_equal(run.firing_rate(method="count"), [0.0, np.nan])


def test_the_error_for_a_misspelt_argument_of_an_analysis_has_a_suggestion():
    run = Simulator("reference").run(1.0, 0.1)
    with pytest.raises(TypeError, match="Did you mean 'method'"):
        run.firing_rate(metod="count")
    with pytest.raises(TypeError, match="Did you mean 'start'"):
        run.fi_curve(strt=0.5)


@pytest.mark.parametrize("dt", [0.05, 0.01])
def test_spikes_under_a_sine_agree_with_dop853(dt):
    """Spikes under a sine agree with DOP853's, whose sine is continuous."""

    def slopes(t, state):
        I_ext = np.array([5.0 + 10.0 * np.sin(2.0 * np.pi * 0.05 * t)])
        parameters = squid.equations.defaults
        return squid.equations.derivative(state[:, np.newaxis], I_ext, parameters)[:, 0]

    def crossing(_, state):
        return state[0]

    crossing.direction = 1
    start = Problem(1.0).initial_state[:, 0]
    exact = solve_ivp(
        slopes, (0, 60), start, method="DOP853", rtol=1e-10, atol=1e-10, events=crossing
    ).t_events[0]
    sine = Stimulus.sine(10.0, frequency=50.0, offset=5.0)
    found = Simulator("numba", "float64").run(60.0, dt, stimulus=sine).spikes.time
    assert len(found) == len(exact) > 2
    # If it were taken at the beginning of each step, it would be late by dt/2, 5e-3 ms.
    assert np.abs(found - exact).max() < dt / 10
