"""A membrane's step, made ready for groups of neurons: constants, rows and room to work in."""

import linecache
from collections.abc import Callable, Mapping
from functools import cache
from types import CodeType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hhplug.lowering.lower import lower
from hhplug.lowering.program import Program
from hhplug.membranes.membrane import Membrane
from hhplug.problem import Method
from hhplug_numpy.equations import Source, exp2_is_vectorised, source, views

Array = NDArray[Any]

CACHE_LINE = 64  # bytes
FUNCTIONS = (
    "add",
    "copyto",
    "divide",
    "exp",
    "exp2",
    "log2",
    "multiply",
    "square",
    "subtract",
    "tanh",
)


def aligned(count: int, width: int, dtype: np.dtype) -> Array:
    """An empty (count, width) array that begins with a cache line: 64-byte vectors cross none."""
    raw = np.empty(count * width * dtype.itemsize + CACHE_LINE, np.uint8)
    begin = -raw.ctypes.data % CACHE_LINE
    return raw[begin : begin + count * width * dtype.itemsize].view(dtype).reshape(count, width)


def guard(u: Array, width: Array, near: Array, far: Array, out: Array) -> None:
    """The series `near` where |u| ≤ width, else `far`."""
    np.copyto(out, np.where(np.abs(u) > width, far, near))


@cache
def written(
    membrane: Membrane, dtype: str, method: Method = "rk4"
) -> tuple[Program, Source, CodeType]:
    """Return a membrane's program in a precision, its source, and that compiled."""
    program = lower(membrane, f"numpy-{dtype}", method)
    return program, *compiled(program, exp2_is_vectorised())


def compiled(program: Program, binary: bool) -> tuple[Source, CodeType]:
    """Return the source of a program, and that compiled."""
    found = source(program, binary)
    path = f"<hhplug: {program.membrane} {program.digest[:16]}>"
    # With its lines here, a traceback shows them.
    linecache.cache[path] = (len(found.text), None, found.text.splitlines(keepends=True), path)
    return found, compile(found.text, path, "exec")


class Step(NamedTuple):
    """A group's step, and what it computes besides the state. Arrays are (width,) or ()."""

    advance: Callable[[], None]  # advances the state by a step
    slopes: tuple[Array, Array]  # dV/dt at the start and the end of the step, mV per step / 2
    conductance: Array  # of open channels at the start, as the program has it


class Stepper:
    """Room for one group of `width` neurons at work: few rows, so that they stay in the cache."""

    def __init__(
        self, membrane: Membrane, width: int, dt: float, dtype: np.dtype, method: Method = "rk4"
    ):
        self.program, self._source, self._code = written(membrane, dtype.name, method)
        self._dtype = dtype
        self.I_ext = aligned(1, width, dtype)[0]
        self._names: dict[str, Any] = {name: getattr(np, name) for name in FUNCTIONS}
        self._names |= {"guard": guard, "real": self.number, "one": self.number(1.0)}
        self._names |= {name: self.number(value)
                        for name, value in self.program.scalar_values(dt).items()}  # fmt: skip
        self._names["I"] = self.I_ext
        for k, size in enumerate(self._source.blocks):
            self._names |= _viewed(f"block_{k}", aligned(size, width, dtype))

    def number(self, value: float) -> Array:
        """A number as an array without dimensions."""
        return np.array(value, self._dtype)

    def step_of(self, state: Array, rows: Mapping[str, Array]) -> Step:
        """Return the step of a group with this state, (n_states, width).

        The current is held throughout; it is in `I_ext`, as the program's `I`.
        """
        names = {**self._names, **rows, **_viewed("state", state)}
        exec(self._code, names)
        begin, end = self._source.slopes
        return Step(names["step"], (names[begin], names[end]), names[self._source.conductance])


def _viewed(name: str, block: Array) -> dict[str, Array]:
    return {view: block[index] for view, index in views(name, len(block)).items()}
