"""Tests of hh.cu without a GPU: it is compiled as C++ and run on the CPU, and compiled by nvcc."""

import ctypes
import itertools
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from rates import RATE_BOUND, awkward_voltages, worst_rate_error

from hhplug import HHParameters, Problem, Simulator, Stimulus
from hhplug.membranes import squid
from hhplug.membranes.derived import derived_parameters
from hhplug.testing.accuracy import BOUNDS
from hhplug_pycuda.layout import CONSTANTS, PARAMETER_ROWS, block_type

SHIM = Path(__file__).with_name("hh_on_cpu.cpp")
SOURCE = Path(__file__).parents[3] / "plugins/hhplug-pycuda/src/hhplug_pycuda/hh.cu"
DTYPES = ("float32", "float64")
SIZES = (1, 31, 32, 33, 255, 257, 1000)

needs_nvcc = pytest.mark.skipif(not shutil.which("nvcc"), reason="no nvcc on this machine")


def choices(dtype, record=1, array=0, latency=0, unroll=1, threads=64):
    return [
        f"-DREAL64={int(dtype == 'float64')}",
        f"-DRECORD={record}",
        f"-DARRAY={array}",
        f"-DLATENCY={latency}",
        f"-DUNROLL={unroll}",
        f"-DTHREADS={threads}",
    ]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """The kernel as a shared library, by dtype and whether the current is an array."""
    libraries = {}

    def library(dtype, array=0, latency=0):
        key = dtype, array, latency
        if key not in libraries:
            target = tmp_path_factory.mktemp("hh") / "hh.so"
            flags = "-std=c++17 -O2 -march=native -ffp-contract=off -shared -fPIC -Wall -Werror"
            quiet = "-Wno-unknown-pragmas -Wno-unused-function -Wno-unused-variable"
            defined = choices(dtype, array=array, latency=latency)
            command = ["g++", *flags.split(), *quiet.split(), f"-I{SOURCE.parent}", *defined]
            subprocess.run([*command, str(SHIM), "-o", str(target)], check=True)
            libraries[key] = ctypes.CDLL(str(target))
        return libraries[key]

    return library


class Run:
    """A block of steps on the CPU, from the resting state, with its arrays."""

    def __init__(
        self, library, dtype, parameters, waveform=None, gain=None, array=None, room=10**5
    ):
        n = parameters.shape[1]
        steps = len(array if array is not None else waveform)
        rest = squid.equations.settled(-65.0, squid.equations.defaults)
        self.state = np.repeat(rest[:, np.newaxis], n, axis=1).astype(dtype)
        self.samples = np.full((4, steps, n), np.nan, dtype)
        self.count, self.total = np.zeros(n, np.int32), np.zeros(1, np.uint32)
        self.neuron, self.step = np.zeros((2, room), np.int32)
        self.fraction = np.zeros(room, dtype)
        kept = [np.ascontiguousarray(parameters, dtype), np.array(CONSTANTS, dtype)]
        b = np.zeros((), block_type(np.dtype(dtype)))
        b["N"], b["steps"], b["dt"] = n, steps, 0.01
        b["state"], b["parameters"] = self.state.ctypes.data, kept[0].ctypes.data
        b["constants"], b["per_neuron"] = kept[1].ctypes.data, 1
        if array is not None:
            kept.append(np.ascontiguousarray(array, dtype))
            b["current"]["array"] = kept[-1].ctypes.data
            b["current"]["array_per_neuron"] = 1
        else:
            kept += [np.ascontiguousarray(gain, dtype), np.ascontiguousarray(waveform, dtype)]
            b["current"]["gain"], b["current"]["waveform"] = (a.ctypes.data for a in kept[-2:])
            b["current"]["J"], b["current"]["gain_per_neuron"] = len(gain), 1
        b["samples"]["variable"] = [a.ctypes.data for a in self.samples]
        b["samples"]["columns"], b["samples"]["every"] = n, 1
        for name in ("count", "total", "neuron", "step", "fraction"):
            b["spikes"][name] = getattr(self, name).ctypes.data
        b["spikes"]["room"] = room
        library.run_population(b.reshape(1).ctypes.data_as(ctypes.c_void_p))


def rows(n, **changed):
    """Parameters as the kernel takes them: (7, n)."""
    derived = derived_parameters(Problem(1.0, parameters=HHParameters(**changed)).parameters)
    return np.stack([np.broadcast_to(derived[name], n) for name in PARAMETER_ROWS])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("latency", [0, 1])
def test_rates_are_within_bounds(compiled, dtype, latency):
    V = awkward_voltages(dtype)
    ours, constants = np.empty((6, len(V)), dtype), np.array(CONSTANTS, dtype)
    compiled(dtype, latency=latency).rates_of_all(
        ctypes.c_longlong(len(V)),
        *(a.ctypes.data_as(ctypes.c_void_p) for a in (constants, V, ours)),
    )
    assert worst_rate_error(V, ours) < RATE_BOUND[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("as_array", [0, 1])
def test_the_kernel_agrees_with_the_reference(compiled, dtype, n, as_array):
    C_m, g_Na = np.linspace(0.9, 1.1, n), np.linspace(115.0, 125.0, n)
    amplitude = np.linspace(7.0, 20.0, n)
    stimulus = Stimulus.step(amplitude, 1.0, 6.0) + Stimulus.sine(amplitude, 50.0)
    expected = Simulator("reference", parameters=HHParameters(C_m=C_m, g_Na=g_Na)).run(
        8.0, stimulus=stimulus, record_all=True
    )
    if as_array:
        current = {"array": stimulus.sample(0.01, 800).reshape(800, n)}
    else:
        separable = expected.problem.current
        current = {"gain": separable.gain / C_m, "waveform": separable.waveform(0, 800)}
    run = Run(compiled(dtype, as_array), dtype, rows(n, C_m=C_m, g_Na=g_Na), **current)
    for name, ours in zip("Vmhn", run.samples, strict=True):
        assert np.abs(ours - expected[name]).max() < BOUNDS[dtype].V_50_ms, name
    np.testing.assert_array_equal(run.count, expected.spike_count)
    total = int(run.total[0])
    assert total == expected.spike_count.sum() > 0
    order = np.lexsort([run.step[:total], run.neuron[:total]])
    np.testing.assert_array_equal(run.neuron[order], expected.spikes.neuron)
    time = (run.step + run.fraction.astype(np.float64))[order] * 0.01
    assert np.abs(time - expected.spikes.time).max() < BOUNDS[dtype].spike_time


def test_spikes_without_room_are_counted_and_nothing_is_overwritten(compiled):
    run = Run(
        compiled("float32"), "float32", rows(9), np.ones((800, 1)), np.full((1, 9), 20.0), room=5
    )
    assert run.total[0] == run.count.sum() == 9
    assert (run.step > 0).all()


@needs_nvcc
@pytest.mark.parametrize("target", ["sm_75", "sm_80", "sm_90", "compute_120"])
def test_nvcc_compiles_it_without_a_warning(tmp_path, target):
    kind = "-ptx" if target.startswith("compute") else "-cubin"
    for dtype, record, array, latency in itertools.product(DTYPES, (0, 1), (0, 1), (0, 1)):
        subprocess.run(
            ["nvcc", kind, f"-arch={target}", "-fmad=false", "-Werror", "all-warnings",
             *choices(dtype, record, array, latency), str(SOURCE), "-o", str(tmp_path / "hh")],
            check=True,
        )  # fmt: skip


@needs_nvcc
def test_the_float32_kernel_holds_no_double(tmp_path):
    target = tmp_path / "hh.ptx"
    for record, array, latency in itertools.product((0, 1), (0, 1), (0, 1)):
        subprocess.run(
            ["nvcc", "-ptx", "-arch=sm_90", "-fmad=false",
             *choices("float32", record, array, latency), str(SOURCE), "-o", str(target)],
            check=True,
        )  # fmt: skip
        assert not re.search(r"\.f64", target.read_text())
