"""Triton's kernels on a GPU; device/test_on_gpu has the tests of every GPU backend.

`HHPLUG_TEST_BACKENDS=triton pytest` runs these tests; they fail without a GPU.
"""

import numpy as np
import pytest
from described_rates import worst_rate_errors
from under_test import NAMES

from hhplug import HHParameters, Simulator, Stimulus, simulate
from hhplug.testing.accuracy import BOUNDS, accuracy_problem

pytestmark = pytest.mark.skipif(
    "triton" not in NAMES, reason="HHPLUG_TEST_BACKENDS does not name triton"
)
DTYPES = ("float32", "float64")


@pytest.fixture
def compiled(monkeypatch):
    """The list of variants of the kernel that this process compiles or loads for the first time."""
    from hhplug_triton import kernels

    met, compile_variant = [], kernels.hh._do_compile

    def noted(key, *arguments):
        met.append(key)
        return compile_variant(key, *arguments)

    # Triton's own hook can't be used: it writes arguments of a kernel as JSON, functions too.
    monkeypatch.setattr(kernels.hh, "_do_compile", noted)
    return met


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fast", [True, False])
def test_rates_are_within_bounds(dtype, fast):
    import triton_cases

    on = {"fast": fast, "device": "cuda", "block": 256}
    for name, membrane in triton_cases.MEMBRANES.items():
        V = triton_cases.awkward_voltages(name, dtype)
        worst = worst_rate_errors(membrane, V, triton_cases.rates(membrane, dtype, V, **on))
        print(f"{name}, {dtype}, {'fast' if fast else 'plain'}: {max(worst.values()):.1e}")
        assert max(worst.values()) < BOUNDS[dtype].rate, (name, worst)


@pytest.mark.parametrize("dtype", DTYPES)
def test_plain_triton_agrees_with_the_instructions_of_nvidia(monkeypatch, compiled, dtype):
    from hhplug_triton import backend

    problem = accuracy_problem(5.0, dtype)
    fast = simulate(problem, "triton")
    monkeypatch.setattr(backend, "is_nvidia", lambda _: False)
    compiled.clear()
    plain = simulate(problem, "triton")
    assert compiled
    assert np.abs(plain.V - fast.V).max() < BOUNDS[dtype].V_5_ms
    np.testing.assert_array_equal(plain.spike_count, fast.spike_count)
    assert fast.spike_count.any()


def test_sizes_values_and_selections_do_not_recompile(monkeypatch, compiled):
    from hhplug_triton import backend

    wave = Stimulus.sine(3.0, 50.0)
    for stimulus in (wave, wave + Stimulus.constant([7.0, 40.0])):
        Simulator("triton").run(1.0, stimulus=stimulus)
    compiled.clear()
    for n in (1, 16, 17, 1000):
        spread = HHParameters(g_Na=np.linspace(110.0, 130.0, n))
        waves = wave + Stimulus.constant(np.linspace(7.0, 40.0, n))
        Simulator("triton").run(1.0, batch_size=n, stimulus=wave, record_every=16)
        Simulator("triton").run(
            1.0, batch_size=n, stimulus=wave, record=("h", "n"), record_neurons=[0]
        )
        Simulator("triton").run(16.0, 0.02, stimulus=waves, spike_threshold=1.0)
        Simulator("triton", parameters=spread).run(1.7, stimulus=wave, start_step=7)
    assert not compiled
    # No earlier run had this shape.
    monkeypatch.setitem(backend.SHAPE_OF_FEW, "float64", backend.Shape(64, 2, 1))
    Simulator("triton", "float64").run(1.0, stimulus=np.ones(100))
    assert len(compiled) == 1


def test_states_are_recorded_whose_bit_is_beyond_those_of_an_int32():
    import triton_cases

    ours, expected = (triton_cases.run("many", name) for name in ("triton", "reference"))
    for name, samples in expected.samples.items():
        assert np.abs(ours[name] - samples).max() < 1e-5


def test_device_arrays_are_tensors():
    import torch

    result = Simulator("triton").run(1.0, batch_size=17, record_all=True, device_arrays=True)
    for name in "Vmhn":
        assert torch.is_tensor(result[name])
        assert result[name].is_cuda
        assert result[name].shape == (100, 17)


def test_each_gpu_gives_the_same_and_the_current_device_stays():
    import torch

    stimulus = Stimulus.constant(np.linspace(7.0, 40.0, 17))
    first = Simulator("triton").run(5.0, stimulus=stimulus)
    for index in range(torch.cuda.device_count()):
        simulator = Simulator("triton", device=index)
        assert simulator.device == torch.cuda.get_device_name(index)
        result = simulator.run(5.0, stimulus=stimulus, device_arrays=True)
        assert result.V.device == torch.device("cuda", index)
        assert torch.cuda.current_device() == 0
        np.testing.assert_array_equal(result.on_host().V, first.V)


def test_samples_come_home_by_the_driver(monkeypatch):
    import torch

    from hhplug_triton.torch_device import TorchStream

    device = torch.device("cuda", 0)
    source = torch.arange(1000, dtype=torch.float32, device=device)
    pinned = torch.zeros(1000, pin_memory=True).numpy()
    torch.cuda.synchronize(device)
    stream = TorchStream(torch.cuda, device)
    monkeypatch.setattr(torch, "from_numpy", None)
    stream.to_host(pinned[:7], source[3:])
    stream.synchronize()
    np.testing.assert_array_equal(pinned[:8], [3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 0.0])
