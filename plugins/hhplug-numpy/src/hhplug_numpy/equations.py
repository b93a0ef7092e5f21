"""A program's step as Python source that calls NumPy, in place and without new arrays.

A call costs NumPy as long as some 4,000 float32 products, so a step is written for few calls:
constants are arrays without dimensions (a Python float is converted at each call), `out` goes by
position, and what can share a call lies side by side in one block of rows.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from hhplug.lowering.program import Program
from hhplug_numpy.packing import Call, packed

FUNCTIONS = {
    "add": "add({}, {}, {out})",
    "sub": "subtract({}, {}, {out})",
    "mul": "multiply({}, {}, {out})",
    "square": "square({}, {out})",
    "div": "divide({}, {}, {out})",
    "rcp": "divide(one, {}, {out})",
    "exp2": "exp2({}, {out})",
    "exp": "exp({}, {out})",
    "log2": "log2({}, {out})",
    "tanh": "tanh({}, {out})",
    "guard": "guard({}, {}, {}, {}, {out})",
}


class Source(NamedTuple):
    """The source of a step, and the rows that it works on.

    Its names: the states are rows of the block `state`; constants, rows of the program and scalars
    have their own; `block_k` is a block of temporary values.
    """

    text: str
    blocks: tuple[int, ...]  # number of rows of each temporary block
    slopes: tuple[str, str]  # names of dV/dt at the start and the end of the step, mV per dt/2
    conductance: str  # name of the open conductance


def exp2_is_vectorised() -> bool:
    """Whether NumPy vectorises exp2, which it does with AVX-512; exp is then slower, else faster.

    10,000 float32 on an AMD EPYC: exp 5.3 µs, exp2 3.3 µs; with AVX2 alone 6 and 16 µs.
    """
    found = np.show_config(mode="dicts").get("SIMD Extensions", {}).get("found", [])
    return bool({"X86_V4", "AVX512_SKX"} & set(found))


def source(program: Program, binary: bool) -> Source:
    """Return the source of `step()`. binary: compute exponentials by exp2, else by exp."""
    return _Writer(program, binary).source()


class _Writer:
    def __init__(self, program: Program, binary: bool):
        self.program, self.binary = program, binary
        found = packed(program)
        self.calls = found.calls if binary else tuple(_natural(found.calls))
        self.block = {value: block for block in found.blocks for value in block}
        self.constants: dict[float, str] = {}
        self.place: dict[tuple[str, ...], int] = {}  # the temporary block of values that are alive
        self.sizes: list[int] = []
        self.free: list[int] = []
        self.last = self._last_uses()

    def _home(self, value: str) -> tuple[str, ...]:
        return self.block.get(value, (value,))

    def _last_uses(self) -> dict[tuple[str, ...], int]:
        """The call that reads a block last."""
        last = {}
        for k, call in enumerate(self.calls):
            for arg in call.args:
                if isinstance(arg, tuple):
                    last |= {self._home(value): k for value in arg}
            for out in call.outs:
                last.setdefault(self._home(out), k)
        for value in self.program.results:
            if isinstance(value, str):
                last[self._home(value)] = len(self.calls)
        return last

    def source(self) -> Source:
        lines, outputs = [], tuple(self.program.outputs.values())
        whole = self.calls[-1].outs == outputs
        for k, call in enumerate(self.calls):
            args = [self._argument(arg) for arg in call.args]
            self._free(k)
            into_state = whole and k == len(self.calls) - 1
            out = "state" if into_state else self._place(call)
            kind = "square" if call.kind == "mul" and args[0] == args[1] else call.kind
            comment = ", ".join(call.outs)
            lines.append(f"    {FUNCTIONS[kind].format(*args, out=out)}  # {comment}")
        if not whole:
            for state, value in self.program.outputs.items():
                if value != state:
                    argument = self._argument((value,) if isinstance(value, str) else value)
                    lines.append(f"    copyto({self._rows((state,))}, {argument})")
        program = self.program
        begin, end, conductance = (
            self._argument((value,) if isinstance(value, str) else value)
            for value in (program.slopes[0], program.slopes[-1], program.conductance)
        )
        numbers = [f"{name} = real({value!r})" for value, name in self.constants.items()]
        text = "\n".join([*numbers, "", "", "def step():", *lines, ""])
        return Source(text, tuple(self.sizes), (begin, end), conductance)

    def _free(self, k: int) -> None:
        """Let the blocks be used again that the k-th call reads last."""
        for home in [home for home in self.place if self.last[home] == k]:
            self.free.append(self.place.pop(home))

    def _place(self, call: Call) -> str:
        home = self._home(call.outs[0])
        if home not in self.place:
            fitting = [b for b in self.free if self.sizes[b] == len(home)]
            if fitting:
                self.free.remove(fitting[-1])  # the one used last is likelier in the cache
            else:
                fitting.append(len(self.sizes))
                self.sizes.append(len(home))
            self.place[home] = fitting[-1]
        return self._rows(call.outs)

    def _rows(self, values: tuple[str, ...]) -> str:
        """The name of the rows in which values lie."""
        home = self._home(values[0])
        if values[0] in self.program.states:
            return _rows_of("state", home.index(values[0]), len(values), len(home))
        if home not in self.place:
            return values[0]  # a row of the program or a scalar
        return _rows_of(f"block_{self.place[home]}", home.index(values[0]), len(values), len(home))

    def _argument(self, arg: float | tuple[str, ...]) -> str:
        if isinstance(arg, tuple):
            return self._rows(arg)
        if arg == 1.0:
            return "one"
        return self.constants.setdefault(arg, f"c_{len(self.constants)}")


def _rows_of(block: str, first: int, count: int, of: int) -> str:
    """The name of a view: the whole block, one row, or some rows."""
    if count == of:
        return block
    return f"{block}_{first}" if count == 1 else f"{block}_{first}_to_{first + count - 1}"


def views(name: str, size: int) -> Mapping[str, slice | int]:
    """What the names of a block's views stand for, as indices of the block."""
    found: dict[str, slice | int] = {name: slice(None)} if size > 1 else {name: 0}
    if size > 1:
        for first in range(size):
            found[f"{name}_{first}"] = first
            found |= {f"{name}_{first}_to_{last}": slice(first, last + 1)
                      for last in range(first + 1, size)}  # fmt: skip
    return found


def _natural(calls: tuple[Call, ...]) -> list[Call]:
    """The calls with e^x in place of 2^x. A factor of the exponent takes up the logarithm of 2."""
    made = {out: call for call in calls for out in call.outs}
    readers: dict[str, int] = {}
    for call in calls:
        for arg in call.args:
            for value in arg if isinstance(arg, tuple) else ():
                readers[value] = readers.get(value, 0) + 1
    scaled: dict[str, Call] = {}  # exponents with another factor
    found: list[Call] = []
    for call in calls:
        if call.kind != "exp2":
            found.append(call)
            continue
        (arg,) = call.args
        assert isinstance(arg, tuple)
        product = made.get(arg[0])
        factor = next((a for a in product.args if isinstance(a, float)), None) if product else None
        if product and product.kind == "mul" and factor and readers[arg[0]] == 1:
            others = (a for a in product.args if not isinstance(a, float))
            scaled[arg[0]] = Call("mul", product.outs, (*others, factor * math.log(2.0)))
        else:
            found.append(Call("mul", call.outs, (arg, math.log(2.0))))
            arg = call.outs
        found.append(Call("exp", call.outs, (arg,)))
    return [scaled.get(call.outs[0], call) for call in found]
