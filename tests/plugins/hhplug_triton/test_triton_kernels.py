"""Tests of the kernels without a GPU: they run in Triton's interpreter, and are compiled."""

import itertools
import re
from collections import defaultdict
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
import triton_cases
from noise_cases import assert_process_of_the_core
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton_cases import DTYPES, RUNS, SMALL, WITH_POWER

from hhplug import Problem, Stimulus, load_result
from hhplug.crossings import NEWTON_STEPS
from hhplug.device import KeptMemory
from hhplug.features.definitions import FEATURES
from hhplug.features.sums import FeatureSums
from hhplug.lowering.lower import lower
from hhplug.membranes import squid
from hhplug.problem import SPIKE_MODES
from hhplug.testing.accuracy import BOUNDS
from hhplug_triton import backend, kernels
from hhplug_triton.probe import interpreted
from hhplug_triton.torch_device import torch_device

HH = kernels.hh
OTHER_REAL = {"float32": "f64", "float64": "f32"}

needs_compiler = pytest.mark.skipif(
    interpreted(), reason="TRITON_INTERPRET=1 leaves nothing to compile"
)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", RUNS)
def test_plain_triton_agrees_with_the_reference(interpreter, name, dtype):
    ours = load_result(interpreter / f"{name}-{dtype}.npz")
    expected = triton_cases.run(name, "reference")
    assert ours.dtype == dtype
    bound = BOUNDS[dtype].V_5_ms / 100.0  # of the size of V, which is about 100 mV
    for variable, samples in expected.samples.items():
        assert np.abs(ours[variable] - samples).max() < bound * np.abs(samples).max()
    size = np.abs(expected.final_state).max(axis=1, keepdims=True)
    assert (np.abs(ours.final_state - expected.final_state) < bound * size).all()
    np.testing.assert_array_equal(ours.spike_count, expected.spike_count)
    np.testing.assert_array_equal(ours.spikes.neuron, expected.spikes.neuron)
    assert np.abs(ours.spikes.time - expected.spikes.time).max() < BOUNDS[dtype].spike_time


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_noise_is_the_core_s_bit_for_bit(interpreter, dtype):
    ours = load_result(interpreter / f"noise-{dtype}.npz")
    assert ours.noise_from == "backend"
    assert_process_of_the_core(ours, ours.problem)
    expected = triton_cases.noisy_run("reference")
    assert np.abs(ours.V - expected.V).max() < BOUNDS[dtype].V_5_ms


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_features_are_the_core_s_bit_for_bit(interpreter, dtype):
    ours = load_result(interpreter / f"features-{dtype}.npz")
    problem = ours.problem
    core = FeatureSums(
        problem.features, problem.window_steps, triton_cases.N, problem.spike_threshold, problem.dt
    )
    core.samples(problem.start_step, ours.V)
    step = np.floor(ours.spikes.time / problem.dt + 1e-9).astype(int)
    core.spikes([(ours.spikes.neuron, step, ours.spikes.time / problem.dt - step)])
    expected = core.values(problem.end_step, np.ones(triton_cases.N, bool))
    assert np.isfinite(expected["isi_cv"]).any()
    assert np.isfinite(expected["ahp_depth"]).any()
    for name, values in expected.items():
        # The spikes of a result have times, whose fractions of a step are rounded.
        bound = 1e-12 if FEATURES[name].group == "spikes" else 0.0
        np.testing.assert_allclose(ours.features[name], values, bound, bound, err_msg=name)


@needs_compiler
def test_features_are_compiled_with_their_own_instructions_for_crossings(compiler):
    compiled = compiler(nvidia(90), fast=True, unroll=1)
    prepared(features=tuple(FEATURES), record=(), spikes="counts")
    (kernel,) = compiled.kernels
    ptx = kernel.asm["ptx"]
    assert count("SUMMED_CROSSING:", ptx) == count("SUMMED_SPIKE:", ptx) == 1
    assert not count(r"\batom\.", ptx)
    # Each would make Triton search the whole kernel, which took a minute.
    assert not count(r"\btt\.(load|store) .*\btensor<", kernel.asm["ttir"])
    # No multiply-add but those of the source.
    assert count(r"\bfma\.", ptx) == count(r"\bmath\.fma\b|\bfma\.rn\.", kernel.asm["ttir"])


@pytest.mark.parametrize("dtype", DTYPES)
def test_runs_in_two_threads_at_once_equal_a_run_alone(interpreter, dtype):
    alone = load_result(interpreter / f"waves-{dtype}.npz")
    for turn in range(triton_cases.TURNS):
        together = load_result(interpreter / f"waves-{dtype}-{turn}.npz")
        np.testing.assert_array_equal(together.V, alone.V)


def test_a_backend_chosen_by_name_runs_in_the_interpreter(interpreter):
    result = load_result(interpreter / "waves-float32.npz")
    assert result.backend == "triton"
    assert result.device.startswith("Triton's interpreter on ")


class Compiler:
    """A replacement of the kernel and Triton's driver that compiles each launch and runs none."""

    def __init__(self, target):
        self._target = target
        self.kernels = []  # one for each variant

    def get_current_target(self):
        return self._target

    def get_current_device(self):
        return 0

    def get_current_stream(self, _device):
        return 0

    def __getitem__(self, grid):
        return partial(self._compile, grid=grid)

    def _compile(self, **arguments):
        kernel = HH.warmup(**arguments)
        if kernel not in self.kernels:
            self.kernels.append(kernel)


@pytest.fixture(scope="module")
def cache_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("triton")


@pytest.fixture
def compiler(monkeypatch, cache_folder):
    """Compile for a target from now on, with `unroll` steps in the loop's body."""

    def use(target, fast, unroll=None):
        made = Compiler(target)
        monkeypatch.setattr(driver, "_active", made)
        monkeypatch.setattr(kernels, "hh", made)
        monkeypatch.setattr(backend, "is_nvidia", lambda _: fast)
        monkeypatch.setattr(HH, "device_caches", defaultdict(HH.create_binder))
        monkeypatch.setattr(torch_device(torch.device("cpu")), "compiled", set())
        for dtype, shape in backend.SHAPE_OF_FEW.items():
            changed = replace(shape, unroll=unroll or shape.unroll)
            monkeypatch.setitem(backend.SHAPE_OF_FEW, dtype, changed)
        return made

    monkeypatch.setenv("TRITON_CACHE_DIR", str(cache_folder))
    return use


def nvidia(capability):
    return GPUTarget("cuda", capability, 32)


def prepared(T=1.0, dt=0.01, **arguments):
    """A session for blocks of up to 50 steps; of a small membrane, which is compiled fast."""
    problem = Problem(T, dt, **{"dtype": "float32", "membrane": SMALL} | arguments)
    problem = problem.for_backend(noise=True)
    memory = KeptMemory(torch_device(torch.device("cpu")))
    return backend.session(memory, problem, 50)


def reciprocals(membrane, dtype):
    """Return the number of reciprocals in a step."""
    return sum(op.kind == "rcp" for op in lower(membrane, f"gpu-{dtype}").ops)


def count(pattern, text):
    return len(re.findall(pattern, text))


CURRENTS = {
    "waveform": Stimulus.sine(3.0, 50.0),  # held in some blocks, not in others: two kernels
    "array": np.ones((100, 17)),
}
RECORDINGS = (
    {"record": ()},
    {"record": ("V",)},
    {"record": ("V",), "record_neurons": [3, 1]},
    {"record_all": True},
    {"record": ("n", "Ca"), "record_neurons": [0]},
)
# Recordings and architectures alternate, because all combinations would take minutes.
CHOICES = [
    (*choice, recording, capability)
    for choice, recording, capability in zip(
        itertools.product(DTYPES, (True, False), CURRENTS, SPIKE_MODES),
        itertools.cycle(RECORDINGS),
        itertools.cycle((80, 90)),
        strict=False,
    )
]


@needs_compiler
@pytest.mark.parametrize(("dtype", "fast", "current", "spikes", "recording", "capability"), CHOICES)
def test_every_variant_compiles_to_the_expected_instructions(
    compiler, dtype, fast, current, spikes, recording, capability
):
    compiled = compiler(nvidia(capability), fast, unroll=1)
    arguments = {"stimulus": CURRENTS[current], "batch_size": 17, "spikes": spikes}
    prepared(dtype=dtype, **arguments, **recording)
    assert len(compiled.kernels) == (1 if current == "array" else 2)
    for kernel in compiled.kernels:
        ptx = kernel.asm["ptx"]
        assert f".target sm_{capability}" in ptx
        assert kernel.asm["cubin"]
        assert not count(rf"\.{OTHER_REAL[dtype]}\b", ptx)
        # Spike times need an atomic addition, a division before Newton's steps and one in each,
        # which are a loop in the instructions for NVIDIA.
        times = int(spikes == "times")
        divisions = times * (1 + (1 if fast else NEWTON_STEPS))
        expected = reciprocals(SMALL, dtype)
        assert count(r"\brcp\.approx\.ftz\.", ptx) == (expected if fast else 0)
        assert count(r"\bdiv\.", ptx) == divisions + (0 if fast else expected)
        assert count(r"\batom\.", ptx) == times
        # Triton would search the kernel for each of them, and take minutes for a long step.
        assert bool(count(r"\btt\.(load|store) .*\btensor<", kernel.asm["ttir"])) != fast
        # Two literals in an instruction would cost another one in each step.
        assert not count(r"fma\.rn\.f32 [^;]*, 0f\w+, 0f\w+;", ptx)
        # No multiply-add but those of the source, in what LLVM makes and in what ptxas makes.
        written = count(r"\bmath\.fma\b|\bfma\.rn\.", kernel.asm["ttir"])
        assert count(r"\bfma\.", ptx) == written
        assert kernel.metadata.enable_fp_fusion is False


@needs_compiler
@pytest.mark.parametrize("dtype", DTYPES)
def test_noise_is_compiled_in_one_precision_and_nothing_of_it_is_fused(compiler, dtype):
    compiled = compiler(nvidia(90), fast=True, unroll=1)
    assert prepared(dtype=dtype, stimulus=Stimulus.white_noise(1.0, seed=1), record=()).noise
    (kernel,) = compiled.kernels
    ptx = kernel.asm["ptx"]
    assert count(r"\bfma\.", ptx) == count(r"\bmath\.fma\b|\bfma\.rn\.", kernel.asm["ttir"])
    assert bool(count(r"\.f64\b", ptx)) == (dtype == "float64")


@needs_compiler
@pytest.mark.parametrize("dtype", DTYPES)
def test_each_step_of_the_loop_stores_spikes_in_one_place(compiler, dtype):
    compiled = compiler(nvidia(90), fast=True)
    prepared(dtype=dtype, membrane=squid)
    (kernel,) = compiled.kernels
    # The loop's body, and one step for those that are left over.
    steps = backend.SHAPE_OF_FEW[dtype].unroll + 1
    assert count(r"\batom\.", kernel.asm["ptx"]) == steps
    assert count(r"\brcp\.", kernel.asm["ptx"]) == steps * reciprocals(squid, dtype)


@needs_compiler
def test_numbers_of_float64_are_compiled_in_float64(compiler):
    compiled = compiler(nvidia(90), fast=True, unroll=1)
    prepared(dtype="float64", stimulus=CURRENTS["array"])
    (kernel,) = compiled.kernels
    constants = re.findall(r"dense<(-?\d+\.\S+)> : tensor<\d+xf64>", kernel.asm["ttir"])
    operands = itertools.chain(*(op.args for op in lower(SMALL, "gpu-float64").ops))
    assert {x for x in operands if isinstance(x, float)} <= set(map(float, constants))


@needs_compiler
@pytest.mark.parametrize("dtype", DTYPES)
def test_it_compiles_for_the_newest_nvidia_gpus(compiler, dtype):
    compiled = compiler(nvidia(120), fast=True, unroll=1)
    prepared(dtype=dtype, stimulus=CURRENTS["array"], record_all=True, membrane=WITH_POWER)
    (kernel,) = compiled.kernels
    assert ".target sm_120" in kernel.asm["ptx"]
    assert kernel.asm["cubin"]


@needs_compiler
@pytest.mark.parametrize("dtype", DTYPES)
def test_it_compiles_for_amd_gpus(compiler, dtype):
    compiled = compiler(GPUTarget("hip", "gfx942", 64), fast=False, unroll=1)
    prepared(dtype=dtype, stimulus=CURRENTS["waveform"], record_all=True, membrane=WITH_POWER)
    assert len(compiled.kernels) == 2
    for kernel in compiled.kernels:
        assert kernel.asm["hsaco"]
        assert not count(rf"_{OTHER_REAL[dtype]}\b", kernel.asm["amdgcn"])


@needs_compiler
def test_sizes_values_and_selections_do_not_recompile(compiler):
    compiled = compiler(nvidia(90), fast=True, unroll=1)
    wave = Stimulus.sine(3.0, 50.0)
    prepared(stimulus=wave)
    assert len(compiled.kernels) == 2
    prepared(stimulus=wave + Stimulus.sine(np.ones(2), 20.0))
    assert len(compiled.kernels) == 3  # a sum of waveforms is another variant
    for n in (1, 16, 17, 1000):
        ones = np.ones(n)
        for changed in (
            {"stimulus": wave, "dt": 0.02, "record_every": 16},
            {"stimulus": wave, "spike_threshold": 1.0, "start_step": 7},
            {"stimulus": wave + Stimulus.sine(ones, 20.0), "T": 16.0},
            {"stimulus": wave, "parameters": {"g_K": 36.0 * ones}},
            {"stimulus": wave, "record": ("n", "Ca"), "record_neurons": [n - 1]},
        ):
            session = prepared(batch_size=n, **changed)
            for n_steps in (1, 16, 50):
                session.advance(n_steps)
    assert len(compiled.kernels) == 3
    prepared(dtype="float64", stimulus=np.ones(100))
    assert len(compiled.kernels) == 4


@needs_compiler
def test_a_kernel_is_launched_only_once_to_compile_it(compiler, monkeypatch):
    compiler(nvidia(90), fast=True, unroll=1)
    monkeypatch.setattr(HH, "warmup", lambda **_: None)  # what is compiled is no matter here
    launched, launch = [], backend.TritonSession.launch
    monkeypatch.setattr(
        backend.TritonSession, "launch", lambda *of: (launched.append(of), launch(*of))
    )
    wave = Stimulus.sine(3.0, 50.0)
    for times, arguments in [
        (2, {"stimulus": wave}),  # held, or not
        (0, {"stimulus": wave, "batch_size": 7, "record": ("Ca", "n")}),
        (0, {"stimulus": Stimulus.constant(3.0)}),
        (1, {"stimulus": wave + Stimulus.sine(np.ones(2), 20.0)}),
        (1, {"stimulus": np.ones(100)}),
        (2, {"stimulus": wave, "record": ()}),
        (2, {"stimulus": wave, "spikes": "off"}),
        (2, {"stimulus": wave, "dtype": "float64"}),
        (2, {"stimulus": wave, "batch_size": backend.FEW}),
        (2, {"stimulus": wave, "membrane": WITH_POWER}),
    ]:
        launched.clear()
        prepared(**arguments)
        assert len(launched) == times


@needs_compiler
def test_addresses_of_samples_and_current_do_not_recompile(compiler):
    compiled = compiler(nvidia(90), fast=True, unroll=1)
    session = prepared(stimulus=np.ones((100, 17)), device_arrays=True)
    work = session.work(1, session.slots[0], first_sample=0, held=False)
    # A later block's samples begin on any row, the current of a replay likewise.
    later = {name: array[17:] for name, array in work.samples.items()}
    session.launch(replace(work, samples=later, current=work.current[17:]))
    assert len(compiled.kernels) == 1
