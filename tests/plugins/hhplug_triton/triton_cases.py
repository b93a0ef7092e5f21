"""Rates, steps and short runs. As a script, it saves those of Triton's interpreter:

TRITON_INTERPRET=1 python triton_cases.py FOLDER    # read before Triton is imported
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
import triton
from lowering.program_steps import DT, population
from noise_cases import NUMBERS

from hhplug import Problem, Simulator, Stimulus, membranes, simulate
from hhplug.device import block as device_block
from hhplug.device import session as device_session
from hhplug.features import definitions
from hhplug.lowering.lower import lower
from hhplug.membranes.description import CalciumPool, Channel, Gate, Parameter
from hhplug.membranes.membrane import Membrane
from hhplug_triton import kernels
from hhplug_triton.equations import Equations

DTYPES = ("float32", "float64")
N_STEPS, BLOCK_STEPS = 12, 5  # two whole blocks and a shorter one; a step takes 30 ms
N = 33
TURNS = 3  # runs of a precision that two threads share

# States V, n, Ca: a gate, one that is always in its steady state, and a pool.
SMALL = Membrane(
    "small",
    Ca_=Channel(
        "r", g=4.0, E=120.0, r=Gate(inf="1 / (1 + exp(-(V + 10) / 9))", instantaneous=True)
    ),
    K=Channel(
        "n",
        g=36.0,
        E=-77.0,
        n=Gate(
            alpha="0.01 * (V + 55) / (1 - exp(-(V + 55) / 10))",
            beta="0.125 * exp(-(V + 65) / 80)",
        ),
    ),
    Ca=CalciumPool("Ca_", per_current=5e-5, rest=1e-4, tau=2.0),
)
WITH_POWER = SMALL.replace(
    "small, with a power",
    Ca_=Channel(
        "r", g=4.0, E=120.0, r=Gate(inf="(1 + exp(-(V + 10) / 9))**-0.3", instantaneous=True)
    ),
)

# More states than an integer of 32 bits has bits.
MANY = Membrane(
    "many",
    **{
        f"c{j}": Channel(f"x{j}", g=0.2, E=-70.0, **{f"x{j}": Gate(inf=f"{j} / 40", tau=5.0)})
        for j in range(33)
    },
)

SPREAD = {"C_m": np.linspace(0.9, 1.1, N), "g_K": np.linspace(20.0, 40.0, N)}
# From the lower of these voltages no spike comes within the run.
VOLTAGES = np.linspace(-60.0, -5.0, N)
WAVES = Stimulus.constant(np.linspace(0.0, 20.0, N)) + Stimulus.sine(30.0, 700.0, offset=5.0)
# Every second step each neuron crosses the threshold: more spikes than a block has neurons.
ALTERNATING = np.tile([[4000.0, 4100.0], [-4000.0, -4100.0]], (N_STEPS // 2, 1))

RUNS = {
    "waves": {
        "membrane": SMALL,
        "stimulus": WAVES,
        "parameters": SPREAD | {"g_Ca_": np.linspace(100.0, 140.0, N)},
        "initial_state": [VOLTAGES, np.linspace(0.1, 0.6, N), np.full(N, 1e-4)],
        "record_all": True,
        "record_every": 3,
        "record_neurons": [5, 32, 0],
    },
    "recorded": {
        "membrane": SMALL,
        "stimulus": Stimulus.recorded(np.arange(9.0), dt=0.017, gain=np.linspace(0.0, 20.0, N)),
        "parameters": SPREAD | {"g_Ca_": np.linspace(100.0, 140.0, N)},
        "initial_state": [VOLTAGES, np.linspace(0.1, 0.6, N), np.full(N, 1e-4)],
    },
    "array": {
        "membrane": membranes.squid,
        "stimulus": WAVES.sample(0.01, N_STEPS),
        "parameters": SPREAD,
        "initial_state": [VOLTAGES, np.linspace(0.1, 0.6, N), np.full(N, 0.6), np.full(N, 0.3)],
        "record": ("n", "V"),
    },
    "many": {
        "membrane": MANY,
        "stimulus": Stimulus.constant(np.linspace(0.0, 600.0, N)),
        "initial_state": [-5.0, *np.full(33, 0.3)],
        "record": ("x30", "x31", "x32"),
    },
    "alternating": {
        "membrane": SMALL,
        "stimulus": ALTERNATING,
        "initial_state": [-30.0, 0.1, 1e-4],
    },
}


NOISE = Stimulus.ornstein_uhlenbeck(
    np.linspace(0.0, 20.0, N), 5.0, tau=np.geomspace(1e-4, 9.0, N), seed=2**64 - 5
) + Stimulus.sine(30.0, 700.0)  # fmt: skip


def noisy_run(backend, dtype=None):
    """A run whose neurons have numbers of more than 32 bits.

    Its blocks begin with steps 3, 8, 13 and 14, so that a step comes before or after four that
    share a counter, or there are no such four.
    """
    problem = Problem(
        16 * 0.01, stimulus=NOISE, membrane=SMALL, dtype=dtype, start_step=3,
        initial_state=[VOLTAGES, np.full(N, 0.3), np.full(N, 1e-4)],
    )  # fmt: skip
    return simulate(problem.as_part(NUMBERS[:N], None), backend)


FEATURES = tuple(definitions.FEATURES)


def run_with_features(backend, dtype):
    """Neurons that cross the threshold often; a stretch of samples ends within the run."""
    drive = np.where((np.arange(N_STEPS)[:, np.newaxis] + np.arange(N)) // 2 % 2, -900.0, 1000.0)
    return Simulator(backend, dtype, membrane=SMALL).run(
        N_STEPS * 0.01, stimulus=drive, start_step=122, initial_state=[-60.0, 0.3, 1e-4],
        spike_threshold=-60.0, features=FEATURES, window=(1.24, 1.33),
    )  # fmt: skip


def run(name, backend, dtype=None):
    arguments = RUNS[name].copy()
    model = {key: arguments.pop(key, None) for key in ("membrane", "parameters")}
    return Simulator(backend, dtype, **model).run(N_STEPS * 0.01, **arguments)


# A pool, an instantaneous gate, powers, and names that the printed module uses itself.
ODD = membranes.LTS.replace(
    "odd",
    Ca=CalciumPool("T", per_current=5.182e-5, rest=2.4e-4, tau=5.0),
    AHP=Channel(
        "tl", g=1.0, E="E_K", tl=Gate(inf="Ca**2 / (Ca**2 + c0**2)", instantaneous=True)
    ),
    state=Channel("real", g=0.1, E="c1", real=Gate(inf="exp2 / (1 + exp(-V / 9))**0.3", tau=5.0)),
    c0=0.001,
    c1=Parameter(-80.0, "mV"),
    exp2=0.5,
)  # fmt: skip
MEMBRANES = {name: getattr(membranes, name) for name in membranes.__all__} | {"odd": ODD}
STIFF = ("squid", "WB")  # membranes whose step is also taken by the method "stiff"


V_T = membranes.RS.parameters["V_T"].value
TRAUB = (V_T + 13.0, V_T + 15.0, V_T + 40.0)
SINGULAR = {  # mV, where the description divides 0 by 0
    "squid": (-40.0, -55.0),
    "WB": (-35.0, -34.0),
    "CS": (-29.7, -45.7),
}


def awkward_voltages(name, dtype):
    """Return voltages in mV from −150 to 150, those of SINGULAR, and the floats beside them."""
    singular = np.array(SINGULAR.get(name, TRAUB), dtype)
    beside = [np.nextafter(singular, singular + side) for side in (-1, 1)]
    near = [singular + side * 10.0**k for side in (-1, 1) for k in np.arange(-6.0, 1.1, 0.1)]
    V = np.concatenate([np.linspace(-150.0, 150.0, 10_007), *near])
    return np.concatenate([V.astype(dtype), singular, *beside])


def one_step(program, state, I_ext, parameters, dt, fast=False, device="cpu", block=2**15):
    """Return the state after a step of the kernel with a program, (states, n)."""
    dtype, n = program.target.rpartition("-")[2], state.shape[1]
    equations = Equations(program)
    rows = [np.broadcast_to(row, n) for row in program.row_values(parameters, dt).values()]
    table = [0.0, dt, *program.scalar_values(dt).values(), *equations.constants]
    after, rows, table, current = (
        torch.from_numpy(np.array(values, dtype, order="C")).to(device)
        for values in (state, rows, table, np.broadcast_to(I_ext, (2, n)))
    )
    kernels.hh[(triton.cdiv(n, block),)](
        N=n, steps=1, state=after, rows=rows, per_neuron=1, table=table,
        gain=None, gain_per_neuron=0, J=1, current=current, array_per_neuron=1,
        samples=(after,) * len(state), recorded=0, before=0, column=after, some=0, columns=n,
        first=1, every=1, spike_count=None,
        total=None, neuron=None, step=None, fraction=None, ordinal=None, room=0,
        any_invalid=None, first_invalid=None,
        CURRENT="array", RECORD=False, membrane_step=equations.step, STATES=len(state),
        ROWS=len(rows), SCALARS=len(program.scalars), CONSTANTS=len(equations.constants),
        FAST=fast, UNROLL=1, BLOCK=block, enable_fp_fusion=False,
    )  # fmt: skip
    return after.cpu().numpy()


def rates(membrane, dtype, V, **on):
    """Return values of the first stage at V (mV) by their names: alpha_m_1, per_tau_p_1, …

    The kernel computes them as if they were states after a step.
    """
    program = lower(membrane, f"gpu-{dtype}")
    ops = program.ops[: program.stages[1]]
    labels = [op.out for op in ops if op.out.endswith("_1") and op.out not in program.slopes]
    kept = dict(zip(program.states, program.states, strict=True))
    after = {f"{label}_after": label for label in labels}
    of_rates = replace(
        program, ops=ops, stages=(0,), states=(*kept, *after), outputs=kept | after,
        slopes=program.slopes[:1],
    )  # fmt: skip
    defaults = membrane.equations.defaults
    at_rest = membrane.equations.settled(V.astype(np.float64), defaults)
    state = np.concatenate([at_rest, np.zeros((len(after), len(V)))])
    found = one_step(of_rates, state, 0.0, defaults, DT, **on)
    return dict(zip(labels, found[len(kept) :], strict=True))


def keep_all(folder):
    no_room = patch.multiple(device_session, SPIKES_PER_MS=0.0, LEAST_ROOM=0)
    replayed = patch.object(
        device_block.DeviceBlock,
        "_replay",
        autospec=True,
        side_effect=device_block.DeviceBlock._replay,
    )
    for dtype in DTYPES:
        for name, membrane in MEMBRANES.items():
            V = awkward_voltages(name, dtype)
            np.savez(folder / f"rates-{name}-{dtype}.npz", **rates(membrane, dtype, V))
            state, I_ext, parameters = population(membrane, N)
            after = one_step(lower(membrane, f"gpu-{dtype}"), state, I_ext, parameters, DT)
            np.save(folder / f"step-{name}-{dtype}.npy", after)
            if name in STIFF:
                program = lower(membrane, f"gpu-{dtype}", "stiff")
                after = one_step(program, state, I_ext, parameters, DT)
                np.save(folder / f"stiff-{name}-{dtype}.npy", after)
        with (
            patch("hhplug.running.preparing.BLOCK_STEPS", BLOCK_STEPS),
            no_room,
            replayed as replay,
        ):
            for name in RUNS:
                run(name, "triton", dtype).save(folder / f"{name}-{dtype}.npz")
                assert replay.called == (name == "alternating")
            noisy_run("triton", dtype).save(folder / f"noise-{dtype}.npz")
            run_with_features("triton", dtype).save(folder / f"features-{dtype}.npz")
    sys.setswitchinterval(1e-4)
    with ThreadPoolExecutor(2) as threads:
        runs = list(threads.map(partial(run, "waves", "triton"), DTYPES * TURNS))
    for k, (dtype, result) in enumerate(zip(DTYPES * TURNS, runs, strict=True)):
        result.save(folder / f"waves-{dtype}-{k // len(DTYPES)}.npz")


if __name__ == "__main__":
    keep_all(Path(sys.argv[1]))
