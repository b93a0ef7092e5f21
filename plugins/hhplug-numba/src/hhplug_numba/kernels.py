"""A membrane's kernel: its source, compiled, and the layout that it expects."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from hhplug.lowering.lower import lower
from hhplug.lowering.program import Program
from hhplug.membranes.membrane import Membrane
from hhplug.problem import Method
from hhplug_numba import intrinsics
from hhplug_numba.compiler import digest_of, executed
from hhplug_numba.equations import Source, source
from hhplug_numba.layout import LANES, stride_of, widest
from hhplug_numba.population import population


@dataclass(frozen=True)
class Kernel:
    """The compiled loops of a membrane in a precision."""

    program: Program
    source: Source
    advance: Any  # see `population`


@cache
def kernel(membrane: Membrane, dtype: str, method: Method = "rk4") -> Kernel:
    """Return the kernel of a membrane, which is compiled or read from a file when first called."""
    program = lower(membrane, f"cpu-{dtype}", method)
    written = source(program, dtype)
    step, stride, digest = compiled_step(written, np.dtype(dtype))
    return Kernel(program, written, population(step, stride, dtype, digest))


def compiled_step(written: Source, dtype: np.dtype) -> tuple[Any, int, str]:
    """Return the function of a source, the distance between rows, and the digest of both."""
    stride = stride_of(widest(written.n_rows, dtype), dtype)
    digest = digest_of(written.text, dtype.name, str(stride))
    words = {name: getattr(intrinsics, name) for name in intrinsics.__all__}
    words |= {"real": dtype.type, "STRIDE": stride, "LANES": LANES}
    return executed(written.text, dtype.name, digest, words)["step"], stride, digest
