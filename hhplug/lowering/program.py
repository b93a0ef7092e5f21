"""The lowered form of a membrane: one step of a method as a list of primitive operations.

A backend turns each operation into its language and puts the loops around: state, current, samples,
spikes. Kinds of operation, with a, b, c, … standing for the arguments:

    add  a + b      fma   a·b + c, rounded once      exp2  2^a
    sub  a − b      fnma  c − a·b, rounded once      log2  log₂ a
    mul  a · b      rcp   1 / a                      tanh  tanh a
    div  a / b
    guard  d where |a| > b, else c
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hhplug.lowering.canonical import Sum

Operand = str | float
"""The name of a value, or a number."""

KINDS = ("add", "sub", "mul", "div", "fma", "fnma", "rcp", "exp2", "log2", "tanh", "guard")


class Op(NamedTuple):
    """One operation, whose result has the name `out`."""

    out: str
    kind: str
    args: tuple[Operand, ...]


@dataclass(frozen=True)
class Program:
    """One step of a membrane by a method.

    Names that operations may use: the states, as they are at the step's start; `I`, the current
    over C_m plus the row `leak`, that is I_ext · per_C_m + leak; rows; scalars; results of
    operations before.
    """

    membrane: str  # its name
    target: str  # the cost table by which it was made
    states: tuple[str, ...]
    rows: Mapping[str, Sum]
    """What is computed once for each neuron before the run, by name: formulas of parameters and dt.

    `leak`, `per_C_m` and `most_open` are always the first three.
    """
    scalars: Mapping[str, Sum]  # what is computed once a run: formulas of dt, at least one
    ops: tuple[Op, ...]
    outputs: Mapping[str, Operand]  # each state's value at the step's end
    stages: tuple[int, ...]  # the index in ops at which each evaluation of the derivative begins
    slopes: tuple[Operand, ...]
    """dV/dt, mV/ms, see per_step: in each stage of RK4, or at both ends of the step."""
    conductance: Operand
    """Of the open channels but the leaks, over C_m, at the step's start, 1/ms.

    The neuron is invalid unless it is at most the row `most_open`. It is NaN if V or a pool isn't
    finite; a gate's value is a factor of it. Of a method without a stability limit it is 0, and NaN
    if any state isn't finite.
    """
    scaled_by_step: bool  # whether slopes and conductance are multiplied by dt/2
    notes: tuple[str, ...]  # what the optimizer did, in words

    @property
    def given(self) -> set[str]:
        """The names of values that operations find: states, rows, scalars and the current."""
        return {*self.states, *self.rows, *self.scalars, "I"}

    @property
    def results(self) -> tuple[Operand, ...]:
        """What a step is computed for: outputs, dV/dt at both ends of the step, conductance."""
        return *self.outputs.values(), self.slopes[0], self.slopes[-1], self.conductance

    def row_values(
        self, parameters: Mapping[str, Any], dt: float
    ) -> dict[str, NDArray[np.float64]]:
        """The rows in float64: all (n,), or all (1,). parameters: floats or (n,) arrays."""
        values = {**parameters, "dt": dt}
        rows = [np.atleast_1d(np.asarray(row.value(values), float)) for row in self.rows.values()]
        return dict(zip(self.rows, np.broadcast_arrays(*rows), strict=True))

    def scalar_values(self, dt: float) -> dict[str, float]:
        """The scalars by name."""
        return {name: float(scalar.value({"dt": dt})) for name, scalar in self.scalars.items()}

    def per_step(self, dt: float) -> float:
        """The factor that makes of slopes mV per step."""
        return 2.0 if self.scaled_by_step else dt

    def __str__(self) -> str:
        lines = [f"{self.membrane} for {self.target}: {len(self.ops)} operations a step"]
        lines += [f"  {note}" for note in self.notes]
        lines += [f"row    {name} = {row!r}" for name, row in self.rows.items()]
        lines += [f"scalar {name} = {scalar!r}" for name, scalar in self.scalars.items()]
        for k, op in enumerate(self.ops):
            if k in self.stages:
                lines.append(f"stage {self.stages.index(k) + 1}")
            lines.append(f"  {op.out} = {op.kind} {', '.join(map(str, op.args))}")
        lines += [f"{state} ← {value}" for state, value in self.outputs.items()]
        lines += [f"dV/dt in stages {', '.join(map(str, self.slopes))}"]
        lines += [f"open conductance but the leaks', over C_m {self.conductance}"]
        return "\n".join(lines)

    @cached_property
    def digest(self) -> str:
        """A hash of all that a compiled kernel depends on."""
        return sha256(str(self).encode()).hexdigest()


def needed_ops(ops: Sequence[Op], results: Iterable[Operand]) -> list[Op]:
    """The operations that these results depend on, in order."""
    needed = set(results)
    kept = []
    for op in reversed(ops):
        if op.out in needed:
            kept.append(op)
            needed.update(op.args)
    return kept[::-1]


def evaluate(
    program: Program, values: Mapping[str, Any], fma: Callable[..., Any] | None = None
) -> dict[str, Any]:
    """All results of a program's operations, by NumPy, to test printers against.

    values: states, `I`, rows and scalars by name. fma: a·b + c; by default it is rounded twice.
    """
    fused = fma or (lambda a, b, c: a * b + c)
    kinds: dict[str, Callable[..., Any]] = {
        "add": np.add,
        "sub": np.subtract,
        "mul": np.multiply,
        "fma": fused,
        "fnma": lambda a, b, c: fused(-a, b, c),
        "rcp": lambda a: 1 / a,
        "div": np.divide,
        "exp2": np.exp2,
        "log2": np.log2,
        "tanh": np.tanh,
        "guard": lambda u, width, near, far: np.where(np.abs(u) > width, far, near),
    }
    known = dict(values)
    with np.errstate(all="ignore"):
        for out, kind, args in program.ops:
            known[out] = kinds[kind](*(known[a] if isinstance(a, str) else a for a in args))
    return known
