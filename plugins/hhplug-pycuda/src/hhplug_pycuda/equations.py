"""A membrane's step as CUDA C: one operation a line, under the names of the equations.

Only the membrane's own part of the kernel is printed, as a header that hh.cu includes. What hh.cu
defines: real, fma_, exp2_, log2_, reciprocal and KEPT.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hhplug.lowering.program import Op, Operand, Program, needed_ops

EXPRESSIONS = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "fma": "fma_({0}, {1}, {2})",
    "fnma": "fma_(-{0}, {1}, {2})",
    "rcp": "reciprocal({0})",
    "exp2": "exp2_({0})",
    "log2": "log2_({0})",
}
"""Each kind of operation but `guard`, which is a statement."""

# Words that no member of a struct can be called: of C++, and macros of compilers on Linux.
TAKEN = frozenset(
    """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t
    char32_t class compl concept const const_cast consteval constexpr constinit continue co_await
    co_return co_yield decltype default delete do double dynamic_cast else enum explicit export
    extern false float for friend goto if inline int long mutable namespace new noexcept not not_eq
    nullptr operator or or_eq private protected public register reinterpret_cast requires return
    short signed sizeof static static_assert static_cast struct switch template this thread_local
    throw true try typedef typeid typename union unsigned using virtual void volatile wchar_t while
    xor xor_eq typeof linux unix NULL NAN INFINITY EOF HUGE real
    M_E M_LOG2E M_LOG10E M_LN2 M_LN10 M_PI M_PI_2 M_PI_4 M_1_PI M_2_PI M_2_SQRTPI M_SQRT2 M_SQRT1_2
    DEVICE KEPT DO STATES ROWS SCALARS N_STATES N_ROWS N_SCALARS N_CONSTANTS REAL64 RECORD CURRENT
    LATENCY NEVER HELD WAVEFORM WAVEFORMS ARRAY
    UNROLL THREADS BLOCKS BOUNDS NOISE ROUNDS PIECES TILE WARPS RANGE_AT_CROSSINGS
    FEATURES MEAN RANGE SPIKE_TIMES SHAPE STRETCH
    RANGE_IN_DTYPE SHAPE_IN_DTYPE SPIKE_SUMS SHAPE_SUMS
    """.split()  # noqa: SIM905 (a list of 120 strings is not readable)
)


STEP = (
    "struct Step {",
    "  State after;",
    "  real slope, end_slope;  // dV/dt at the begin and the end, mV/ms",
    "  bool valid;  // whether it was finite, and stable, at the begin",
    "};",
    "",
)

IN_A_LINE = 5  # members of a struct in a line of the list of them


@dataclass(frozen=True)
class Equations:
    """The header of a program in one precision, and the constants that its kernel is given.

    dtype: "float32" or "float64".
    """

    program: Program
    dtype: str

    @cached_property
    def constants(self) -> tuple[float, ...]:
        """The numbers of KEPT(k, number), in the order of k.

        An instruction of float32 holds one literal; these stand second in one.
        """
        if self.dtype == "float64":  # no instruction holds a literal of 64 bits
            return ()
        rounded = {float(np.float32(op.args[2])): None for op in self._ops if _second_literal(op)}
        return tuple(rounded)

    @cached_property
    def header(self) -> str:
        """What hh.cu includes as membrane.cuh."""
        program = self.program
        about = [" ".join(line.split()) for line in (_title(program), *program.notes)]
        return "\n".join(
            [
                *(f"// {line}" for line in about),
                "",
                *_struct("State", dict.fromkeys(program.states, "")),
                *_struct("Rows", {name: repr(row) for name, row in program.rows.items()}),
                *_struct("Scalars", {name: repr(dt) for name, dt in program.scalars.items()}),
                *STEP,
                f"#define N_CONSTANTS {len(self.constants)}",
                "",
                *self._step(),
                "",
            ]
        )

    @cached_property
    def _ops(self) -> list[Op]:
        """The operations that the results of the step depend on."""
        return needed_ops(self.program.ops, self.program.results)

    @cached_property
    def _names(self) -> Mapping[str, str]:
        """What each named value of the program is called in C."""
        program = self.program
        members = {"y": program.states, "p": program.rows, "s": program.scalars}
        return {name: f"{of}.{_member(name)}" for of, names in members.items() for name in names}

    @cached_property
    def _under_a_guard(self) -> Mapping[str, Op]:
        """Products that one guard alone needs, far from its singularity: made in its branch."""
        uses: dict[Operand, int] = {}
        for operand in (a for op in self._ops for a in op.args):
            uses[operand] = uses.get(operand, 0) + 1
        far = {op.args[3] for op in self._ops if op.kind == "guard"}
        return {
            op.out: op
            for op in self._ops
            if op.kind == "mul" and op.out in far and uses[op.out] == 1
        }

    def _step(self) -> Iterable[str]:
        program = self.program
        yield "// A step from y. I: I_ext·per_C_m + leak, held throughout."
        yield "DEVICE Step step(const State& y, real I, const Rows& p, const Scalars& s,"
        yield "                 const real* c) {"
        begins = {program.ops[k].out: j for j, k in enumerate(program.stages, 1)}
        for op in program.ops:
            if op.out in begins:
                yield f"  // stage {begins[op.out]}"
            if op in self._printed:
                yield from (f"  {line}" for line in self._statements(op))
        after = ", ".join(self._operand(program.outputs[state]) for state in program.states)
        begin, end = self._operand(program.slopes[0]), self._operand(program.slopes[-1])
        stable = f"{self._operand(program.conductance)} <= p.most_open"
        yield f"  return {{{{{after}}}, {begin}, {end}, {stable}}};"
        yield "}"

    @cached_property
    def _printed(self) -> frozenset[Op]:
        return frozenset(op for op in self._ops if op.out not in self._under_a_guard)

    def _statements(self, op: Op) -> Iterable[str]:
        if op.kind != "guard":
            yield f"const real {op.out} = {self._expression(op)};"
            return
        u, width, near, far = op.args
        magnitude = "fabsf" if self.dtype == "float32" else "fabs"
        product = self._under_a_guard.get(str(far))
        value = self._expression(product) if product else self._operand(far)
        yield f"real {op.out} = {self._operand(near)};"
        yield (f"if ({magnitude}({self._operand(u)}) > {self._operand(width)}) {op.out} = {value};")

    def _expression(self, op: Op) -> str:
        operands = [self._operand(operand) for operand in op.args]
        if _second_literal(op) and self.constants:
            k = self.constants.index(float(np.float32(op.args[2])))
            operands[2] = f"KEPT({k}, {operands[2]})"
        return EXPRESSIONS[op.kind].format(*operands)

    def _operand(self, operand: Operand) -> str:
        if isinstance(operand, str):
            return self._names.get(operand, operand)
        return f"{np.float32(operand)!s}f" if self.dtype == "float32" else repr(operand)


def _title(program: Program) -> str:
    return f"{program.membrane} for {program.target}: {len(program.ops)} operations a step"


def _second_literal(op: Op) -> bool:
    """Whether a fused operation has two numbers."""
    return (
        op.kind in ("fma", "fnma")
        and isinstance(op.args[2], float)
        and any(isinstance(a, float) for a in op.args[:2])
    )


def _member(name: str) -> str:
    return f"{name}_" if name in TAKEN else name


def _struct(name: str, members: Mapping[str, str]) -> Iterable[str]:
    """A struct of reals, each with what it is, and the list of its members for loops over them."""
    yield f"struct {name} {{"
    for member, formula in members.items():
        comment = "" if formula in ("", member) else f"  // {formula}"
        yield f"  real {_member(member)};{comment}"
    yield "};"
    plural = {"State": "STATES"}.get(name, name.upper())
    yield f"#define N_{plural} {len(members)}"
    calls = [f"DO({k}, {_member(member)})" for k, member in enumerate(members)]
    lines = [" ".join(calls[k : k + IN_A_LINE]) for k in range(0, len(calls), IN_A_LINE)]
    yield " \\\n  ".join([f"#define {plural}(DO)", *lines])
    yield ""
