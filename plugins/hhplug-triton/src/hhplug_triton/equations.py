"""The equations of a membrane in Triton, printed from its lowered program.

The module is not written to a file. Triton reads the source of a function by `inspect`, which finds
it in `linecache`, as it does for code that attrs or IPython make.
"""

import keyword
import linecache
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from types import ModuleType
from typing import Any

from hhplug.lowering.program import Op, Operand, Program

# A product that is to be fused with a sum is a `tl.fma`, and the compiler fuses no other
# (`enable_fp_fusion=False`), so that all variants of the kernel round alike.
OPERATIONS = {
    "add": "{} + {}",
    "sub": "{} - {}",
    "mul": "{} * {}",
    "fma": "tl.fma({}, {}, {})",
    "fnma": "tl.fma(minus({}), {}, {})",
    "rcp": "reciprocal({}, FAST)",
    "exp2": "exp2({})",
    "log2": "tl.log2({})",
    "guard": "tl.where(tl.abs({0}) > {1}, {3}, {2})",
}
IMPORTS = """
import triton
import triton.language as tl

from hhplug_triton.operations import exp2, minus, real, reciprocal
"""
SIGNATURE = "def next_state(state, I, rows, scalars, numbers, FAST: tl.constexpr):"
TAKEN = {"triton", "tl", "exp2", "minus", "real", "reciprocal"}  # by IMPORTS, SIGNATURE, builtins
TAKEN |= {
    "next_state",
    "state",
    "rows",
    "scalars",
    "numbers",
    "FAST",
    "int",
    "float",
    "range",
    "print",
}


def numbers(program: Program) -> list[float]:
    """The numbers that `next_state` takes as values, in the order of its argument.

    An instruction of float32 holds one number, and a second comes from a register. Read from
    memory it stays in one; as a literal it is moved there again and again. An instruction of
    float64 holds none, and the compiler finds them a place.
    """
    if program.target.endswith("float64"):
        return []
    found = (op.args[2] for op in program.ops if _has_two_numbers(op))
    return list(dict.fromkeys(number for number in found if isinstance(number, float)))


def _has_two_numbers(op: Op) -> bool:
    return op.kind in ("fma", "fnma") and sum(isinstance(a, float) for a in op.args) == 2


def source(program: Program) -> str:
    """The text of a module with the function `next_state`.

    It returns the states after a step, dV/dt in each stage, and the open conductance over C_m.
    """
    return "\n".join(_Printer(program).module())


class _Printer:
    def __init__(self, program: Program):
        self._program = program
        self._numbers = {f"c{k}": number for k, number in enumerate(numbers(program))}
        given = {*program.states, "I", *program.rows, *program.scalars}
        given.update(op.out for op in program.ops)
        self._names = {name: _free(name, given) for name in sorted({*given, *self._numbers})}
        self._of_number = {number: self._names[name] for name, number in self._numbers.items()}

    def module(self) -> Iterator[str]:
        program = self._program
        yield f"# A step of {program.membrane!r}, printed by hhplug for {program.target}."
        yield from (f"# {note}" for note in program.notes)
        yield "#"
        for name, value in {**program.rows, **program.scalars, **self._numbers}.items():
            yield f"# {self._names[name]} = {value!r}"
        yield from (IMPORTS, "", "@triton.jit", SIGNATURE)
        yield f"    {self._values(program.states)} = state"
        yield f"    {self._values(program.rows)} = rows"
        yield f"    {self._values(program.scalars)} = scalars"
        if self._numbers:
            yield f"    {self._values(self._numbers)} = numbers"
        for k, op in enumerate(program.ops):
            if k in program.stages:
                yield f"\n    # Stage {program.stages.index(k) + 1}"
            yield f"    {self._names[op.out]} = {self._expression(op)}"
        after = self._values(program.outputs[state] for state in program.states)
        slopes, conductance = self._values(program.slopes), self._value(program.conductance)
        yield f"\n    return ({after}), ({slopes}), {conductance}\n"

    def _expression(self, op: Op) -> str:
        values = [self._value(operand) for operand in op.args]
        if _has_two_numbers(op):
            values[2] = self._of_number.get(op.args[2], values[2])
        return OPERATIONS[op.kind].format(*values)

    def _value(self, operand: Operand) -> str:
        return f"real({operand!r}, V)" if isinstance(operand, float) else self._names[operand]

    def _values(self, operands: Iterable[Operand]) -> str:
        """Values of a tuple, with a comma after a single one."""
        values = [self._value(operand) for operand in operands]
        return f"{values[0]}," if len(values) == 1 else ", ".join(values)


def _free(name: str, given: Collection[str]) -> str:
    """A name that means nothing else in the module, nor in Python."""
    others = {*given} - {name}
    while name in TAKEN or keyword.iskeyword(name) or name in others:
        name += "_"
    return name


def next_state(program: Program) -> Any:
    """The Triton function that a program is printed as."""
    return _module(source(program), f"hhplug_triton.printed_{program.digest[:16]}").next_state


@cache
def _module(text: str, name: str) -> ModuleType:
    module, file = ModuleType(name), f"<{name}>"
    # Without a time of change, linecache keeps the lines though there is no file.
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    exec(compile(text, file, "exec"), vars(module))
    return module
