"""What only a GPU can show. `HHPLUG_TEST_BACKENDS=pycuda pytest` runs it, and fails without one."""

import numpy as np
import pytest
from rates import RATE_BOUND, awkward_voltages, worst_rate_error
from under_test import NAMES, seconds_to_first_result

import hhplug
from hhplug import (
    BackendUnavailable,
    HHParameters,
    NotEnoughMemory,
    Problem,
    Simulator,
    Stimulus,
    registry,
)
from hhplug.device import session as device_session

pytestmark = pytest.mark.skipif(
    "pycuda" not in NAMES, reason="HHPLUG_TEST_BACKENDS does not name pycuda"
)
DTYPES = ("float32", "float64")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("latency", [0, 1])
def test_rates_are_within_bounds(dtype, latency):
    import pycuda.driver as cuda

    from hhplug_pycuda.layout import CONSTANTS

    gpu = registry.choose("pycuda").backend.gpu
    V = awkward_voltages(dtype)
    rates = np.full((6, len(V)), np.nan, dtype)
    choices = {"RECORD": 0, "ARRAY": 0, "LATENCY": latency, "UNROLL": 1, "THREADS": 256}
    with gpu.current():
        module = gpu.module(REAL64=dtype == "float64", **choices)
        module.get_function("six_rates")(
            np.int64(len(V)),
            *(cuda.In(np.array(a, dtype)) for a in (CONSTANTS, V)),
            cuda.Out(rates),
            block=(256, 1, 1),
            grid=(-(-len(V) // 256), 1),
        )
    worst = worst_rate_error(V, rates)
    print(f"worst rate error, {dtype}: {worst:.1e}")
    assert worst < RATE_BOUND[dtype]


def sweep(n):
    return Stimulus.constant(np.linspace(7.0, 40.0, n))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("as_array", [False, True])
def test_spikes_beyond_the_room_for_them_are_found_by_a_replay(monkeypatch, dtype, as_array):
    n, T = 500, 100.0
    current = sweep(n) + Stimulus.sine(3.0, 50.0)
    current = current.sample(0.01, 10_000).astype(dtype) if as_array else current
    plenty = Simulator("pycuda", dtype).run(T, stimulus=current, record=())
    monkeypatch.setattr(device_session, "SPIKES_PER_MS", 0.0)
    monkeypatch.setattr(device_session, "LEAST_ROOM", 0)
    replays = []
    replay = device_session.DeviceBlock._replay
    monkeypatch.setattr(
        device_session.DeviceBlock, "_replay", lambda *args: (replays.append(1), replay(*args))
    )
    scarce = Simulator("pycuda", dtype).run(T, stimulus=current, record=())
    assert replays
    np.testing.assert_array_equal(scarce.spike_count, plenty.spike_count)
    np.testing.assert_array_equal(scarce.spikes.neuron, plenty.spikes.neuron)
    np.testing.assert_array_equal(scarce.spikes.time, plenty.spikes.time)
    np.testing.assert_array_equal(scarce.final_state, plenty.final_state)


def test_two_sessions_at_once_do_not_disturb_each_other():
    chosen = registry.choose("pycuda")
    problems = [
        Problem(5.0, stimulus=sweep(n), dtype=dtype, record=())
        for n, dtype in ((100, "float32"), (3000, "float64"))
    ]
    from hhplug.recording import Recording

    recordings = [Recording(problem) for problem in problems]
    with (
        chosen.backend.prepare(problems[0], 50) as one,
        chosen.backend.prepare(problems[1], 50) as other,
    ):
        for first in range(0, 500, 50):
            blocks = [session.advance(50) for session in (one, other)]
            for block, recording in zip(blocks, recordings, strict=True):
                block.read(recording.block(first, 50))
        states = one.state(), other.state()
    for problem, state in zip(problems, states, strict=True):
        alone = Simulator("pycuda", problem.dtype).run(5.0, stimulus=problem.stimulus, record=())
        np.testing.assert_array_equal(state, alone.final_state)


def test_close_returns_the_memory_and_may_be_called_twice():
    import pycuda.driver as cuda

    chosen = registry.choose("pycuda")
    problem = Problem(1.0, batch_size=10**7, dtype="float64", record=())
    gpu = chosen.backend.gpu

    def free():
        with gpu.current():
            return cuda.mem_get_info()[0]

    chosen.backend.prepare(problem, 10).close()
    before = free()
    session = chosen.backend.prepare(problem, 10)
    assert before - free() > 4 * 8 * 10**7
    session.close()
    session.close()
    assert free() == before


def test_the_primary_context_is_shared_and_left_as_it_was():
    torch = pytest.importorskip("torch")
    cupy = pytest.importorskip("cupy")
    ours = torch.arange(1000, device="cuda")
    theirs = cupy.arange(1000)
    stimulus = sweep(100)
    first = Simulator("pycuda").run(5.0, stimulus=stimulus)
    assert int((ours + 1).sum()) == 500_500
    assert int((theirs + 1).sum()) == 500_500
    np.testing.assert_array_equal(Simulator("pycuda").run(5.0, stimulus=stimulus).V, first.V)


def test_a_device_out_of_range_is_refused():
    with pytest.raises(BackendUnavailable, match=r"\[no_such_device\] device 99 was asked for"):
        Simulator("pycuda", device=99)


def test_a_population_that_does_not_fit_the_gpu_is_refused_with_what_is_needed():
    problem = Problem(0.1, batch_size=3 * 10**9, dtype="float64", record=(), spikes="off")
    backend = registry.choose("pycuda").backend
    with pytest.raises(NotEnoughMemory, match=r"GB free, and .* GB are needed; use a smaller"):
        backend.prepare(problem, 10)


def test_parameters_dt_and_size_do_not_recompile():
    from hhplug_pycuda.gpu import Gpu

    gpu = registry.choose("pycuda").backend.gpu
    Simulator("pycuda").run(1.0, batch_size=10)
    compiled = Gpu.module.cache_info().currsize
    for n, dt in ((11, 0.02), (1000, 0.005)):
        parameters = HHParameters(g_Na=np.linspace(100.0, 130.0, n))
        Simulator("pycuda", parameters=parameters).run(1.0, dt, stimulus=sweep(n))
    assert Gpu.module.cache_info().currsize == compiled
    assert gpu is registry.choose("pycuda").backend.gpu


def test_a_new_process_with_a_warm_cache_has_a_result_within_a_second():
    Simulator("pycuda").run(T=1.0, batch_size=10)
    assert seconds_to_first_result("pycuda") < 1.0


def test_device_arrays_stay_on_the_gpu_and_are_shared_without_a_copy(tmp_path):
    torch = pytest.importorskip("torch")
    cupy = pytest.importorskip("cupy")
    arguments = {"T": 20.0, "stimulus": sweep(100), "record_every": 3, "record_neurons": [7, 3, 99]}
    host = Simulator("pycuda").run(**arguments, record=("V", "n"))
    device = Simulator("pycuda").run(**arguments, record=("V", "n"), device_arrays=True)
    assert device.V.shape == host.V.shape
    np.testing.assert_array_equal(cupy.asarray(device.V).get(), host.V)
    np.testing.assert_array_equal(torch.as_tensor(device.V, device="cuda").cpu(), host.V)
    assert cupy.asarray(device.V).data.ptr == device.V.elements.address
    np.testing.assert_array_equal(device.n.get(), host.n)
    device.save(tmp_path / "a.npz")
    np.testing.assert_array_equal(hhplug.load_result(tmp_path / "a.npz").V, host.V)
    np.testing.assert_array_equal(device.spikes.time, host.spikes.time)


def test_device_arrays_outlive_others_and_give_their_memory_back():
    import gc

    import pycuda.driver as cuda

    gpu = registry.choose("pycuda").backend.gpu

    def free():
        gc.collect()
        with gpu.current():
            return cuda.mem_get_info()[0]

    simulator = Simulator("pycuda")
    simulator.run(T=1.0, batch_size=10**6, record=())
    before = free()
    result = simulator.run(T=1.0, batch_size=10**6, device_arrays=True)
    V = result.V
    simulator.run(T=1.0, batch_size=10**6, record=())
    assert before - free() >= 4 * 100 * 10**6
    assert (V.get()[0] == -65.0).all()
    del result, V
    assert free() == before
