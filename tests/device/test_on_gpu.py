"""Tests of every GPU backend that need a GPU.

`HHPLUG_TEST_BACKENDS=pycuda,triton pytest` runs them; they fail if one of these cannot run.
"""

import gc
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from under_test import NAMES

import hhplug
from hhplug import BackendUnavailable, NotEnoughMemory, Problem, Simulator, Stimulus
from hhplug.device import block as device_block
from hhplug.device import cuda_driver
from hhplug.device import session as device_session
from hhplug.plugins import choice

DTYPES = ("float32", "float64")
FIRST_RESULT = 1.0  # s, from the import of hhplug, that of PyTorch not counted
N = 100

every_gpu_backend = pytest.mark.parametrize(
    "backend",
    [
        pytest.param(
            name,
            marks=pytest.mark.skipif(
                name not in NAMES, reason=f"HHPLUG_TEST_BACKENDS does not name {name}"
            ),
        )
        for name in ("pycuda", "triton")
    ],
)


def sweep(n):
    return Stimulus.constant(np.linspace(7.0, 40.0, n))


def assert_same(a, b):
    assert set(a.samples) == set(b.samples)
    for name in a.samples:
        np.testing.assert_array_equal(a[name], b[name])
    np.testing.assert_array_equal(a.final_state, b.final_state)
    if a.problem.spikes != "off":
        np.testing.assert_array_equal(a.spike_count, b.spike_count)
    if a.problem.spikes == "times":
        np.testing.assert_array_equal(a.spikes.neuron, b.spikes.neuron)
        np.testing.assert_array_equal(a.spikes.time, b.spikes.time)


def bytes_taken(backend):
    """Return the bytes in use on the first GPU, without those in PyTorch's cache."""
    gc.collect()
    if backend == "triton":
        import torch

        return torch.cuda.memory_allocated(0)
    import pycuda.driver as cuda

    with choice.choose(backend).backend.gpu.current():
        free, total = cuda.mem_get_info()
    return total - free


@every_gpu_backend
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("as_array", [False, True])
def test_spikes_beyond_the_capacity_are_found_by_a_replay(monkeypatch, backend, dtype, as_array):
    n, T = 500, 100.0
    current = sweep(n) + Stimulus.sine(3.0, 50.0)
    current = current.sample(0.01, 10_000).astype(dtype) if as_array else current
    plenty = Simulator(backend, dtype).run(T, stimulus=current, record=())
    monkeypatch.setattr(device_session, "SPIKES_PER_MS", 0.0)
    monkeypatch.setattr(device_session, "LEAST_ROOM", 0)
    replays = []
    replay = device_block.DeviceBlock._replay
    monkeypatch.setattr(
        device_block.DeviceBlock, "_replay", lambda *args: (replays.append(1), replay(*args))
    )
    scarce = Simulator(backend, dtype).run(T, stimulus=current, record=())
    assert replays
    assert_same(scarce, plenty)


@every_gpu_backend
def test_two_threads_do_not_disturb_each_other(backend):
    runs = [
        partial(Simulator(backend, dtype).run, 20.0, stimulus=sweep(n))
        for n, dtype in ((10_000, "float32"), (3000, "float64"))
    ]
    alone = [run() for run in runs]
    with ThreadPoolExecutor(max_workers=2) as threads:
        together = [threads.submit(run) for _ in range(5) for run in runs]
    for i, future in enumerate(together):
        assert_same(future.result(), alone[i % 2])


@every_gpu_backend
def test_close_returns_the_memory_and_may_be_called_twice(backend):
    n = 10**7
    opened = choice.choose(backend).backend
    problem = Problem(1.0, batch_size=n, dtype="float64", record=())
    opened.prepare(problem, 10).close()
    opened.release_memory()
    before = bytes_taken(backend)
    session = opened.prepare(problem, 10)
    assert bytes_taken(backend) - before > 4 * 8 * n  # the state
    session.close()
    session.close()
    assert bytes_taken(backend) > before  # what the next session takes over
    opened.release_memory()
    assert bytes_taken(backend) == before


@every_gpu_backend
def test_other_libraries_on_the_gpu_are_not_disturbed(backend):
    torch = pytest.importorskip("torch")
    cupy = pytest.importorskip("cupy")
    ours, theirs = torch.arange(1000, device="cuda"), cupy.arange(1000)
    first = Simulator(backend).run(5.0, stimulus=sweep(N))
    assert int((ours + 1).sum()) == 500_500
    assert int((theirs + 1).sum()) == 500_500
    assert_same(Simulator(backend).run(5.0, stimulus=sweep(N)), first)


@every_gpu_backend
def test_a_device_out_of_range_is_refused(backend):
    with pytest.raises(BackendUnavailable, match=r"\[no_such_device\] device 99 was asked for"):
        Simulator(backend, device=99)


@every_gpu_backend
def test_a_population_too_large_for_the_gpu_is_refused_with_the_memory_needed(backend):
    prepare = choice.choose(backend).backend.prepare
    prepare(Problem(0.1, dtype="float64"), 10).close()
    before = bytes_taken(backend)
    problem = Problem(0.1, batch_size=10**10, dtype="float64", record=(), spikes="off")  # 320 GB
    with pytest.raises(NotEnoughMemory, match=r"GB free, and .* GB are needed; use a smaller"):
        prepare(problem, 10)
    assert bytes_taken(backend) <= before  # memory of earlier runs may have been freed as well


def seconds_to_first_result(backend, bytecode):
    """Return the seconds from the import of hhplug to a small result, in a new process.

    The time that the import of PyTorch takes is left out. As for an installed package, bytecode is
    cached: in the folder `bytecode`, even if the environment forbids it.
    """
    script = f"""
import time; began = time.perf_counter()
from hhplug import Simulator
Simulator({backend!r}).run(T=1.0, batch_size=10)
print(time.perf_counter() - began)
"""
    command = [sys.executable, "-X", "importtime", "-c", script]
    cached = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(bytecode)}
    env = os.environ | cached
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    pytorch = re.search(r"\| *(\d+) \| *torch$", done.stderr, re.MULTILINE)
    return float(done.stdout) - (int(pytorch[1]) * 1e-6 if pytorch else 0.0)


@every_gpu_backend
def test_a_new_process_with_a_warm_cache_has_a_result_within_a_second(backend, tmp_path):
    seconds_to_first_result(backend, tmp_path)
    assert min(seconds_to_first_result(backend, tmp_path) for _ in range(3)) < FIRST_RESULT


@every_gpu_backend
@pytest.mark.parametrize(
    "form",
    [
        {"record": ("V",)},
        {"record": ()},
        {"record": ("n", "V"), "record_every": 3, "record_neurons": [7, 3, 99]},
        {"record_all": True, "record_every": 7, "start_step": 5},
        {"record_neurons": []},
        {"record": ("m",), "record_every": 5000},
        {"record_all": True, "spikes": "counts"},
        {"record_all": True, "spikes": "off", "dt": 0.02},
        {"stimulus": np.linspace(0.0, 40.0, 2000), "batch_size": N},
    ],
)
def test_device_arrays_equal_the_arrays_on_the_host(backend, form):
    arguments = {"T": 20.0, "stimulus": sweep(N)} | form
    host = Simulator(backend).run(**arguments)
    kept = Simulator(backend).run(**arguments, device_arrays=True)
    for name, samples in host.samples.items():
        assert not isinstance(kept[name], np.ndarray)
        assert kept[name].shape == samples.shape
    assert_same(kept.on_host(), host)


@every_gpu_backend
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_rows_of_a_part_come_home_in_one_copy(monkeypatch, backend, dtype):
    copied, rows_to_host = [], cuda_driver.rows_to_host

    def noted(*arguments):
        copied.append(rows_to_host(*arguments))
        return copied[-1]

    monkeypatch.setattr(cuda_driver, "rows_to_host", noted)
    arguments = {"T": 0.5, "stimulus": sweep(200_001), "record": ("V", "n")}
    one = Simulator(backend, dtype).run(**arguments)
    both = Simulator(backend, dtype, device=[0, 0])
    for _ in range(3):  # memory is pinned when it is used again
        copied.clear()
        result = both.run(**arguments)
        assert_same(result, one)
        del result
    assert copied
    assert all(copied)


@every_gpu_backend
def test_device_arrays_can_be_saved(backend, tmp_path):
    arguments = {"T": 20.0, "stimulus": sweep(N)}
    Simulator(backend).run(**arguments, device_arrays=True).save(tmp_path / "a.npz")
    assert_same(hhplug.load_result(tmp_path / "a.npz"), Simulator(backend).run(**arguments))


@every_gpu_backend
def test_other_libraries_use_device_arrays_without_a_copy(backend):
    torch = pytest.importorskip("torch")
    cupy = pytest.importorskip("cupy")
    arguments = {"T": 20.0, "stimulus": sweep(N)}
    host = Simulator(backend).run(**arguments)
    V = Simulator(backend).run(**arguments, device_arrays=True).V
    address = V.__cuda_array_interface__["data"][0]
    assert cupy.asarray(V).data.ptr == torch.as_tensor(V, device="cuda").data_ptr() == address
    np.testing.assert_array_equal(cupy.asarray(V).get(), host.V)
    np.testing.assert_array_equal(torch.as_tensor(V, device="cuda").cpu(), host.V)


@every_gpu_backend
def test_device_arrays_outlive_other_runs_and_free_their_memory(backend):
    n = 10**6
    simulator = Simulator(backend)
    for device_arrays in (False, True):  # loads the kernels, which take memory too
        simulator.run(T=1.0, batch_size=n, device_arrays=device_arrays)
    simulator.release_memory()
    before = bytes_taken(backend)
    result = simulator.run(T=1.0, batch_size=n, device_arrays=True)
    simulator.run(T=1.0, batch_size=n, record=())
    simulator.release_memory()
    assert bytes_taken(backend) - before >= 4 * 100 * n  # V of 100 steps
    assert (result.on_host().V[0] == -65.0).all()
    del result
    assert bytes_taken(backend) == before
