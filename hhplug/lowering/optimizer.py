"""The optimizer: of the ways to compute a membrane's step it takes the cheapest that it finds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from hhplug.errors import InvalidInput
from hhplug.lowering.canonical import symbol
from hhplug.lowering.derivative import Derivative, Formulas
from hhplug.lowering.exponentials import Family, Use, offsets, partitions, uses
from hhplug.lowering.methods import METHODS
from hhplug.lowering.program import Operand, Program, needed_ops
from hhplug.lowering.reciprocals import divided, merged, renamed
from hhplug.lowering.targets import TARGETS, Target
from hhplug.lowering.values import Shared
from hhplug.membranes.membrane import Membrane
from hhplug.validity import STABILITY_LIMITS

PLANS_TRIED = 6  # the ways to share exponentials that look cheapest
SHORT_DT = 1e-6  # ms: all stages of a step have nearly the same V, so that sizes are those at V


def optimized(membrane: Membrane, target: str, method: str) -> Program:
    """One step of a membrane by a method, for a target of `targets.TARGETS`.

    Raises InvalidInput for a quotient that is 0/0 at a voltage and has no series.
    """
    try:
        return _optimized(membrane, target, method)
    except InvalidInput as error:
        raise InvalidInput(f"membrane {membrane.name}: {error}") from None


def _optimized(membrane: Membrane, target: str, method: str) -> Program:
    table = TARGETS[target]
    formulas = Formulas(membrane.reading, table.largest)
    shared = _cheapest(membrane, formulas, table)
    program, derivative, vanishing = _written(membrane, formulas, table, shared, method)
    values = program.row_values(formulas.defaults, SHORT_DT)
    values = {name: value[0] for name, value in values.items()}
    values |= program.scalar_values(SHORT_DT)
    # As NumPy's numbers, since 1/0 is infinite.
    values |= {pool: np.float64(formulas.defaults[pool]) for pool in membrane.reading.pools}
    program = merged(program, table, values, vanishing)
    if table.divides:
        program = divided(program)
    notes = [_of_family(family) for family, _ in shared if len(family.slopes) > 1]
    notes += [f"{quotient}: {how}" for quotient, how in derivative.values.guarded.items()]
    return replace(program, notes=tuple(notes))


def _cheapest(membrane: Membrane, formulas: Formulas, target: Target) -> Shared:
    """The families of exponentials and their offsets that make the cheapest derivative."""
    found = [
        use for expression in formulas.expressions() for use in uses(expression, formulas.varying)
    ]
    best: tuple[float, Shared] | None = None
    for _, families in partitions({use.slope for use in found}, target, PLANS_TRIED):
        cost, shared = _with_best_offsets(membrane, formulas, target, families, found)
        if best is None or cost < best[0] - 1e-9:
            best = cost, shared
    assert best is not None
    return best[1]


def _with_best_offsets(
    membrane: Membrane,
    formulas: Formulas,
    target: Target,
    families: Sequence[Family],
    found: Sequence[Use],
) -> tuple[float, Shared]:
    """The offset of one family after the other is the cheapest beside those of the others."""
    shared = [(family, offsets(family, found, target)[0]) for family in families]
    best = _cost(membrane, formulas, target, shared)
    for k, family in enumerate(families):
        for offset in offsets(family, found, target)[1:]:
            trial = [*shared[:k], (family, offset), *shared[k + 1 :]]
            cost = _cost(membrane, formulas, target, trial)
            if cost < best - 1e-9:
                best, shared = cost, trial
    return best, shared


def _cost(membrane: Membrane, formulas: Formulas, target: Target, shared: Shared) -> float:
    """The cost of one derivative, in additions."""
    derivative = Derivative(formulas, target, shared)
    outputs = derivative.at({state: state for state in membrane.states})
    ops = needed_ops(derivative.values.operations.list, outputs.values())
    total = sum(target.cost[op.kind] for op in ops)
    used = {a for op in ops for a in op.args if isinstance(a, str)}
    total += target.row_cost * sum(name in used for name in derivative.values.rows.values())
    literals = {
        op.args[2] for op in ops
        if op.kind in ("fma", "fnma", "guard") and isinstance(op.args[2], float)
        and (op.kind == "guard" or any(isinstance(a, float) for a in op.args[:2]))
    }  # fmt: skip
    return total + target.literal_cost * len(literals)


def _written(
    membrane: Membrane, formulas: Formulas, target: Target, shared: Shared, method: str
) -> tuple[Program, Derivative, dict[Operand, tuple[Operand, float]]]:
    derivative = Derivative(formulas, target, shared, STABILITY_LIMITS[method])
    outputs = METHODS[method](derivative)
    values = derivative.values
    kept = needed_ops(
        values.operations.list, [*outputs.values(), *derivative.slopes, derivative.conductance]
    )
    used = {a for op in kept for a in op.args if isinstance(a, str)} | {
        "leak",
        "per_C_m",
        "most_open",
    }
    place = {op.out: k for k, op in enumerate(values.operations.list)}
    stages = tuple(sum(place[op.out] < first for op in kept) for first in derivative.stages)
    program = Program(
        membrane=membrane.name,
        target=target.name,
        states=membrane.states,
        rows={name: row for row, name in values.rows.items() if name in used},
        scalars={name: row for row, name in values.scalars.items() if name in used}
        or {"dt": symbol("dt")},  # a struct or a tuple of none is a special case in many languages
        ops=tuple(kept),
        outputs=outputs,
        stages=stages,
        slopes=tuple(derivative.slopes),
        conductance=derivative.conductance,
        scaled_by_step=target.scaled_by_step,
        notes=(),
    )
    names = _names(program, derivative.labels)
    vanishing: dict[Operand, tuple[Operand, float]] = {
        names.get(str(denominator), denominator): (names.get(str(u), u), width)
        for denominator, (u, width) in values.vanishing.items()
    }
    return renamed(program, kept, names, stages), derivative, vanishing


def _names(program: Program, labels: Mapping[str, str]) -> dict[str, str]:
    """A name for each operation's result: that of the equations, if no other value has it."""
    taken = program.given
    names = {}
    for op in program.ops:
        label = labels.get(op.out, op.out)
        names[op.out] = op.out if label in taken else label
        taken.add(label)
    return names


def _of_family(family: Family) -> str:
    multiples = ", ".join(str(family.power(slope)) for slope in sorted(family.slopes))
    return f"e^({family.base}·V) serves the exponentials whose slopes are its multiples {multiples}"
