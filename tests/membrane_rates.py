"""The rates of a lowered membrane as the results of a program that backends can run as a step."""

from dataclasses import replace

import numpy as np

from hhplug import CalciumPool, Channel, Gate, Membrane
from hhplug.lowering.lower import lower
from hhplug.lowering.targets import TARGETS
from hhplug.membranes.evaluation import compiled

# Of the kinds that squid lacks: rates that a parameter shifts, steady states with time constants,
# instantaneous gates, fractional powers, a calcium pool, and names that a printer may use itself.
SHIFTED = Membrane(
    "shifted",
    Na=Channel(
        "m**3 * h",
        g=50.0,
        E=50.0,
        m=Gate(
            alpha="0.32 * (V - V_T - 13) / (1 - exp(-(V - V_T - 13) / 4))",
            beta="0.28 * (V - V_T - 40) / (exp((V - V_T - 40) / 5) - 1)",
        ),
        h=Gate(
            alpha="0.128 * exp(-(V - V_T - 17) / 18)",
            beta="4 / (1 + exp(-(V - V_T - 40) / 5))",
        ),
    ),
    K=Channel(
        "w * p",
        g=5.0,
        E=-90.0,
        w=Gate(
            alpha="0.032 * (V - V_T - 15) / (1 - exp(-(V - V_T - 15) / 5))",
            beta="0.5 * exp(-(V - V_T - 10) / 40)",
            speed="phi",
        ),
        p=Gate(
            inf="1 / (1 + exp(-(V + 35) / 10))",
            tau="1000 / (3.3 * exp((V + 35) / 20) + exp(-(V + 35) / 20))",
        ),
    ),
    L=Channel(g=0.1, E=-70.0),
    V_T=-55.0,
    phi=1.5,
)
CALCIUM = Membrane(
    "calcium",
    T=Channel(
        "s**2 * i",
        g=0.4,
        E=120.0,
        s=Gate(inf="1 / (1 + exp(-(V + 59) / 6.2))", instantaneous=True),
        i=Gate(
            inf="(0.08 * exp(0.0314 * (V + 94)) / (1 + exp(0.0346 * (V + 1)))) ** (1/3)",
            tau="30.8 + (211.4 + exp((V + 115) / 5)) / (1 + exp((V + 86) / 3.2))",
        ),
    ),
    AHP=Channel("c", g=1.0, E=-90.0, c=Gate(inf="Ca**2 / (Ca**2 + width**2)", instantaneous=True)),
    Ca=CalciumPool("T", per_current=5.182e-5, rest=2.4e-4, tau=5.0),
    L=Channel(g=0.05, E=-70.0),
    width=0.001,
)
SINGULAR = {"squid": [-40.0, -55.0], "shifted": [-42.0, -15.0, -40.0], "calcium": []}
"""Voltages (mV) at which rates of these membranes are 0/0 as they are written."""

REST = 1e-4  # mM, of every pool


def voltages(membrane, dtype):
    """Return voltages from −150 to 150 mV, singular points, the floats beside and values near."""
    points = np.array(SINGULAR[membrane.name], dtype)
    beside = [np.nextafter(points, np.array(end, dtype)) for end in (-np.inf, np.inf)]
    near = [points + np.array(sign * 10.0**k, dtype) for sign in (-1, 1) for k in range(-7, 2)]
    spread = np.linspace(-150.0, 150.0, 30_007).astype(dtype)
    V = np.concatenate([points, *beside, *near, spread]).astype(dtype)
    return np.concatenate([V, np.full(-len(V) % 16, V[-1])])


def described(membrane, V, scaled):
    """Return what moves each gate at V (mV), by its name in a program: alpha, alpha + beta, ….

    scaled: whether the program's rates have the factor of a gate's speed.
    """
    pools = dict.fromkeys(membrane.reading.pools, REST)
    found = {}
    for name, rates in membrane.rates(V.astype(np.float64), pools=pools).items():
        gate = membrane.reading.gates[name]
        speed = 1.0 if scaled else compiled(gate.speed)(membrane.equations.defaults)
        if gate.instantaneous:
            found[f"{name}_1"] = rates.inf
        elif gate.alpha is None:
            found |= {f"inf_{name}_1": rates.inf, f"per_tau_{name}_1": 1 / (rates.tau * speed)}
        else:
            total = (rates.alpha + rates.beta) / speed
            found |= {f"alpha_{name}_1": rates.alpha / speed, f"alpha_beta_{name}_1": total}
    return found


def worst_rate_error(membrane, kind, dtype, step):
    """Return the largest relative error of a backend's rates.

    kind: of target, "cpu" or "numpy". step(program, state, dt): the state after a step of a program
    with the usual parameters, (n_states, n), as the backend computes it.
    """
    target = f"{kind}-{dtype}"
    program = lower(membrane, target)
    V = voltages(membrane, dtype)
    state = np.stack([V, *np.full((len(program.states) - 1, len(V)), REST, dtype)])
    expected = described(membrane, V, TARGETS[target].scaled_by_step)
    made = [op.out for op in program.ops[: program.stages[1]]]
    names = [name for name in expected if name in made]
    assert 2 * len(names) > len(expected)  # others are equal to one that has another name
    gates = program.states[1:]
    worst = []
    for first in range(0, len(names), len(gates)):
        asked = dict(zip(gates, names[first : first + len(gates)], strict=False))
        outputs = {state: asked.get(state, state) for state in program.states}
        part = replace(program, ops=program.ops[: program.stages[1]], stages=(0,), outputs=outputs)
        after = step(part, state, 2.0)  # ms: where rates are multiplied by dt/2, that is 1
        found = dict(zip(program.states, after.astype(np.float64), strict=True))
        worst += [np.abs(found[s] / expected[name] - 1.0).max() for s, name in asked.items()]
    return max(worst) if not np.isnan(worst).any() else np.nan
