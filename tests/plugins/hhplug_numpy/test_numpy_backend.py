"""The NumPy backend's rates, groups and memory; the kit has the tests of every backend."""

import subprocess
import sys
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from near_reference import assert_near_the_reference

from hhplug import HHParameters, Problem, Simulator, Stimulus, membranes, simulate
from hhplug.lowering.lower import lower
from hhplug.lowering.program import Op
from hhplug.membranes import squid
from hhplug.testing.membranes import MEMBRANES
from hhplug.testing.rates import worst_rate
from hhplug_numpy import kernels
from hhplug_numpy.packing import packed

DTYPES = ("float32", "float64")
RATE_BOUND = {"float32": 1e-5, "float64": 1e-13}  # relative, for V in [−150, 150] mV
SIZES = (1, 31, 32, 33, 255, 257, 1000)


@pytest.fixture(params=[True, False], ids=["exp2", "exp"])
def binary(request, monkeypatch):
    """Whether exponentials are computed by exp2."""
    kernels.written.cache_clear()
    monkeypatch.setattr(kernels, "exp2_is_vectorised", lambda: request.param)
    yield request.param
    kernels.written.cache_clear()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", membranes.__all__)
def test_rates_of_every_membrane_are_within_bounds(binary, name, dtype):  # noqa: ARG001
    def step(T, **arguments):
        return simulate(Problem(T, dtype=dtype, **arguments), "numpy")

    worst = worst_rate(step, dtype, getattr(membranes, name))
    assert worst.error < RATE_BOUND[dtype], str(worst)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["shifted", "calcium"])
def test_a_membrane_is_computed_as_the_reference_does(name, dtype):
    with patch("hhplug_numpy.backend.ROW_BYTES", 512):  # several groups
        assert_near_the_reference("numpy", dtype, MEMBRANES[name])


@pytest.mark.parametrize("membrane", MEMBRANES.values(), ids=lambda membrane: membrane.name)
def test_packed_calls_compute_what_the_program_says(membrane):
    """Each call reads values that were computed before it, and together they are the program's."""
    program = lower(membrane, "numpy-float64")
    operations = {op.out: (op.kind, sorted(map(str, op.args))) for op in program.ops}
    known = {*program.states, *program.rows, *program.scalars, "I"}
    for call in packed(program).calls:
        for k, out in enumerate(call.outs):
            args = [arg[k % len(arg)] if isinstance(arg, tuple) else arg for arg in call.args]
            assert operations[out] == (call.kind, sorted(map(str, args)))
            assert all(arg in known for arg in args if isinstance(arg, str))
        known.update(call.outs)
    assert known >= set(program.outputs.values())


def test_values_that_depend_on_each_other_are_not_packed():
    ops = (
        Op("z", "exp2", ("V",)),
        Op("a", "mul", ("z", 2.0)),
        Op("c", "add", ("a", "m")),
        Op("b", "mul", ("c", 2.0)),
        Op("V_next", "add", ("V", "a")),
        Op("m_next", "add", ("m", "b")),
    )
    outputs = {"V": "V_next", "m": "m_next"}
    program = replace(lower(squid, "numpy-float64"), states=("V", "m"), ops=ops, outputs=outputs)
    assert [call.outs for call in packed(program).calls] == [
        ("z",), ("a",), ("c",), ("b",), ("V_next", "m_next"),
    ]  # fmt: skip


def test_a_step_of_squid_takes_few_calls():
    of_conductance = 3  # calls that only the open conductance needs
    calls = len(packed(lower(squid, "numpy-float32")).calls)
    assert calls - of_conductance <= 190  # 199 by hand


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_any_size_and_any_grouping_gives_the_same_bits(dtype, n):
    rng = np.random.default_rng(n)
    simulator = Simulator("numpy", dtype, HHParameters(C_m=rng.uniform(0.9, 1.1, n)))
    arguments = {
        "T": 2.0,
        "stimulus": Stimulus.constant(rng.uniform(0.0, 40.0, n)),
        "record_all": True,
        "record_neurons": rng.permutation(n)[: n // 2 + 1],
    }
    one_group = simulator.run(**arguments)
    with patch("hhplug_numpy.backend.ROW_BYTES", 256):
        many_groups = simulator.run(**arguments)
    for name in "Vmhn":
        np.testing.assert_array_equal(many_groups[name], one_group[name])
    np.testing.assert_array_equal(many_groups.final_state, one_group.final_state)
    np.testing.assert_array_equal(many_groups.spikes.time, one_group.spikes.time)


def test_float32_never_touches_float64():
    seen = set()

    def spy(ufunc):
        def call(*arrays):
            seen.update(np.asarray(a).dtype for a in arrays)
            return ufunc(*arrays)

        return call

    program = lower(squid, "numpy-float32")
    stepper = kernels.Stepper(squid, 16, 0.01, np.dtype(np.float32))
    stepper._names |= {name: spy(getattr(np, name)) for name in kernels.FUNCTIONS}
    stepper.I_ext[:] = 1.0
    rows = {name: np.ones(16, np.float32) for name in program.rows}
    stepper.step_of(np.full((4, 16), 0.5, np.float32), rows).advance()
    assert seen == {np.dtype(np.float32)}


def test_a_run_that_records_takes_its_recording_and_300_MB_at_most():
    # 10⁶ neurons, 50 samples: 200 MB, in a fresh process, against its size before.
    script = """
import resource, numpy as np
from hhplug import Simulator, Stimulus
simulator = Simulator("numpy", "float32")
stimulus = Stimulus.constant(np.linspace(0.0, 40.0, 10**6))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
result = simulator.run(T=1.0, dt=0.02, stimulus=stimulus, record_every=1)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
spikes = result.spikes.time.nbytes + result.spikes.neuron.nbytes
print((peak - before) * 1024 - result.V.nbytes - spikes)
"""
    pytest.importorskip("resource")
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 300e6
