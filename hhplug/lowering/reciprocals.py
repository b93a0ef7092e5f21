"""Two reciprocals from one: with r = 1/(a·b), 1/a is r·b and 1/b is r·a."""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from hhplug.lowering.program import Op, Operand, Program, evaluate
from hhplug.lowering.targets import Target

LOOP = 5  # operations of the loop round a step: the spike test, the count of steps
VOLTAGES = np.linspace(-200.0, 200.0, 81)  # mV at which products are tried


def merged(
    program: Program,
    target: Target,
    values: Mapping[str, Any],
    vanishing: Mapping[Operand, tuple[Operand, float]],
) -> Program:
    """The program with reciprocals merged within each stage, as often as the target gains by it.

    values: usual values of rows, scalars and pools. A product that may overflow or be zero isn't
    formed.
    vanishing: denominators that vanish where |u| ≤ width, each with u and width. Where a series
    stands for their quotient they count as 1, since a product that is zero spoils both reciprocals.
    """
    stages: dict[int, list[Op]] = {}
    for k, op in enumerate(program.ops):
        stages.setdefault(sum(first <= k for first in program.stages), []).append(op)
    names = (f"_m{k}" for k in itertools.count())
    state = dict.fromkeys(program.states, 0.5) | {"V": VOLTAGES, "I": 0.0}
    sizes = evaluate(program, {**state, **values})
    sizes |= {
        str(x): np.where(np.abs(_size(sizes, u)) > width, _size(sizes, x), 1.0)
        for x, (u, width) in vanishing.items()
    }
    pairs = {stage: _pair(ops, sizes, target, vanishing) for stage, ops in stages.items()}
    while _pays([op for ops in stages.values() for op in ops], target):
        # Pairs without a vanishing denominator come first, then those of the fullest stage.
        found = [
            (_vanishing(pair, vanishing), -sum(op.kind == "rcp" for op in stages[stage]), stage)
            for stage, pair in pairs.items()
            if pair
        ]
        if not found:
            break
        stage = min(found)[2]
        pair = pairs[stage]
        assert pair is not None
        one, two = pair
        (a,), (b,) = one.args, two.args
        both, over = next(names), next(names)
        new = []
        for operand in (a, b):
            if operand in vanishing:
                u, width = vanishing[operand]
                new.append(Op(f"{both}_{operand}", "guard", (u, width, 1.0, operand)))
        a, b = (f"{both}_{x}" if x in vanishing else x for x in (a, b))
        for op in new:
            sizes[op.out] = sizes[op.args[3]]
        sizes[both] = _size(sizes, a) * _size(sizes, b)
        new += [
            Op(both, "mul", (a, b)),
            Op(over, "rcp", (both,)),
            Op(one.out, "mul", (over, b)),
            Op(two.out, "mul", (over, a)),
        ]
        stages[stage] = _in_order([op for op in stages[stage] if op not in pair], new)
        pairs[stage] = _pair(stages[stage], sizes, target, vanishing)
    return _numbered(program, stages)


def divided(program: Program) -> Program:
    """The program with a/b in place of a · (1/b), where nothing else needs 1/b."""
    readers: dict[Operand, list[Op]] = {}
    for op in program.ops:
        for a in op.args:
            readers.setdefault(a, []).append(op)
    results = {*program.outputs.values(), *program.slopes, program.conductance}
    under: dict[Operand, Operand] = {}  # of each reciprocal that one product alone needs
    for op in program.ops:
        mine = readers.get(op.out, [])
        alone = op.kind == "rcp" and [one.kind for one in mine] == ["mul"]
        if not alone or op.out in results or not under.keys().isdisjoint(mine[0].args):
            continue  # of a product of two reciprocals one remains
        under[op.out] = op.args[0]
    ops = []
    stages = list(program.stages)
    for k, op in enumerate(program.ops):
        if op.out in under:
            stages = [
                first - (k < before) for first, before in zip(stages, program.stages, strict=True)
            ]
            continue
        reciprocal = next((a for a in op.args if a in under), None)
        if op.kind == "mul" and reciprocal is not None:
            (over,) = (a for a in op.args if a != reciprocal)
            op = Op(op.out, "div", (over, under[reciprocal]))
        ops.append(op)
    return replace(program, ops=tuple(ops), stages=tuple(stages))


def _pays(ops: list[Op], target: Target) -> bool:
    """Whether one reciprocal and three products are cheaper than two reciprocals.

    Where reciprocals have a unit of their own, they are if that unit bounds the program.
    """
    if "rcp" not in target.special:
        return target.cost["rcp"] > 3 * target.cost["mul"]
    special = sum(op.kind in target.special for op in ops)
    issue = sum(1.0 if op.kind in target.special else target.cost[op.kind] for op in ops) + LOOP
    after = max(issue + 2, (special - 1) * target.special_slots)
    return special * target.special_slots > after + 1


def _size(sizes: Mapping[str, Any], operand: Operand) -> Any:
    return sizes[operand] if isinstance(operand, str) else operand


def _vanishing(pair: tuple[Op, Op], vanishing: Mapping[Operand, Any]) -> int:
    """How many of two reciprocals have a denominator that vanishes."""
    return sum(op.args[0] in vanishing for op in pair)


def _pair(
    ops: list[Op],
    sizes: Mapping[str, Any],
    target: Target,
    vanishing: Mapping[Operand, tuple[Operand, float]],
) -> tuple[Op, Op] | None:
    """Two reciprocals of a stage's operations, neither of which needs the other.

    Pairs without a vanishing denominator come first.
    """
    above: dict[Operand, frozenset[Operand]] = {}  # what each operation of the stage needs
    for op in ops:
        above[op.out] = frozenset(op.args).union(*(above[a] for a in op.args if a in above))
    pairs = itertools.combinations([op for op in ops if op.kind == "rcp"], 2)
    for one, two in sorted(pairs, key=lambda pair: _vanishing(pair, vanishing)):
        if one.out in above[two.out]:
            continue
        with np.errstate(all="ignore"):
            both = np.abs(_size(sizes, one.args[0]) * _size(sizes, two.args[0]))
        if np.all((both < target.largest) & (both > 1 / target.largest)):
            return one, two
    return None


def _in_order(ops: list[Op], new: list[Op]) -> list[Op]:
    """ops with the new ones put in as soon as what they need is there."""
    made = {op.out for op in ops} | {op.out for op in new}
    done: set[str] = set()
    ordered: list[Op] = []
    waiting = list(new)

    def ready(op: Op) -> bool:
        return all(a not in made or a in done for a in op.args if isinstance(a, str))

    def add(op: Op) -> None:
        ordered.append(op)
        done.add(op.out)

    for op in [*ops, None]:
        progress = True
        while progress:
            progress = False
            for candidate in list(waiting):
                if ready(candidate):
                    add(candidate)
                    waiting.remove(candidate)
                    progress = True
        if op is not None:
            if ready(op):
                add(op)
            else:
                waiting.append(op)
    assert not waiting
    return ordered


def _numbered(program: Program, stages: Mapping[int, list[Op]]) -> Program:
    """The program with these operations. Those without a name of the equations are numbered."""
    ops = [op for stage in stages.values() for op in stage]
    taken = program.given | {op.out for op in ops}
    names = {}
    for k, op in enumerate(ops):
        number = f"t{k}" if f"t{k}" not in taken else f"_t{k}"
        names[op.out] = number if op.out.startswith("_") else op.out
    first = 0  # the index of a stage's first operation
    begins = []
    for stage, own in stages.items():
        if stage:  # what stands before the first evaluation is none
            begins.append(first)
        first += len(own)
    return renamed(program, ops, names, tuple(begins))


def renamed(
    program: Program, ops: list[Op], names: Mapping[str, str], stages: tuple[int, ...]
) -> Program:
    """The program with these operations under new names."""

    def new(operand: Any) -> Any:
        return names.get(operand, operand) if isinstance(operand, str) else operand

    return replace(
        program,
        ops=tuple(Op(names[op.out], op.kind, tuple(map(new, op.args))) for op in ops),
        outputs={state: new(value) for state, value in program.outputs.items()},
        slopes=tuple(map(new, program.slopes)),
        conductance=new(program.conductance),
        stages=stages,
    )
