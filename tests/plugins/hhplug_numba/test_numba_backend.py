"""Tests of the Numba backend only; the kit has those of every backend."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import psutil
import pytest
from near_reference import assert_near_the_reference
from numba import types
from numba.core import caching
from plugin_factory import listed, problem_of
from under_test import seconds_to_first_result

from hhplug import BackendUnavailable, Channel, Gate, HHParameters, Simulator, Stimulus
from hhplug.lowering.lower import lower
from hhplug.membranes import FS, squid
from hhplug.plugins import choice
from hhplug.testing import membranes
from hhplug.testing.accuracy import BOUNDS
from hhplug.testing.kit import assert_same
from hhplug.testing.problems import Population
from hhplug_numba import backend, compiler, equations, kernels

DTYPES = ("float32", "float64")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["shifted", "calcium"])
def test_a_membrane_is_computed_as_the_reference_does(name, dtype):
    assert_near_the_reference("numba", dtype, membranes.MEMBRANES[name])


def compiled_by(dispatcher):
    """Yield a compiled function and those that it calls, as Python functions."""
    function = dispatcher.py_func
    yield function
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    for value in [*cells, *map(function.__globals__.get, function.__code__.co_names)]:
        if hasattr(value, "py_func"):
            yield from compiled_by(value)


def test_functions_of_two_membranes_have_the_same_symbol_only_if_they_are_the_same():
    """Two kernels read from the cache would else share one: FS fired no spike after the squid."""
    membranes_of_four_states = squid, FS
    by_name, other = (
        {f"{f.__module__}.{f.__qualname__}": f for f in compiled_by(kernel.advance)}
        for kernel in (kernels.kernel(m, "float32") for m in membranes_of_four_states)
    )
    shared = by_name.keys() & other.keys()
    assert len(shared) < len(by_name) > 8
    assert all(by_name[name] is other[name] for name in shared)


def test_no_value_of_a_membrane_takes_a_name_that_the_source_uses():
    gate = Gate(inf="1 / (1 + exp((V + 60) / width))", tau=5.0)
    named = squid.replace("named", T=Channel("i", g=0.1, E=50.0, i=gate), width=7.0)
    found = equations.source(lower(named, "cpu-float32"), "float32").text
    assert "width_per_C_m" not in found
    assert "i_ = g[i + " in found


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_thread_gives_what_several_give(monkeypatch, dtype):
    def run():
        simulator = Simulator("numba", dtype)
        population = Population(3001, 40).arguments()
        parameters = population.pop("parameters")
        return Simulator("numba", dtype, parameters).run(**population), simulator

    several, simulator = run()
    alone = choice.choose("numba").backend
    assert alone.threads >= 1
    monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", 1)
    one, simulator = run()
    assert simulator._opened.backend.threads == 1
    assert_same(one, several)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [40, 1500])  # in one group; in several, whose shares each spike
def test_spikes_beyond_the_capacity_of_a_share_are_all_kept(monkeypatch, dtype, n):
    """The samples also continue correctly when the kernel is called again."""
    arguments = {
        "T": 100.0,
        "stimulus": Stimulus.constant(np.linspace(7.0, 60.0, n)),
        "record_every": 7,
        "record_neurons": [n - 1, 3, 0],
    }
    plenty = Simulator("numba", dtype).run(**arguments)
    monkeypatch.setattr(backend, "ROOM", 0)
    scarce = Simulator("numba", dtype).run(**arguments)
    assert plenty.spike_count.sum() > 2 * n
    assert_same(scarce, plenty)


@pytest.mark.parametrize("dtype", DTYPES)
def test_several_waveforms_are_summed_as_the_reference_does(dtype):
    n = 300  # two groups
    amplitude = np.linspace(10.0, 20.0, n)
    stimulus = (
        Stimulus.step(amplitude, 1.0, 4.0)
        + Stimulus.pulse_train(3.0, 0.5, 0.2, 1.0, 4)
        + Stimulus.sine(2.0, 200.0, offset=amplitude / 10.0)
    )
    ours, expected = (
        Simulator(*backend).run(
            5.0, stimulus=stimulus, record_every=7, record_neurons=[299, 0, 128]
        )
        for backend in (("numba", dtype), ("reference",))
    )
    assert np.abs(ours.V - expected.V).max() < BOUNDS[dtype].V_5_ms


def test_parameters_dt_and_size_compile_nothing():
    Simulator("numba", "float32").run(1.0, batch_size=10)
    advance = kernels.kernel(squid, "float32").advance
    compiled = len(advance.signatures)
    for n, dt in ((1, 0.01), (17, 0.02), (1000, 0.005)):
        parameters = HHParameters(g_Na=np.linspace(100.0, 130.0, n))
        Simulator("numba", "float32", parameters).run(1.0, dt, record_all=True, spikes="counts")
        Simulator("numba", "float32").run(1.0, dt, stimulus=np.ones((round(1 / dt), n)))
    assert len(advance.signatures) == compiled


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_loops_take_the_widest_vectors_of_the_cpu(dtype):
    flags = Path("/proc/cpuinfo")
    if not flags.exists() or "avx2" not in flags.read_text():
        pytest.skip("looks for the registers of x86 with AVX2")
    register = "zmm" if "avx512f" in flags.read_text() else "ymm"
    precision = "ps" if dtype == "float32" else "pd"
    real = getattr(types, dtype)
    array = types.Array(real, 1, "C")
    signature = (array, array, real, types.int64)
    source = kernels.kernel(squid, dtype).source
    step, _, _ = kernels.compiled_step(source, np.dtype(dtype))
    step.compile(signature)
    code = step.inspect_asm(signature)
    lines = [line for line in code.splitlines() if "vfmadd" in line or "vfnmadd" in line]
    wide = [line for line in lines if register in line and f"{precision}\t" in line]
    assert len(wide) > 100


def test_a_million_neurons_take_little_memory_beside_their_recording():
    script = """
import numpy as np, psutil
from hhplug import Simulator
simulator = Simulator("numba", "float64")
simulator.run(0.02, 0.01, batch_size=10)
process = psutil.Process()
before = process.memory_info().rss
result = simulator.run(0.02, 0.01, batch_size=10**6, record=(), spikes="counts")
print(process.memory_info().rss - before - result.final_state.nbytes)
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    # The groups take 188 MB (22 rows of 272 lanes each), and temporary arrays take more.
    assert int(done.stdout) < 400e6


def test_a_new_process_finds_the_kernel_compiled():
    Simulator("numba").run(T=1.0, batch_size=10)
    assert seconds_to_first_result("numba", enough=3.0) < 3.0  # compiling takes longer


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
def test_a_simulator_works_in_a_forked_process():
    script = """
import os, signal
from hhplug import Simulator
simulator = Simulator("numba")
simulator.run(0.1, 0.01, batch_size=10_000)
child = os.fork()
if child == 0:
    signal.alarm(60)
    simulator.run(0.1, 0.01, batch_size=10_000)
    os._exit(0)
print(os.waitpid(child, 0)[1])
"""
    command = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"


def test_it_uses_the_cores_that_this_process_may_use():
    allowed = len(os.sched_getaffinity(0)) if sys.platform == "linux" else psutil.cpu_count()
    assert 1 <= choice.choose("numba").backend.threads <= allowed


def made(folder, name):
    """A function in a module of its own, whose cache Numba would keep beside it."""
    path = folder / f"{name}.py"
    path.write_text("def twice(x):\n    return 2 * x\n")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.twice


def test_the_kernels_have_a_cache_that_may_fail():
    assert type(kernels.kernel(squid, "float32").advance._cache) is compiler.OptionalCache


def test_without_a_folder_for_the_cache_a_kernel_is_compiled_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(caching.tempfile, "TemporaryFile", Mock(side_effect=PermissionError))
    twice = compiler.cached_njit("test", "0", nogil=True)(made(tmp_path, "unwritable"))
    assert twice(2) == 4
    assert not list(tmp_path.rglob("*.nb?"))


def test_a_damaged_cache_is_not_read_and_a_full_disk_is_no_obstacle(tmp_path, monkeypatch):
    function = made(tmp_path, "damaged")
    assert compiler.cached_njit("test", "0")(function)(2) == 4
    files = list(tmp_path.rglob("*.nb?"))
    assert files
    for file in files:
        file.write_bytes(b"damaged")
    assert compiler.cached_njit("test", "0")(function)(2) == 4
    monkeypatch.setattr(caching.os, "replace", Mock(side_effect=OSError(28, "no space left")))
    assert compiler.cached_njit("test", "0")(function)(2.0) == 4.0


def test_the_kernels_are_imported_where_nothing_can_be_written():
    script = """
import tempfile
def refuse(*_, **__): raise PermissionError("read-only file system")
tempfile.TemporaryFile = refuse
from hhplug.plugins import choice
print(choice.choose("numba").spec.name)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("numba\n", "")


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize("setting", ["1", "2", " 1 "])
def test_without_its_compiler_it_is_unavailable(monkeypatch, setting):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", setting)
    problem = problem_of("numba")
    assert problem.code == "jit_disabled"
    assert problem.reason.startswith(f"NUMBA_DISABLE_JIT={setting} switches off the compiler")
    assert problem.fix == "unset NUMBA_DISABLE_JIT"
    with pytest.raises(BackendUnavailable, match="jit_disabled"):
        Simulator("numba")
    assert Simulator().backend != "numba"


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize("setting", ["0", "", "no"])  # Numba ignores what is no number
def test_a_setting_that_leaves_the_compiler_on_is_no_obstacle(monkeypatch, setting):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", setting)
    assert listed("numba").unavailable is None


def test_a_compiler_that_a_file_switches_off_is_reported_when_the_backend_is_opened():
    script = """
import numba
numba.config.DISABLE_JIT = 1  # as Numba takes it from the file .numba_config.yaml
from hhplug.plugins import choice
choice.choose("numba")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "BackendUnavailable: backend 'numba' cannot run here: [jit_disabled] " in done.stderr


def test_no_two_kernels_have_a_function_of_one_name():
    # The linker would take either, where both come from files that two processes have compiled.
    both = [kernels.kernel(squid, "float32", method) for method in ("rk4", "stiff")]
    names = [
        {cell.cell_contents.py_func.__qualname__ for cell in k.advance.py_func.__closure__
         if hasattr(cell.cell_contents, "py_func")}
        for k in both
    ]  # fmt: skip
    assert all("advance_group" in "".join(found) for found in names)
    assert not names[0] & names[1]
