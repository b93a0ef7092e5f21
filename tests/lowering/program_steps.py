"""One step of a membrane: by its description in float64, and by a program."""

import numpy as np

from hhplug.lowering.program import evaluate

DT = 0.01  # ms


def population(membrane, n=257, seed=1):
    """Return states (n_states, n), currents (n,) and parameters of n different neurons."""
    random = np.random.default_rng(seed)
    parameters = {
        name: p.value * (1.0 + 0.1 * random.uniform(-1.0, 1.0, n))
        for name, p in membrane.parameters.items()
    }
    V = random.uniform(-90.0, 40.0, n)
    state = membrane.equations.settled(V, parameters)
    state[1:] *= random.uniform(0.8, 1.2, state[1:].shape)
    state[0] += random.uniform(-5.0, 5.0, n)
    return state, random.uniform(0.0, 10.0, n), parameters


def described(membrane, state, I_ext, parameters, dt=DT):
    """Return the state after a step of classic RK4 on the description."""
    f = membrane.equations.derivative
    k1 = f(state, I_ext, parameters)
    k2 = f(state + dt / 2 * k1, I_ext, parameters)
    k3 = f(state + dt / 2 * k2, I_ext, parameters)
    k4 = f(state + dt * k3, I_ext, parameters)
    return state + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def values_of(program, state, I_ext, parameters, dt=DT, dtype=np.float64):
    """Return every value of a step of a program, by name."""
    rows = program.row_values(parameters, dt)
    current = I_ext * rows["per_C_m"] + rows["leak"]
    given = {**rows, "I": current, **dict(zip(program.states, state, strict=True))}
    given = {name: np.asarray(value, dtype) for name, value in given.items()}
    scalars = {name: dtype(value) for name, value in program.scalar_values(dt).items()}
    return evaluate(program, {**given, **scalars})


def stepped(program, *arguments, **options):
    """Return the state after a step of a program, (n_states, n)."""
    values = values_of(program, *arguments, **options)
    n = len(arguments[0][0])
    outputs = (program.outputs[state] for state in program.states)
    return np.stack([np.broadcast_to(values.get(x, x), n) for x in outputs])
