"""PyCUDA's kernel and its cache on a GPU; device/test_on_gpu has the tests of every GPU backend.

`HHPLUG_TEST_BACKENDS=pycuda pytest` runs these tests; they fail without a GPU.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from launched import awkward_voltages, worst_rate_error
from trial_membranes import MEMBRANES, SINGULAR
from under_test import NAMES

from hhplug import BackendUnavailable, HHParameters, Simulator, Stimulus
from hhplug.plugins import choice
from hhplug.testing.accuracy import BOUNDS
from hhplug_pycuda.layout import HELD
from hhplug_pycuda.probe import compiler
from hhplug_pycuda.source import equations, source

pytestmark = pytest.mark.skipif(
    "pycuda" not in NAMES, reason="HHPLUG_TEST_BACKENDS does not name pycuda"
)
DTYPES = ("float32", "float64")


@pytest.mark.parametrize("name", MEMBRANES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("latency", [0, 1])
def test_rates_are_within_bounds(name, dtype, latency):
    import pycuda.driver as cuda

    gpu, membrane, kept = choice.choose("pycuda").backend.gpu, MEMBRANES[name], {}
    choices = {"RECORD": 0, "CURRENT": HELD, "LATENCY": latency, "UNROLL": 1, "THREADS": 256}
    choices |= {"BLOCKS": 0, "NOISE": 0, "FEATURES": 0}

    def put(array):
        memory = cuda.to_device(array if array.size else np.zeros(1))  # CUDA allocates no 0 bytes
        kept[int(memory)] = memory, array
        return int(memory)

    def launch(b):
        grid = (-(-int(b["N"]) // 256), 1)
        module.get_function("hh")(b[()], block=(256, 1, 1), grid=grid)
        memory, array = kept[int(b["state"])]
        return cuda.from_device_like(memory, array)

    V = awkward_voltages(SINGULAR[name], dtype)
    with gpu.current():
        module = gpu.module(source(membrane, dtype), REAL64=dtype == "float64", **choices)
        worst = worst_rate_error(membrane, equations(membrane, dtype), put, launch, V)
    print(f"worst rate error of {name}, {dtype}: {worst:.1e}")
    assert worst < BOUNDS[dtype].rate


@pytest.mark.parametrize("name", MEMBRANES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_membrane_agrees_with_the_reference(name, dtype):
    membrane, n = MEMBRANES[name], 33
    rng = np.random.default_rng(33)
    usual = membrane.equations.defaults
    spread = {key: value * rng.uniform(0.98, 1.02, n) for key, value in usual.items()}
    run = {
        "T": 8.0,
        "stimulus": Stimulus.step(np.linspace(20.0, 40.0, n), 1.0, 6.0),
        "initial_state": membrane.equations.settled(-65.0, usual),
    }
    ours = Simulator("pycuda", dtype, spread, membrane=membrane).run(**run)
    expected = Simulator("reference", parameters=spread, membrane=membrane).run(**run)
    assert np.abs(ours.V - expected.V).max() < BOUNDS[dtype].V_50_ms
    np.testing.assert_array_equal(ours.spike_count, expected.spike_count)
    assert expected.spike_count.any()


def test_a_full_device_is_reported_with_a_fix(monkeypatch):
    import pycuda.driver as cuda

    def full(_):
        raise cuda.MemoryError("cuDevicePrimaryCtxRetain failed: out of memory")

    monkeypatch.setattr("hhplug_pycuda.backend.gpu", full)
    with pytest.raises(BackendUnavailable, match="no memory left for a context") as refusal:
        Simulator("pycuda")
    assert refusal.value.code == "out_of_memory"
    assert "nvidia-smi" in refusal.value.fix


def test_parameters_dt_and_size_do_not_recompile():
    from hhplug_pycuda.gpu import Gpu

    gpu = choice.choose("pycuda").backend.gpu
    Simulator("pycuda").run(1.0, batch_size=10)
    compiled = Gpu.module.cache_info().currsize
    for n, dt in ((11, 0.02), (1000, 0.005)):
        parameters = HHParameters(g_Na=np.linspace(100.0, 130.0, n))
        stimulus = Stimulus.constant(np.linspace(7.0, 40.0, n))
        Simulator("pycuda", parameters=parameters).run(1.0, dt, stimulus=stimulus)
    assert Gpu.module.cache_info().currsize == compiled
    assert gpu is choice.choose("pycuda").backend.gpu


def test_the_compiler_may_be_in_cuda_home_only(tmp_path):
    nvcc = Path(compiler()).resolve()
    folders = os.environ["PATH"].split(os.pathsep)
    elsewhere = [folder for folder in folders if not (Path(folder) / "nvcc").exists()]
    environment = os.environ | {
        "PATH": os.pathsep.join(elsewhere),
        "CUDA_HOME": str(nvcc.parent.parent),
        "XDG_CACHE_HOME": str(tmp_path),
    }
    script = "from hhplug import Simulator; Simulator('pycuda').run(0.1)"
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
    assert list(tmp_path.rglob("*.cubin"))


def test_two_threads_may_compile_the_same_kernel(tmp_path):
    from hhplug_pycuda.gpu import _keep

    gpu = choice.choose("pycuda").backend.gpu
    cubin = tmp_path / "hh.cubin"

    def compile_it(_):
        _keep(gpu._compile('extern "C" __global__ void nothing() {}', [], compiler()), cubin)
        return cubin.read_bytes()

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(compile_it, range(4)))) == 1
    assert list(tmp_path.iterdir()) == [cubin]
