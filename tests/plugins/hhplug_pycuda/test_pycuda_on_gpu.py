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
from rates import RATE_BOUND, awkward_voltages, worst_rate_error
from under_test import NAMES

from hhplug import BackendUnavailable, HHParameters, Simulator, Stimulus
from hhplug.plugins import choice
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

    gpu = choice.choose("pycuda").backend.gpu
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
