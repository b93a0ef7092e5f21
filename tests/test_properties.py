"""Properties that the core keeps bit for bit for any problem, by hypothesis."""

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hhplug import HHParameters, Simulator, Stimulus

DT = 0.02  # ms; 60 steps are 1.2 ms, enough for a spike from the states drawn below
MAX_STEPS = 60

sizes = st.sampled_from([1, 2, 15, 16, 17, 31, 33, 64, 65])
lengths = st.integers(2, MAX_STEPS)
seeds = st.integers(0, 2**32 - 1)
kinds = st.sampled_from(
    ["none", "constant", "step", "pulse_train", "ramp", "sine", "sum", "shared", "time", "array"]
)

# There may be as many neurons as steps.
pytestmark = pytest.mark.filterwarnings("ignore:stimulus of shape")


class Population:
    """A random problem; `arguments(neurons)` are the arguments of `run` for some of its neurons."""

    def __init__(self, n, n_steps, kind, seed):
        rng = np.random.default_rng(seed)
        self.n, self.n_steps = n, n_steps
        self._amplitude = rng.uniform(-5.0, 40.0, n)
        self._last = rng.uniform(-5.0, 40.0, n)
        self._array = rng.uniform(-5.0, 40.0, (n_steps, n)).astype(np.float32)
        self._kind = kind
        self._state = np.stack(
            [
                rng.uniform(-80.0, 10.0, n),
                rng.uniform(0.0, 0.5, n),
                rng.uniform(0.2, 0.7, n),
                rng.uniform(0.2, 0.6, n),
            ]
        )
        self._C_m = rng.uniform(0.8, 1.2, n)
        self._g_Na = rng.uniform(90.0, 150.0, n)
        self._E_L = rng.uniform(-60.0, -50.0, n)

    def simulator(self, neurons=slice(None)):
        parameters = HHParameters(
            C_m=self._C_m[neurons], g_Na=self._g_Na[neurons], g_K=35.0, E_L=self._E_L[neurons]
        )
        return Simulator("reference", parameters=parameters)

    def stimulus(self, neurons=slice(None), steps=slice(None)):
        amplitude, last = self._amplitude[neurons], self._last[neurons]
        make = {
            "none": lambda: None,
            "constant": lambda: Stimulus.constant(amplitude),
            "step": lambda: Stimulus.step(amplitude, start=0.16, stop=0.7),
            "pulse_train": lambda: Stimulus.pulse_train(amplitude, 0.1, 0.13, 0.3, 4),
            "ramp": lambda: Stimulus.ramp(amplitude, last, start=0.1, stop=0.9),
            "sine": lambda: Stimulus.sine(amplitude, 1700.0, phase=0.3, offset=last),
            "sum": lambda: Stimulus.constant(last) + Stimulus.sine(3.0, 1900.0),
            "shared": lambda: Stimulus.step(17.0, start=0.16, stop=0.7),
            "time": lambda: self._array[steps, :1],  # a column: there may be as many neurons
            "array": lambda: self._array[steps][:, neurons],
        }
        return make[self._kind]()

    def state(self, neurons=slice(None)):
        return self._state[:, neurons]

    def run(self, neurons=slice(None), **changes):
        arguments = {
            "T": self.n_steps * DT,
            "dt": DT,
            "stimulus": self.stimulus(neurons),
            "initial_state": self.state(neurons),
            "record_all": True,
        } | changes
        return self.simulator(neurons).run(**arguments)


def assert_same(a, b):
    for name in "Vmhn":
        np.testing.assert_array_equal(a[name], b[name])
    np.testing.assert_array_equal(a.final_state, b.final_state)
    np.testing.assert_array_equal(a.spike_count, b.spike_count)
    np.testing.assert_array_equal(a.spikes.neuron, b.spikes.neuron)
    np.testing.assert_array_equal(a.spikes.time, b.spikes.time)


@given(sizes, lengths, kinds, seeds, st.data())
def test_two_consecutive_runs_equal_one_long_run(n, n_steps, kind, seed, data):
    population = Population(n, n_steps, kind, seed)
    cut = data.draw(st.integers(1, n_steps - 1))
    every = data.draw(st.integers(1, 4))
    whole = population.run(record_every=every)
    first = population.run(
        T=cut * DT,
        stimulus=population.stimulus(steps=slice(cut)),
        record_every=every,
    )
    state = {"initial_state": first.final_state, "start_step": first.next_step}
    second = population.run(
        T=(n_steps - cut) * DT,
        stimulus=population.stimulus(steps=slice(cut, None)),
        record_every=every,
        **data.draw(st.sampled_from([state, {"initial_state": None, "resume": first}])),
    )
    for name in ("time", *"Vmhn"):
        np.testing.assert_array_equal(np.concatenate([first[name], second[name]]), whole[name])
    np.testing.assert_array_equal(second.final_state, whole.final_state)
    np.testing.assert_array_equal(first.spike_count + second.spike_count, whole.spike_count)
    times = np.concatenate([first.spikes.time, second.spikes.time])
    neurons = np.concatenate([first.spikes.neuron, second.spikes.neuron])
    order = np.lexsort([times, neurons])
    np.testing.assert_array_equal(neurons[order], whole.spikes.neuron)
    np.testing.assert_array_equal(times[order], whole.spikes.time)


@given(sizes, lengths, kinds, seeds, st.integers(1, 13))
def test_blocks_of_any_length_give_the_same_run(n, n_steps, kind, seed, length):
    population = Population(n, n_steps, kind, seed)
    whole = population.run(record_every=3)
    with patch("hhplug.running.preparing.BLOCK_STEPS", length):
        assert_same(population.run(record_every=3), whole)


@given(sizes, lengths, kinds, seeds, st.data())
def test_a_neuron_does_not_depend_on_its_neighbours(n, n_steps, kind, seed, data):
    population = Population(n, n_steps, kind, seed)
    neuron = data.draw(st.integers(0, n - 1))
    together = population.run()
    alone = population.run(slice(neuron, neuron + 1))
    for name in "Vmhn":
        np.testing.assert_array_equal(alone[name][:, 0], together[name][:, neuron])
    assert alone.spike_count[0] == together.spike_count[neuron]


@given(sizes, lengths, kinds, seeds)
def test_a_permutation_of_neurons_permutes_the_result(n, n_steps, kind, seed):
    population = Population(n, n_steps, kind, seed)
    permutation = np.random.default_rng(seed).permutation(n)
    straight = population.run()
    permuted = population.run(permutation)
    for name in "Vmhn":
        np.testing.assert_array_equal(permuted[name], straight[name][:, permutation])
    np.testing.assert_array_equal(permuted.spike_count, straight.spike_count[permutation])
    np.testing.assert_array_equal(permuted.final_state, straight.final_state[:, permutation])


@given(sizes, lengths, kinds, seeds, st.data())
def test_recording_selects_samples_and_does_not_change_them(n, n_steps, kind, seed, data):
    population = Population(n, n_steps, kind, seed)
    record = data.draw(st.permutations("Vmhn"))[: data.draw(st.integers(0, 4))]
    neurons = data.draw(st.permutations(range(n)))[: data.draw(st.integers(0, n))]
    every = data.draw(st.integers(1, n_steps + 1))
    everything = population.run()
    some = population.run(
        record_all=False,
        record=record,
        record_neurons=neurons,
        record_every=every,
    )
    assert set(some.samples) == set(record)
    for name in record:
        np.testing.assert_array_equal(some[name], everything[name][::every, neurons])
    np.testing.assert_array_equal(some.time, everything.time[::every])
    np.testing.assert_array_equal(some.final_state, everything.final_state)
    np.testing.assert_array_equal(some.spikes.time, everything.spikes.time)


@given(sizes, lengths, kinds, seeds, st.sampled_from([-60.0, -20.0, 0.0, 12.5]))
def test_spikes_are_the_upward_crossings_of_the_stored_voltage(n, n_steps, kind, seed, threshold):
    population = Population(n, n_steps, kind, seed)
    result = population.run(spike_threshold=threshold)
    # The definition, from the recorded trace with the final state laid at its end.
    V = np.concatenate([result.V, result.final_state[:1]]).astype(np.float64)
    neuron, step = np.nonzero(((V[:-1] < threshold) & (threshold <= V[1:])).T)
    np.testing.assert_array_equal(result.spikes.neuron, neuron)
    fraction = result.spikes.time / DT - step
    assert ((fraction >= -1e-9) & (fraction <= 1.0 + 1e-9)).all()
    np.testing.assert_array_equal(result.spike_count, np.bincount(neuron, minlength=n))
