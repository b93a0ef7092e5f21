"""The check that a program has the rates that its membrane describes, before it is compiled."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug.errors import InvalidInput
from hhplug.lowering.program import Program, evaluate
from hhplug.lowering.targets import TARGETS
from hhplug.membranes.membrane import Membrane

Array = NDArray[np.float64]

VOLTAGES = np.linspace(-120.0, 80.0, 201)  # mV where V may be in a run
SPREADS = 0.0, 0.05  # of parameters, of their usual values
MOST_APART = 1e-3  # a wrong formula differs by more, rounding by less
NEGLIGIBLE = 1e-6  # 1/ms: slower rates move nothing
LARGEST = 1e30  # 1/ms: faster rates may overflow in float32
HALF_OPEN = 0.5  # the value of every gate
UNIT_DT = 2.0  # ms: programs whose slopes are multiplied by dt/2 have the rates themselves


def checked(program: Program, membrane: Membrane) -> Program:
    """The program, if its rates are those that the membrane describes.

    Raises InvalidInput for a rate that differs, by more than rounding, from that of the description
    in float64, or that isn't a number in the program's own precision.
    """
    random = np.random.default_rng(0)
    dtypes = (np.float64, np.float32) if program.target.endswith("float32") else (np.float64,)
    for spread in SPREADS:
        parameters = {
            name: p.value * (1.0 + spread * random.uniform(-1.0, 1.0, len(VOLTAGES)))
            for name, p in membrane.parameters.items()
        }
        with np.errstate(all="ignore"):
            rates = _described(membrane, parameters, TARGETS[program.target].scaled_by_step)
            for dtype in dtypes:
                found = _computed(program, membrane, parameters, dtype)
                for label, (expected, scale) in rates.items():
                    # The value may have the name of an equal one, and the name may be a state's.
                    if label in found and label not in program.given:
                        apart = np.abs(found[label] - expected)
                        right = apart <= MOST_APART * (scale + NEGLIGIBLE)
                        _refuse(membrane, label, (scale < LARGEST) & ~right, dtype)
    return program


def _described(
    membrane: Membrane, parameters: Mapping[str, Array], with_speed: bool
) -> dict[str, tuple[Array, Array]]:
    """Each gate's rates by their names in a program, and what their errors are compared with."""
    described = {}
    for name, rates in membrane.equations.rates(VOLTAGES, parameters).items():
        if membrane.reading.gates[name].instantaneous:
            described[f"{name}_1"] = rates.inf, np.ones_like(rates.inf)
            continue
        speed = 1.0 if with_speed else membrane.equations.speed(name, parameters)
        per_tau = 1.0 / (rates.tau * speed)
        if membrane.reading.gates[name].alpha is None:
            described[f"inf_{name}_1"] = rates.inf, 1.0 + np.abs(rates.inf)
            described[f"per_tau_{name}_1"] = per_tau, per_tau
        else:
            described[f"alpha_{name}_1"] = rates.inf * per_tau, per_tau
            described[f"alpha_beta_{name}_1"] = per_tau, per_tau
        # A program that divides by tau doesn't have 1/tau. The slope has this name in RK4 alone.
        slope = (rates.inf - HALF_OPEN) * per_tau
        described[f"d{name}_1"] = slope, (1.0 + np.abs(rates.inf)) * per_tau
    return described


def _computed(
    program: Program, membrane: Membrane, parameters: Mapping[str, Array], dtype: Any
) -> dict[str, Any]:
    """All values of the program with V at VOLTAGES, pools at rest and gates half open."""
    state = dict.fromkeys(program.states, HALF_OPEN) | {"V": VOLTAGES}
    state |= membrane.equations.pools_at_rest(parameters)
    rows = program.row_values(parameters, UNIT_DT)
    values = {**rows, "I": 0.0, **program.scalar_values(UNIT_DT), **state}
    return evaluate(program, {name: np.asarray(x, dtype) for name, x in values.items()})


def _refuse(membrane: Membrane, label: str, wrong: NDArray[np.bool_], dtype: Any) -> None:
    if wrong.any():
        V = VOLTAGES[int(wrong.argmax())]
        where = "" if dtype is np.float64 else " in float32"
        raise InvalidInput(
            f"membrane {membrane.name}: the code that is made of it computes {label[:-2]} wrongly"
            f"{where} at V = {V:g} mV. Write the expression in another way, or use the backend "
            "'reference', which computes any description" + (where and ", or float64")
        )
