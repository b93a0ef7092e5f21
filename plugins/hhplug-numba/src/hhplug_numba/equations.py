"""A program's step as Python source for Numba: short loops over the neurons of a group.

A stage of the method is two loops: one for what its exponentials and logarithms need, one for the
rest. In a long body the chain of dependent operations bounds the speed: one loop for a whole step
of the squid takes 1.5 times as long (AMD Zen 5). A value that another loop needs gets a row of the
group until its last reader is done; `layout` says how rows lie in memory.

Rounding is the same for every neuron wherever it stands, whatever LLVM makes of a loop: a product
that is to be fused with a sum is written `fma`, nothing else may be fused or reordered (no
fastmath), there are no library functions. So vector body, remainder and scalar code agree, and so
do CPUs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hhplug.lowering.program import Op, Operand, Program
from hhplug_numba.layout import (
    CONDUCTANCE,
    END_SLOPE,
    FIRST_STATE,
    I_EXT,
    LEAK,
    MOST_OPEN,
    PER_C_M,
    SLOPE,
    V_BEFORE,
)

OPERATIONS = {
    "add": "{} + {}",
    "sub": "{} - {}",
    "mul": "{} * {}",
    "div": "{} / {}",
    "rcp": "real(1.0) / {}",
    "fma": "fma({}, {}, {})",
    "fnma": "fma(-{}, {}, {})",
    "exp2": "exp2({})",
    "log2": "log2({})",
    "guard": "{3} if abs({0}) > {1} else {2}",
}
TABLES = ("exp2", "log2")  # functions whose long polynomials have a loop of their own

# An exponential of a line, 2^(slope·x + offset), takes x within ±FARTHEST; beyond, where V has lost
# its meaning, exponents could overflow.
FARTHEST = 1000.0  # mV
LARGEST_EXPONENT = {"float32": 126.0, "float64": 1022.0}

WORDS = ("g", "i", "width", "scalars", "threshold", "crossed", "unstable", "fma", "real",
         "exp2", "log2", "abs", "within", "exponential", "inline", "kernel", "range", "step",
         "STRIDE", "LANES", "kept_apart", "widest_vectors")  # fmt: skip
"""What the source uses itself, so that no value may have these names."""


class Line(NamedTuple):
    """The exponential 2^(slope·x + offset)."""

    x: str
    slope: float
    offset: float


@dataclass(frozen=True)
class Source:
    """The source of a step, and where its values lie."""

    text: str
    rows: Mapping[str, int]  # number of the row of each state and each row of the program
    n_rows: int


def source(program: Program, dtype: str) -> Source:
    """Return the source of `step(g, scalars, threshold, width)` for a precision.

    It returns whether any neuron crosses the threshold upwards, and whether any is invalid.
    """
    return _Writer(program, dtype).source()


def _loops(program: Program) -> list[list[Op]]:
    """The operations in the loops that compute them, two for each stage."""
    stage: dict[Operand, int] = {}
    for k, op in enumerate(program.ops):
        stage[op.out] = sum(first <= k for first in program.stages) - 1
    early: set[Operand] = set()  # what the exponentials of its stage need
    for op in reversed(program.ops):
        if op.kind in TABLES or op.out in early:
            early |= {op.out, *(a for a in op.args if stage.get(a) == stage[op.out])}
    place = {op.out: 2 * stage[op.out] + (op.out not in early) for op in program.ops}
    readers: dict[Operand, list[str]] = {}
    for op in program.ops:
        for a in op.args:
            readers.setdefault(a, []).append(op.out)
    for op in program.ops:
        place[op.out] = _earlier(op, place, readers)
    loops: list[list[Op]] = [[] for _ in range(2 * len(program.stages))]
    for op in program.ops:
        loops[place[op.out]].append(op)
    return [loop for loop in loops if loop]


def _earlier(op: Op, place: Mapping[str, int], readers: Mapping[Operand, Sequence[str]]) -> int:
    """The loop of an operation: an earlier one than its own, if that saves an argument's row.

    This is the loop that makes the last of its arguments. An argument that no later loop reads then
    needs no row.
    """
    made = [a for a in op.args if isinstance(a, str) and a in place]
    latest = max((place[a] for a in made), default=place[op.out])
    for a in made:
        if all(place[reader] <= latest for reader in readers[a] if reader != op.out):
            return latest
    return place[op.out]


class _Writer:
    def __init__(self, program: Program, dtype: str):
        self.program, self.dtype = program, dtype
        self.loops = _loops(program)
        self.made = {op.out: k for k, loop in enumerate(self.loops) for op in loop}
        self.ops = {op.out: op for op in program.ops}
        self.rows = {"I": I_EXT, "leak": LEAK, "per_C_m": PER_C_M, "most_open": MOST_OPEN}
        self.rows |= {state: FIRST_STATE + k for k, state in enumerate(program.states)}
        others = [row for row in program.rows if row not in self.rows]
        self.rows |= {row: FIRST_STATE + len(program.states) + k for k, row in enumerate(others)}
        self.kept = self._kept()
        self.temporary, self.n_rows = self._temporary_rows()
        self.names = self._names()
        self.exponentials: dict[tuple[float, float], str] = {}
        self.lines = self._lines()
        self.folded = self._folded()

    def _lines(self) -> dict[str, Line]:
        """The exponentials of lines, whose exponents can't overflow."""
        found = {}
        for op in self.program.ops:
            argument = self.ops.get(str(op.args[0]))
            if op.kind == "exp2" and argument and argument.kind in ("fma", "mul"):
                x, slope, offset = (*argument.args, 0.0)[:3]
                if not isinstance(x, str) or isinstance(slope, str) or isinstance(offset, str):
                    continue
                if FARTHEST * abs(slope) + abs(offset) < LARGEST_EXPONENT[self.dtype]:
                    found[op.out] = Line(x, slope, offset)
        return found

    def _folded(self) -> set[Operand]:
        """The exponents that nothing but such an exponential reads."""
        exponents = {self.ops[out].args[0] for out in self.lines}
        read = {a for op in self.program.ops if op.out not in self.lines for a in op.args}
        return exponents - read

    def _names(self) -> dict[str, str]:
        """A name for each value, none of which the source uses itself."""
        names: dict[str, str] = {}
        taken: set[str] = set(WORDS)
        values = [*self.rows, *self.program.scalars, *self.ops]
        for value in values:
            name = value
            while name in taken or (name != value and name in values):
                name += "_"
            taken.add(name)
            names[value] = name
        return names

    def _kept(self) -> dict[int, Operand]:
        """What the loops around a step read after it, by the rows for that."""
        program = self.program
        return {
            SLOPE: program.slopes[0],
            END_SLOPE: program.slopes[-1],
            CONDUCTANCE: program.conductance,
        }

    def _temporary_rows(self) -> tuple[dict[str, int], int]:
        """A row for each value that another loop reads, and the number of all rows.

        A row is used again when its value has been read for the last time, unless the value is kept
        after the step. The row of V before the step is free until the end, when it is written.
        """
        kept = {value: row for row, value in self.kept.items() if value in self.made}
        last: dict[str, int] = {}
        for k, loop in enumerate(self.loops):
            for op in loop:
                last |= {a: k for a in op.args if isinstance(a, str) and self.made.get(a, k) < k}
        end = len(self.loops) - 1
        for value in self.program.outputs.values():
            if isinstance(value, str) and self.made.get(value, end) < end:
                last[value] = end
        n_rows = max(self.rows.values()) + 1
        free, place = [V_BEFORE], {}
        for k, loop in enumerate(self.loops):
            free += [place[a] for a, until in last.items() if until == k and a not in kept]
            for op in loop:
                if op.out in kept:
                    place[op.out] = kept[op.out]
                elif op.out in last:
                    if not free:
                        free, n_rows = [n_rows], n_rows + 1
                    place[op.out] = free.pop()
        return place, n_rows

    def source(self) -> Source:
        scalars = [self.names[scalar] for scalar in self.program.scalars]
        names = [f"loop_{k + 1}" for k in range(len(self.loops))]
        arguments = ", ".join(["g", "width", "threshold", *scalars])
        bodies = [
            ["@inline", f"def {name}({arguments}):", *self._loop(k), ""]
            for k, name in enumerate(names)
        ]
        step = [
            "@kernel",
            "def step(g, scalars, threshold, width):",
            "    kept_apart()",
            "    widest_vectors()",
            "    width = width // LANES * LANES  # so that LLVM knows: no remainder, which is slow",
            *(f"    {name} = scalars[{k}]" for k, name in enumerate(scalars)),
            *self._calls(names, arguments),
        ]
        functions = [
            f"{name} = exponential({slope!r}, {offset!r})"
            for (slope, offset), name in self.exponentials.items()
        ]
        lines = [*functions, "", *(line for body in bodies for line in body), *step, ""]
        return Source("\n".join(lines), self.rows, self.n_rows)

    def _calls(self, names: Sequence[str], arguments: str) -> Iterator[str]:
        """The calls of the loops. Each loop returns what it finds of crossed and unstable."""
        for k, name in enumerate(names):
            found = self._found(k)
            yield f"    {', '.join(found)}{' = ' if found else ''}{name}({arguments})"
        yield "    return crossed, unstable"

    def _found(self, k: int) -> list[str]:
        """What the k-th loop finds out about the neurons."""
        found = ["crossed"] if k == len(self.loops) - 1 else []
        return [*found, "unstable"] if k == self._loop_of_conductance else found

    @property
    def _loop_of_conductance(self) -> int:
        return self.made.get(str(self.program.conductance), len(self.loops) - 1)

    def _loop(self, k: int) -> list[str]:
        """The body of the function of the k-th loop."""
        last = k == len(self.loops) - 1
        ops = [op for op in self.loops[k] if op.out not in self.folded]
        outputs = self.program.outputs if last else {}
        copies = {row: value for row, value in self.kept.items()
                  if last and self.temporary.get(str(value)) != row}  # fmt: skip
        wanted = [a for op in ops for a in self._arguments(op)] + list(copies.values())
        wanted += ["V", *outputs.values()] if last else []
        if k == self._loop_of_conductance:
            wanted += [self.program.conductance, "most_open"]
        loaded = dict.fromkeys(
            a for a in wanted
            if isinstance(a, str) and a not in self.program.scalars and self.made.get(a) != k
        )  # fmt: skip
        body = [f"{self.names[a]} = {self._at(a)}" for a in loaded]
        limited: set[str] = set()
        for op in ops:
            if op.out in self.lines and self.lines[op.out].x not in limited:
                x = self.lines[op.out].x
                body.append(f"{self.names[x]}_limited = within({self.names[x]}, {FARTHEST})")
                limited.add(x)
            body.append(f"{self.names[op.out]} = {self._expression(op)}")
        body += [
            f"{self._at(op.out)} = {self.names[op.out]}" for op in ops if op.out in self.temporary
        ]
        body += [f"g[i + {row} * STRIDE] = {self._operand(a)}" for row, a in copies.items()]
        body += [f"{self._at(state)} = {self._operand(value)}" for state, value in outputs.items()]
        if k == self._loop_of_conductance:
            conductance, most_open = map(self._operand, (self.program.conductance, "most_open"))
            body.append(f"unstable |= not ({conductance} <= {most_open})  # true for NaN")
        if last:
            V, V_next = self.names["V"], self._operand(outputs["V"])
            body += [
                f"g[i + {V_BEFORE} * STRIDE] = {V}",
                f"crossed |= ({V} < threshold) & ({V_next} >= threshold)",
            ]
        found = self._found(k)
        before = ("widest_vectors()", *(f"{name} = False" for name in found))
        return [
            *(f"    {line}" for line in (*before, "for i in range(width):")),
            *(f"        {line}" for line in body),
            *(f"    return {', '.join(found)}" for _ in found[:1]),
        ]

    def _arguments(self, op: Op) -> tuple[Operand, ...]:
        """The values that an operation reads."""
        return (self.lines[op.out].x,) if op.out in self.lines else op.args

    def _at(self, value: str) -> str:
        """The element of a neuron that has this value."""
        row = self.temporary[value] if value in self.temporary else self.rows[value]
        return f"g[i + {row} * STRIDE]"

    def _operand(self, operand: Operand) -> str:
        return self.names[operand] if isinstance(operand, str) else f"real({operand!r})"

    def _expression(self, op: Op) -> str:
        if op.out in self.lines:
            x, slope, offset = self.lines[op.out]
            name = f"exponential_{len(self.exponentials) + 1}"
            function = self.exponentials.setdefault((slope, offset), name)
            return f"{function}({self.names[x]}_limited)"
        return OPERATIONS[op.kind].format(*map(self._operand, op.args))
