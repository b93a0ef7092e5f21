"""Tests of every form of current, early and late in a run."""

from functools import cache
from typing import Any

import numpy as np
import pytest

from hhplug.currents.stimulus import Stimulus
from hhplug.results.result import Result
from hhplug.testing.accuracy import BOUNDS
from hhplug.testing.kit import Kit, assert_equal, assert_near, assert_same, reference
from hhplug.testing.problems import Population

N = 33
SPIKING = (-30.0, 0.3, 0.5, 0.35)  # V m h n from which V crosses 0 mV within 0.2 ms


def currents(ms: float):
    """Return form → current for 20 · ms milliseconds at dt = 0.01 ms."""
    amplitude = np.linspace(12.0, 30.0, N)  # µA/cm², far above the threshold of repetitive firing
    count = round(20.0 * ms / 0.01)
    waves = Stimulus.constant(amplitude) + Stimulus.sine(1.0, 100.0 / ms)
    rows = waves.sample(0.01, count)
    return {
        "none": None,
        "constant": Stimulus.constant(amplitude),
        "step": Stimulus.step(amplitude, 1.0 * ms, 15.0 * ms) + Stimulus.constant(0.5),
        "pulse_train": Stimulus.pulse_train(2.0 * amplitude, ms, 2.0 * ms, 9.0 * ms, 2),
        "ramp and sine": Stimulus.ramp(amplitude, 20.0, 1.0 * ms, 18.0 * ms)
        + Stimulus.sine(3.0, 40.0 / ms, 0.2, 0.1),
        "times per neuron": Stimulus.step(amplitude, 1.0 * ms, np.linspace(12.0, 19.0, N) * ms)
        + Stimulus.sine(3.0, np.linspace(10.0, 90.0, N) / ms),
        "noise": Stimulus.ornstein_uhlenbeck(amplitude, 2.0, tau=3.0 * ms, seed=1)
        + Stimulus.white_noise(0.3 * np.sqrt(ms), seed=1),
        "array": rows,
        "array of time": Stimulus.step(15.0, 1.0 * ms, 18.0 * ms).sample(0.01, count),
        "array of integers": np.full((count, N), 12),
        "array of another byte order, backwards": rows.astype(">f8")[::-1],
        "columns of half precision": rows.astype("f2").repeat(2, axis=1)[:, 1::2],
    }


def run_arguments(form: str, ms: float) -> dict[str, Any]:
    """Return the arguments of `Problem` for 20 · ms milliseconds under a form of current."""
    return {
        "T": 20.0 * ms,
        "batch_size": N,
        "stimulus": currents(ms)[form],
        "initial_state": SPIKING,
    }


@cache
def reference_run(form: str, ms: float) -> Result:
    """Return the same run on the reference; it is computed once per process."""
    return reference(**run_arguments(form, ms))


class CurrentTests:
    @pytest.mark.parametrize("form", currents(1.0))
    def test_every_form_of_current_gives_the_trace_of_the_reference(self, kit: Kit, form):
        ms = kit.steps(1000, 28) / 2000
        ours, expected = kit.run(**run_arguments(form, ms)), reference_run(form, ms)
        assert_near(ours.V, expected.V, BOUNDS[kit.dtype].V_50_ms, "V")
        assert_equal(ours.spike_count, expected.spike_count, "spike count")
        assert expected.spike_count.all()

    @pytest.mark.one_precision
    @pytest.mark.kit_level(2)
    def test_an_array_that_its_user_has_changed_is_read_again(self, kit: Kit):
        steps = 3
        arguments = Population(N, steps, "array").arguments()
        array = arguments["stimulus"].copy()
        kit.run(**arguments | {"stimulus": array})
        array[:] = array[::-1].copy()
        ours, expected = (
            kit.run(**arguments | {"stimulus": stimulus}) for stimulus in (array, array.copy())
        )
        assert_same(ours, expected, "after the user's array has changed, a run differs")

    @pytest.mark.parametrize("late", [10**8 + 7, 2**31 + 7])
    def test_time_is_the_step_times_dt_however_late(self, kit: Kit, late):
        # Time in float32 is off by 0.06 ms after 1000 s; a sum of dt is off by more.
        T = 0.01 * kit.steps(500, 20)
        arguments = {
            "stimulus": Stimulus.sine(np.linspace(20.0, 40.0, N), 1000.0),
            "initial_state": SPIKING,
            "start_step": late,
        }
        problem = kit.problem(T, **arguments)
        ours, expected = kit.run_in_blocks(problem, [7, 1, 4]), reference(T, **arguments)
        assert_near(ours.samples["V"], expected.V, BOUNDS[kit.dtype].V_50_ms, "V")
        assert_equal(ours.spikes.neuron, expected.spikes.neuron, "spikes' neurons")
        late_by = np.abs(ours.spikes.time - expected.spikes.time)
        assert late_by.max() < BOUNDS[kit.dtype].spike_time
        assert expected.spikes.time.min() >= late * 0.01
