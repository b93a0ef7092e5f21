"""What PyCUDA's kernel and its cache show on a GPU; what every GPU backend: device/test_on_gpu.

`HHPLUG_TEST_BACKENDS=pycuda pytest` runs it, and fails without one.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from rates import RATE_BOUND, awkward_voltages, worst_rate_error
from under_test import NAMES

from hhplug import BackendUnavailable, HHParameters, Simulator, Stimulus, registry
from hhplug_pycuda.probe import compiler

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


def test_a_full_device_is_told_with_its_fix(monkeypatch):
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

    gpu = registry.choose("pycuda").backend.gpu
    Simulator("pycuda").run(1.0, batch_size=10)
    compiled = Gpu.module.cache_info().currsize
    for n, dt in ((11, 0.02), (1000, 0.005)):
        parameters = HHParameters(g_Na=np.linspace(100.0, 130.0, n))
        stimulus = Stimulus.constant(np.linspace(7.0, 40.0, n))
        Simulator("pycuda", parameters=parameters).run(1.0, dt, stimulus=stimulus)
    assert Gpu.module.cache_info().currsize == compiled
    assert gpu is registry.choose("pycuda").backend.gpu


def test_the_compiler_may_stand_in_cuda_home_alone(tmp_path):
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
    gpu = registry.choose("pycuda").backend.gpu
    cubin = tmp_path / "hh.cubin"

    def compile_it(_):
        gpu._compile('extern "C" __global__ void nothing() {}', [], compiler(), cubin)
        return cubin.read_bytes()

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(compile_it, range(4)))) == 1
    assert list(tmp_path.iterdir()) == [cubin]
