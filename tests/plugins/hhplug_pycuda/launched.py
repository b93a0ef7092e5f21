"""Arguments of the kernel for tests, and the rates that its step computes."""

import numpy as np

from hhplug_pycuda.layout import block_type

FAST = 2.0**60  # ms: a step of this length that isn't integrated, so that slopes can be seen
FULL = 2.0**20  # a gate's value from which the closing rate can be seen


def block(equations, put, state, rows, scalars, steps):
    """The kernel's argument, without a current, samples and spikes.

    put: keeps an array where the kernel can read it, and returns its address.
    state: (states, N). rows: (rows, N). scalars: (scalars,).
    """
    dtype = np.dtype(equations.dtype)
    b = np.zeros((), block_type(dtype, len(state), len(scalars)))
    b["N"], b["steps"], b["scalars"] = state.shape[1], steps, scalars
    b["state"], b["rows"] = put(np.ascontiguousarray(state, dtype)), put(rows.astype(dtype))
    b["rows_per_neuron"] = rows.shape[1] > 1
    b["constants"] = put(np.array(equations.constants, dtype))
    b["spikes"]["threshold"] = np.inf
    b["current"]["gain"] = b["current"]["waveform"] = put(np.zeros(1, dtype))
    b["current"]["J"] = 1
    return b


def seen_slopes(equations, put, launch, state, parameters):
    """(state + FAST · slopes, at the given state) by a step whose stages all have the same state.

    The kernel's own step is run: the factors that move the stages are 0, and the last is FAST/6.
    launch: runs the kernel for a block and returns its state. parameters: floats by name.
    """
    program = equations.program
    last = {a for op in program.ops if op.out in program.outputs.values() for a in op.args}

    def values(formulas, at):
        of_dt = {name for name, formula in formulas.items() if "dt" in formula.names}
        still, fast = at(0.0), at(FAST)
        return [fast[n] if n in last else still[n] if n in of_dt else fast[n] for n in formulas]

    formulas = {n: formula for n, formula in program.rows.items() if n != "most_open"}

    def rows_at(dt):
        return {n: formula.value({**parameters, "dt": dt}) for n, formula in formulas.items()}

    rows = dict(zip(formulas, values(formulas, rows_at), strict=True)) | {"most_open": np.inf}
    rows = [rows[name] for name in program.rows]
    scalars = values(program.scalars, program.scalar_values)
    b = block(equations, put, state, np.array(rows).reshape(-1, 1), scalars, steps=1)
    return launch(b).astype(np.float64)


def worst_rate_error(membrane, equations, put, launch, V):
    """The largest relative error of all gates' opening rates and of what they close with.

    With a gate at 0 its slope is the opening rate, alpha or inf/tau. At FULL it is, but for a
    millionth, FULL times alpha + beta or 1/tau.
    """
    parameters = membrane.equations.defaults
    worst = 0.0
    for x in (0.0, FULL):
        state = np.full((len(membrane.states), len(V)), x)
        state[0] = V
        for row, name in enumerate(membrane.states):
            if name in membrane.reading.pools:
                state[row] = parameters[f"{name}_rest"]
        state = state.astype(equations.dtype).astype(np.float64)
        expected = state + FAST * membrane.equations.derivative(state, 0.0, parameters)
        ours = seen_slopes(equations, put, launch, state, parameters)
        for row, name in enumerate(membrane.states):
            if name in membrane.reading.gates:
                worst = np.maximum(worst, np.abs(ours[row] / expected[row] - 1.0).max())
    return worst


def awkward_voltages(singular, dtype):
    """Voltages in mV from −150 to 150, with singular ones, one float beside, and many near them."""
    around = np.concatenate([sign * 10.0 ** np.linspace(-7.0, 1.0, 4_001) for sign in (-1, 1)])
    V = [np.linspace(-150.0, 150.0, 30_001), *(V0 + around for V0 in singular)]
    at = np.array(singular, dtype)
    beside = [np.nextafter(at, at + step) for step in (-1, 1)]
    return np.concatenate([*(v.astype(dtype) for v in V), at, *beside])
