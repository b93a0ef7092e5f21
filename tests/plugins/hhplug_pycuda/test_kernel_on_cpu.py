"""Tests of the kernel without a GPU: it is compiled as C++ and run on the CPU, and by nvcc."""

import ctypes
import itertools
import re
import shutil
import subprocess

import numpy as np
import pytest
from launched import awkward_voltages, block, worst_rate_error
from on_host import built
from trial_membranes import MEMBRANES, SINGULAR, SWITCHED

from hhplug.crossings import crossing
from hhplug.reference import rk4_step
from hhplug.stiff import stiff_step
from hhplug.testing.accuracy import BOUNDS
from hhplug.validity import STABILITY_LIMIT
from hhplug_pycuda.layout import ARRAY, HELD, WAVEFORM, WAVEFORMS
from hhplug_pycuda.source import equations, source

DTYPES = ("float32", "float64")
SIZES = (1, 31, 32, 33, 255, 257, 1000)
DT, N_STEPS = 0.01, 800  # ms; 8 ms

needs_nvcc = pytest.mark.skipif(not shutil.which("nvcc"), reason="no nvcc on this machine")


def choices(
    dtype, record=1, current=WAVEFORMS, latency=0, unroll=1, threads=64, noise=0, features=0
):
    return [
        f"-DREAL64={int(dtype == 'float64')}",
        f"-DRECORD={record}",
        f"-DCURRENT={current}",
        f"-DLATENCY={latency}",
        f"-DUNROLL={unroll}",
        f"-DTHREADS={threads}",
        f"-DBLOCKS={latency}",
        f"-DNOISE={noise}",
        f"-DFEATURES={features}",
    ]


@pytest.fixture(scope="module")
def compiled():
    """The kernel as a shared library, by membrane, dtype and other choices."""
    libraries = {}

    def library(membrane, dtype, current=WAVEFORMS, latency=0, method="rk4"):
        key = membrane, dtype, current, latency, method
        if key not in libraries:
            defined = choices(dtype, current=current, latency=latency)
            libraries[key] = built(source(membrane, dtype, method), defined)
        return libraries[key]

    return library


def spread(membrane, n):
    """Parameters that differ from neuron to neuron by up to 2 %."""
    rng = np.random.default_rng(n)
    usual = membrane.equations.defaults
    return {name: value * rng.uniform(0.98, 1.02, n) for name, value in usual.items()}


def settled(membrane, parameters, V=-65.0):
    return np.atleast_2d(membrane.equations.settled(np.atleast_1d(V), parameters))


def and_a_row(current, dtype):
    """The current and a row more, which the kernel reads and doesn't use."""
    return np.vstack([current, np.full((1, current.shape[1]), np.nan)]).astype(dtype)


class Run:
    """A run of a membrane on the CPU in blocks of steps, with its arrays."""

    def __init__(self, membrane, dtype, parameters, state, room=10**5, method="rk4"):
        self.equations = equations(membrane, dtype, method)
        self.parameters, self._kept = parameters, []
        program, n = self.equations.program, state.shape[1]
        self.state = np.array(state, dtype)
        self.count, self.total = np.zeros(n, np.int32), np.zeros(1, np.uint32)
        self.neuron, self.step, self.ordinal = np.zeros((3, room), np.int32)
        self.fraction = np.zeros(room, dtype)
        self.any_invalid, self.first_invalid = np.zeros(1, np.int32), np.zeros(n, np.int32)
        self.rows = np.stack(list(program.row_values(parameters, DT).values()))
        self.scalars = list(program.scalar_values(DT).values())
        self.room = room

    def put(self, array):
        self._kept.append(array)
        return array.ctypes.data

    def advance(self, library, waveform=None, gain=None, array=None):
        """The states before each step of a block, by name."""
        program, dtype = self.equations.program, self.state.dtype
        steps, n = len(array if array is not None else waveform), self.state.shape[1]
        b = block(self.equations, self.put, self.state, self.rows, self.scalars, steps)
        b["state"] = self.state.ctypes.data
        if array is not None:
            b["current"]["array"] = self.put(and_a_row(array, dtype))
            b["current"]["array_per_neuron"] = 1
        else:
            over_C_m = gain / self.parameters["C_m"]
            b["current"]["gain"] = self.put(np.ascontiguousarray(over_C_m, dtype))
            b["current"]["waveform"] = self.put(and_a_row(waveform, dtype))
            b["current"]["J"], b["current"]["gain_per_neuron"] = len(gain), 1
        samples = np.full((len(program.states), steps, n), np.nan, dtype)
        b["samples"]["state"] = [a.ctypes.data for a in samples]
        b["samples"]["columns"], b["samples"]["every"] = n, 1
        for name in ("count", "total", "neuron", "step", "fraction", "ordinal"):
            b["spikes"][name] = getattr(self, name).ctypes.data
        b["spikes"]["room"], b["spikes"]["threshold"] = self.room, 0.0
        b["spikes"]["per_step"] = program.per_step(DT)
        b["validity"]["any"] = self.any_invalid.ctypes.data
        b["validity"]["first"] = self.first_invalid.ctypes.data
        library.run_population(b.reshape(1).ctypes.data_as(ctypes.c_void_p))
        return samples


def described(membrane, parameters, state, I_ext, step=rk4_step):
    """A run by the description in float64.

    Returns the states before each step and after the last, (states, k + 1, n), and dV/dt at the
    start and the end of each step, (k, n) each.
    """
    y, kept, begins, ends = state, [state], [], []
    for now in I_ext:
        y, slopes = step(membrane.equations, y, now, DT, parameters)
        kept.append(y)
        begins.append(slopes[0])
        ends.append(slopes[-1])
    return np.stack(kept, axis=1), np.stack(begins), np.stack(ends)


def crossings(V, begins, ends):
    """Neuron, and time in steps, of the upward crossings of 0 mV, by the order of neurons."""
    neuron, step = np.nonzero(((V[:-1] < 0.0) & (V[1:] >= 0.0)).T)
    rise, change = -V[step, neuron], V[step + 1, neuron] - V[step, neuron]
    slopes = (slope[step, neuron] * DT for slope in (begins, ends))
    return neuron, step + crossing(rise, change, *slopes)


def on_cpu(library):
    def launch(b):
        library.run_population(b.reshape(1).ctypes.data_as(ctypes.c_void_p))

    return launch


@pytest.mark.parametrize("name", MEMBRANES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_rates_are_within_bounds(compiled, name, dtype):
    membrane, kept = MEMBRANES[name], {}
    library = compiled(membrane, dtype)
    ours = equations(membrane, dtype)

    def put(array):
        kept[array.ctypes.data] = array
        return array.ctypes.data

    def launch(b):
        on_cpu(library)(b)
        return kept[int(b["state"])]

    V = awkward_voltages(SINGULAR[name], dtype)
    worst = worst_rate_error(membrane, ours, put, launch, V)
    print(f"worst rate error of {name}, {dtype}: {worst:.1e}")
    assert worst < BOUNDS[dtype].rate


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("name", "n", "form"),
    [
        *(("squid", n, form) for n in SIZES for form in (WAVEFORMS, ARRAY)),
        *((name, 33, WAVEFORMS) for name in MEMBRANES if name != "squid"),
    ],
)
def test_the_kernel_agrees_with_the_description(compiled, name, dtype, n, form):
    membrane = MEMBRANES[name]
    parameters = spread(membrane, n)
    state = np.broadcast_to(settled(membrane, parameters), (len(membrane.states), n))
    t = np.arange(N_STEPS) * DT
    waveform = np.stack([(t >= 1.0) & (t < 6.0), np.sin(2 * np.pi * 0.05 * t)], axis=1)
    gain = np.linspace([7.0, 7.0], [20.0, 20.0], n).T
    I_ext = waveform @ gain
    expected, *slopes = described(membrane, parameters, state, I_ext)
    run = Run(membrane, dtype, parameters, state)
    current = {"array": I_ext} if form == ARRAY else {"waveform": waveform, "gain": gain}
    samples = run.advance(compiled(membrane, dtype, form), **current)
    for state_name, ours, theirs in zip(membrane.states, samples, expected, strict=True):
        assert np.abs(ours - theirs[:-1]).max() < BOUNDS[dtype].V_50_ms, state_name
    assert np.abs(run.state - expected[:, -1]).max() < BOUNDS[dtype].V_50_ms
    neuron, time = crossings(expected[0], *slopes)
    np.testing.assert_array_equal(run.count, np.bincount(neuron, minlength=n))
    total = int(run.total[0])
    assert total == len(neuron) > 0
    order = np.lexsort([run.step[:total], run.neuron[:total]])
    np.testing.assert_array_equal(run.neuron[order], neuron)
    before = np.arange(total) - np.searchsorted(neuron, neuron)
    np.testing.assert_array_equal(run.ordinal[order], before)
    ours = (run.step + run.fraction.astype(np.float64))[order]
    assert np.abs(ours - time).max() * DT < BOUNDS[dtype].spike_time


@pytest.mark.parametrize("name", MEMBRANES)
def test_a_cut_the_form_of_the_current_and_the_form_for_few_neurons_change_no_bit(compiled, name):
    membrane, n = MEMBRANES[name], 9
    parameters = spread(membrane, n)
    state = np.broadcast_to(settled(membrane, parameters, -50.0), (len(membrane.states), n))
    waveform, gain = np.ones((300, 1)), np.full((1, n), 12.0)
    whole, cut, few = (Run(membrane, "float32", parameters, state) for _ in range(3))
    samples = whole.advance(compiled(membrane, "float32"), waveform, gain)
    parts = [cut.advance(compiled(membrane, "float32"), waveform[:k], gain) for k in (101, 199)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), samples)
    few.advance(compiled(membrane, "float32", latency=1), waveform, gain)
    np.testing.assert_array_equal(few.state, whole.state)


def test_one_waveform_and_a_held_one_are_computed_as_a_sum_of_waveforms_is(compiled):
    membrane, n = MEMBRANES["squid"], 9
    parameters = spread(membrane, n)
    state = np.broadcast_to(settled(membrane, parameters, -50.0), (len(membrane.states), n))
    gain, changing, held = np.full((1, n), 12.0), np.sin(np.arange(300.0))[:, np.newaxis], [[1.0]]
    for form, waveform in ((WAVEFORM, changing), (HELD, np.repeat(held, 300, axis=0))):
        general, special = (Run(membrane, "float32", parameters, state) for _ in range(2))
        samples = general.advance(compiled(membrane, "float32"), waveform, gain)
        np.testing.assert_array_equal(
            special.advance(compiled(membrane, "float32", form), waveform, gain), samples
        )


@pytest.mark.parametrize("dtype", DTYPES)
def test_exponentials_beyond_the_range_of_floats_are_0_or_large(compiled, dtype):
    n, usual = 9, SWITCHED.equations.defaults
    parameters, gain = dict(usual) | {"C_m": np.ones(n)}, np.zeros((1, n))
    with np.errstate(over="ignore"):
        state = settled(SWITCHED, usual, np.linspace(-110.0, 250.0, n))
        expected, *_ = described(SWITCHED, parameters, state, np.zeros((50, 1)))
    run = Run(SWITCHED, dtype, parameters, state)
    run.advance(compiled(SWITCHED, dtype), np.ones((50, 1)), gain)
    assert np.abs(run.state - expected[:, -1]).max() < BOUNDS[dtype].V_50_ms


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", MEMBRANES)
def test_the_first_invalid_step_is_that_of_the_description(compiled, name, dtype):
    membrane, n = MEMBRANES[name], 17
    parameters = spread(membrane, n)
    for conductance in (p for p in parameters if p.startswith("g_")):
        parameters[conductance] = parameters[conductance] * np.geomspace(1.0, 60.0, n)
    state = np.broadcast_to(settled(membrane, parameters), (len(membrane.states), n)).copy()
    state[0, 3] = np.inf
    gain = np.full((1, n), 20.0)
    with np.errstate(all="ignore"):
        states, *_ = described(membrane, parameters, state, np.full((N_STEPS, 1), 20.0))
        open_ = np.stack(
            [membrane.equations.open_conductance(states[:, k], parameters) for k in range(N_STEPS)]
        )
        stable = open_ * DT / parameters["C_m"] <= STABILITY_LIMIT
    stable &= np.isfinite(states[:, :-1]).all(axis=0)
    expected = np.where(stable.all(axis=0), 0, np.argmin(stable, axis=0) + 1)
    assert expected[3] == 1
    assert 1 < (expected == 0).sum() < n
    run = Run(membrane, dtype, parameters, state)
    run.advance(compiled(membrane, dtype), np.ones((N_STEPS, 1)), gain)
    assert run.any_invalid[0] == 1
    # Near the limit V swings, and rounding in float32 decides which swing passes it.
    assert np.abs(run.first_invalid - expected).max() <= (5 if dtype == "float32" else 0)


@pytest.mark.parametrize(("name", "dtype"), [("squid", "float32"), ("WB", "float64")])
def test_the_stiff_method_is_that_of_the_description(compiled, name, dtype):
    membrane, n = MEMBRANES[name], 9
    parameters = spread(membrane, n)
    state = np.broadcast_to(settled(membrane, parameters), (len(membrane.states), n)).copy()
    waveform = np.where(np.arange(N_STEPS) % 50 < 25, 1.0, 0.5)[:, np.newaxis]
    current = np.linspace(10.0, 30.0, n)
    states, *slopes = described(membrane, parameters, state, waveform * current, stiff_step)
    run = Run(membrane, dtype, parameters, state, method="stiff")
    samples = run.advance(compiled(membrane, dtype, method="stiff"), waveform, current[np.newaxis])
    error = np.abs(samples - states[:, :-1])
    assert error.max() < BOUNDS[dtype].V_5_ms
    neuron, time = crossings(states[0], *slopes)
    found = run.total[0]
    order = np.lexsort([run.step[:found], run.neuron[:found]])
    np.testing.assert_array_equal(run.neuron[:found][order], neuron)
    late = (run.step[:found] + run.fraction[:found])[order] - time
    assert found >= n
    assert np.abs(late).max() * DT < BOUNDS[dtype].spike_time
    assert run.any_invalid[0] == 0


def test_of_the_stiff_method_only_states_that_are_not_finite_are_invalid(compiled):
    membrane, n, dtype = MEMBRANES["squid"], 17, "float32"
    parameters = spread(membrane, n)
    parameters["g_Na"] = parameters["g_Na"] * np.geomspace(1.0, 60.0, n)
    state = np.broadcast_to(settled(membrane, parameters), (len(membrane.states), n)).copy()
    state[0, 3], state[2, 5], state[1, 7] = np.inf, np.nan, -np.inf
    run = Run(membrane, dtype, parameters, state, method="stiff")
    run.advance(compiled(membrane, dtype, method="stiff"), np.ones((50, 1)), np.full((1, n), 20.0))
    assert run.any_invalid[0] == 1
    expected = np.zeros(n)
    expected[[3, 5, 7]] = 1  # counted from 1
    np.testing.assert_array_equal(run.first_invalid, expected)


def test_spikes_without_room_are_counted_and_nothing_is_overwritten(compiled):
    membrane = MEMBRANES["squid"]
    parameters = dict(membrane.equations.defaults)
    state = np.repeat(settled(membrane, parameters), 9, axis=1)
    run = Run(membrane, "float32", parameters | {"C_m": np.ones(9)}, state, room=5)
    run.advance(compiled(membrane, "float32"), np.ones((N_STEPS, 1)), np.full((1, 9), 20.0))
    assert run.total[0] == run.count.sum() == 9
    assert (run.step > 0).all()


@pytest.fixture(scope="module", params=["sm_75", "sm_80", "sm_90", "compute_120"])
def ptx(request, tmp_path_factory):
    """Compile every variant of squid's kernel for a target; return the PTX of each by dtype."""
    folder = tmp_path_factory.mktemp(request.param)
    return {
        dtype: compile_by_nvcc(
            folder,
            request.param,
            [
                (source(MEMBRANES["squid"], dtype), choices(dtype, *rest))
                for rest in itertools.product((0, 1), (HELD, WAVEFORM, WAVEFORMS, ARRAY), (0, 1))
            ],
        )
        for dtype in DTYPES
    }


@needs_nvcc
def test_nvcc_compiles_it_without_a_warning(ptx):
    assert all(".entry hh" in text for text in ptx["float32"] + ptx["float64"])


@needs_nvcc
def test_the_float32_kernel_holds_no_double(ptx):
    assert not any(re.search(r"\.f64", text) for text in ptx["float32"])
    assert all(re.search(r"\.f64", text) for text in ptx["float64"])


@needs_nvcc
@pytest.mark.parametrize("dtype", DTYPES)
def test_nvcc_compiles_every_membrane_without_a_warning(tmp_path, dtype):
    others = [membrane for name, membrane in MEMBRANES.items() if name != "squid"]
    texts = compile_by_nvcc(
        tmp_path, "compute_90", [(source(other, dtype), choices(dtype)) for other in others]
    )
    assert all(bool(re.search(r"\.f64", text)) == (dtype == "float64") for text in texts)


@needs_nvcc
def test_nvcc_compiles_features_without_a_warning(tmp_path):
    text = source(MEMBRANES["squid"], "float32")
    chosen = [choices("float32", record=0, features=groups) for groups in (7, 15)]
    compile_by_nvcc(tmp_path, "compute_90", [(text, one) for one in chosen])


@needs_nvcc
@pytest.mark.parametrize("dtype", DTYPES)
def test_nvcc_compiles_noise_without_a_warning_or_a_double_in_float32(tmp_path, dtype):
    kernel = source(MEMBRANES["squid"], dtype), choices(dtype, record=0, noise=1)
    (text,) = compile_by_nvcc(tmp_path, "compute_90", [kernel])
    assert bool(re.search(r"\.f64", text)) == (dtype == "float64")


def compile_by_nvcc(folder, target, kernels):
    """Compile kernels, a warning being an error, and return the PTX of each.

    kernels: the source of each and its choices. They are compiled as one file, since nvcc spends
    more time on CUDA's own headers than on a kernel.
    """
    parts = [namespace(k, text, chosen) for k, (text, chosen) in enumerate(kernels)]
    (folder / "hh.cu").write_text("\n".join(parts), encoding="utf-8")
    kind = ["-ptx"] if target.startswith("compute") else ["-cubin", "--keep"]
    subprocess.run(
        ["nvcc", *kind, f"-arch={target}", "-fmad=false", "-Werror", "all-warnings", "hh.cu"],
        cwd=folder,
        check=True,
    )
    head, *texts = (folder / "hh.ptx").read_text().split(".visible")
    (folder / "hh.ptx").unlink()
    assert len(texts) == len(kernels)
    assert ".func" not in head  # so that no kernel calls what is not in its own text
    return texts


def namespace(k, text, chosen):
    """A kernel in a namespace of its own, with its choices as macros and hh renamed to hh_K."""
    macros = [*(choice.removeprefix("-D").replace("=", " ") for choice in chosen), f"hh hh_{k}"]
    names = {macro.split()[0] for macro in macros} | set(re.findall(r"#define (\w+)", text))
    return "\n".join(
        [
            *(f"#define {macro}" for macro in macros),
            f"namespace kernel_{k} {{",
            text,
            "}",
            *(f"#undef {name}" for name in sorted(names)),
        ]
    )
