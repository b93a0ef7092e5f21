"""A membrane's step in Triton: one operation a line, under the names of the equations.

The printed module isn't written to a file. Triton reads a function's source by `inspect`, which
looks in `linecache` for it, as for code that attrs or IPython make.
"""

import linecache
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from types import ModuleType
from typing import Any

import numpy as np

from hhplug.lowering.lower import lower
from hhplug.lowering.program import Op, Operand, Program
from hhplug.membranes.membrane import Membrane
from hhplug.problem import Method

# A product that is to be fused with a sum is a `tl.fma`, and the compiler fuses no other
# (`enable_fp_fusion=False`), so that all variants of the kernel round alike.
EXPRESSIONS = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "fma": "tl.fma({0}, {1}, {2})",
    # Triton 3.6 makes an instruction of a minus sign, 0 − x, and a sign of this product.
    "fnma": "tl.fma(-1.0 * {0}, {1}, {2})",
    "rcp": "reciprocal({0}, FAST)",
    "exp2": "exp2({0})",
    "log2": "log2({0}, FAST)",
    "guard": "tl.where(tl.abs({0}) > {1}, {3}, {2})",
}
IMPORTS = """
import triton
import triton.language as tl

from hhplug_triton.operations import exp2, log2, real, reciprocal
"""
TAKEN = frozenset(
    """
    triton tl exp2 log2 real reciprocal step state rows scalars constants FAST
    """.split()  # noqa: SIM905 (as the names stand in the module)
)


@cache
def equations(membrane: Membrane, dtype: str, method: Method = "rk4") -> "Equations":
    """A membrane's step in a precision, "float32" or "float64"."""
    return Equations(lower(membrane, f"gpu-{dtype}", method))


def source(membrane: Membrane, dtype: str, method: Method = "rk4") -> str:
    """The text of the module that Triton compiles."""
    return equations(membrane, dtype, method).source


@dataclass(frozen=True)
class Equations:
    """A program, printed as a Triton function `step` in the precision of the program's target.

    step(state, I, rows, scalars, constants, FAST) returns the state after a step, dV/dt at its
    start and its end in mV/ms, and the conductance of `Program`. state, rows, scalars and constants
    are tuples in the order of the program and of `constants`.
    """

    program: Program

    @cached_property
    def constants(self) -> tuple[float, ...]:
        """The numbers that `step` is given.

        An instruction of float32 holds one literal; these stand second in one. Read from memory
        they stay in registers; as literals they are moved there again and again. No instruction
        holds a literal of float64, and the compiler finds them a place.
        """
        second = (op.args[2] for op in self.program.ops if _has_two_numbers(op))
        numbers = dict.fromkeys(map(self._number, second))
        return tuple(map(float, numbers)) if self._single else ()

    @cached_property
    def source(self) -> str:
        """The text of the module."""
        return "\n".join(self._lines())

    @cached_property
    def step(self) -> Any:
        """The function, for Triton to compile."""
        return _module(self.source, f"hhplug_triton.printed_{self.program.digest[:16]}").step

    @property
    def _single(self) -> bool:
        return self.program.target.endswith("float32")

    @cached_property
    def _names(self) -> Mapping[str, str]:
        """What each value of the program is called in Triton."""
        program = self.program
        given = {*program.states, "I", *program.rows, *program.scalars}
        given.update(op.out for op in program.ops)
        return {name: _free(name, given - {name}) for name in given}

    @cached_property
    def _constants(self) -> Mapping[float, str]:
        """What each constant is called: c0, c1 …"""
        return {x: _free(f"c{k}", self._names) for k, x in enumerate(self.constants)}

    def _lines(self) -> Iterator[str]:
        program, names = self.program, self._names
        yield f"# {program.membrane!r} for {program.target}: {len(program.ops)} operations a step"
        yield from (f"# {note}" for note in program.notes)
        yield "#"
        for name, formula in {**program.rows, **program.scalars}.items():
            yield f"# {names[name]} = {formula!r}"
        yield from (f"# {name} = {number!r}" for number, name in self._constants.items())
        yield IMPORTS
        yield "\n@triton.jit"
        yield "def step(state, I, rows, scalars, constants, FAST: tl.constexpr):"
        yield f"    {self._values(program.states)} = state"
        yield f"    {self._values(program.rows)} = rows"
        yield f"    {self._values(program.scalars)} = scalars"
        if self.constants:
            yield f"    {_tuple(self._constants.values())} = constants"
        for k, op in enumerate(program.ops):
            if k in program.stages:
                yield f"\n    # Stage {program.stages.index(k) + 1}"
            yield f"    {names[op.out]} = {self._expression(op)}"
        after = self._values(program.outputs[state] for state in program.states)
        begin, end, conductance = map(
            self._operand, (program.slopes[0], program.slopes[-1], program.conductance)
        )
        yield f"\n    return ({after}), {begin}, {end}, {conductance}\n"

    def _expression(self, op: Op) -> str:
        operands = [self._operand(operand) for operand in op.args]
        if _has_two_numbers(op) and self.constants:
            operands[2] = self._constants[float(operands[2])]
        return EXPRESSIONS[op.kind].format(*operands)

    def _operand(self, operand: Operand) -> str:
        if isinstance(operand, str):
            return self._names[operand]
        number = self._number(operand)
        # Triton 3.6 takes a literal for one of float32.
        exact = self._single or float(np.float32(operand)) == operand
        return number if exact else f"real({number}, V)"

    def _values(self, operands: Iterable[Operand]) -> str:
        return _tuple(map(self._operand, operands))

    def _number(self, number: Operand) -> str:
        return str(np.float32(number)) if self._single else repr(number)


def _has_two_numbers(op: Op) -> bool:
    """Whether the sum and a factor of a fused operation are numbers."""
    return (
        op.kind in ("fma", "fnma")
        and isinstance(op.args[2], float)
        and any(isinstance(factor, float) for factor in op.args[:2])
    )


def _free(name: str, given: Collection[str]) -> str:
    """A name that means nothing else in the module."""
    while name in TAKEN or name in given:
        name += "_"
    return name


def _tuple(values: Iterable[str]) -> str:
    values = list(values)
    return f"{values[0]}," if len(values) == 1 else ", ".join(values)


@cache
def _module(text: str, name: str) -> ModuleType:
    module, file = ModuleType(name), f"<{name}>"
    # linecache keeps the lines of a file without a time of change as long as the process lives.
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    exec(compile(text, file, "exec"), vars(module))
    return module
