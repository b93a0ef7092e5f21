"""The NumPy backend's rates, groups and memory; the kit has the tests of every backend."""

import subprocess
import sys
from unittest.mock import patch

import numpy as np
import pytest
from rates import squid_rate

from hhplug import HHParameters, Simulator, Stimulus
from hhplug_numpy import kernels

DTYPES = ("float32", "float64")
RATE_BOUND = {"float32": 2e-6, "float64": 1e-13}  # relative, for V in [−150, 150] mV
SIZES = (1, 31, 32, 33, 255, 257, 1000)


def awkward_voltages(dtype):
    """Return voltages in mV from −150 to 150, with −40 and −55 and many values near these."""
    around = np.concatenate([-(10.0 ** np.arange(-7.0, 1.0)), 10.0 ** np.arange(-7.0, 1.0)])
    V = np.concatenate(
        [np.linspace(-150.0, 150.0, 300_001), -40.0 + around, -55.0 + around, [-40.0, -55.0]]
    ).astype(dtype)
    return np.concatenate([V, np.nextafter(V[-2:], V[-2:] - 1), np.nextafter(V[-2:], V[-2:] + 1)])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["alpha_m", "beta_m", "alpha_h", "beta_h", "alpha_n", "beta_n"])
@pytest.mark.parametrize("exponential", [kernels.NATURAL, kernels.BINARY])
def test_rates_are_within_bounds(dtype, name, exponential):
    V = awkward_voltages(dtype)
    rates = kernels.Rates(len(V), 2.0, np.dtype(dtype), exponential)  # dt/2 = 1
    rates.update(V, *np.empty((4, len(V)), dtype))
    expected = squid_rate(name, V.astype(np.float64))
    assert np.abs(getattr(rates, name) / expected - 1.0).max() < RATE_BOUND[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_any_size_and_any_grouping_gives_the_same_bits(dtype, n):
    rng = np.random.default_rng(n)
    simulator = Simulator("numpy", dtype, HHParameters(C_m=rng.uniform(0.9, 1.1, n)))
    arguments = {
        "T": 2.0,
        "stimulus": Stimulus.constant(rng.uniform(0.0, 40.0, n)),
        "record_all": True,
        "record_neurons": rng.permutation(n)[: n // 2 + 1],
    }
    one_group = simulator.run(**arguments)
    with patch("hhplug_numpy.backend.ROW_BYTES", 256):
        many_groups = simulator.run(**arguments)
    for name in "Vmhn":
        np.testing.assert_array_equal(many_groups[name], one_group[name])
    np.testing.assert_array_equal(many_groups.final_state, one_group.final_state)
    np.testing.assert_array_equal(many_groups.spikes.time, one_group.spikes.time)


def test_float32_never_touches_float64():
    seen = set()

    def spy(ufunc):
        def call(*arrays, **options):
            seen.update(np.asarray(a).dtype for a in arrays if not isinstance(a, int))
            return ufunc(*arrays, **options)

        return call

    names = ("add", "divide", "multiply", "square", "subtract", "tanh")
    spied = {name: spy(getattr(np, name)) for name in names}
    spied["fastest_exponential"] = lambda: kernels.Exponential(spy(np.exp), 1.0)
    with patch.multiple(kernels, **spied):
        stepper = kernels.Stepper(16, 0.01, np.dtype(np.float32))
        state = kernels.State.of(np.full((4, 16), 0.5, np.float32))
        parameters = kernels.Membrane(*np.ones((5, 16), np.float32))
        stepper.step(state, np.ones(16, np.float32), parameters)
    assert seen == {np.dtype(np.float32)}


def test_a_run_that_records_takes_its_recording_and_300_MB_at_most():
    # 10⁶ neurons, 100 samples: 400 MB, in a fresh process, against its size before.
    script = """
import resource, numpy as np
from hhplug import Simulator, Stimulus
simulator = Simulator("numpy", "float32")
stimulus = Stimulus.constant(np.linspace(0.0, 40.0, 10**6))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
result = simulator.run(T=2.0, dt=0.02, stimulus=stimulus, record_every=1)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
spikes = result.spikes.time.nbytes + result.spikes.neuron.nbytes
print((peak - before) * 1024 - result.V.nbytes - spikes)
"""
    pytest.importorskip("resource")
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 300e6
