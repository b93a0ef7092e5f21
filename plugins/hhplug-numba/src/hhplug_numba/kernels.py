"""A membrane's kernel: its source, compiled, and the layout that it expects."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from hhplug.lowering.lower import lower
from hhplug.lowering.program import Program
from hhplug.membranes.membrane import Membrane
from hhplug_numba import intrinsics
from hhplug_numba.compiler import digest_of, executed
from hhplug_numba.equations import Source, source
from hhplug_numba.layout import LANES, stride_of, widest
from hhplug_numba.population import population


@dataclass(frozen=True)
class Kernel:
    program: Program
    source: Source
    advance: Any  # see `population`


@cache
def kernel(membrane: Membrane, dtype: str) -> Kernel:
    """Return the kernel of a membrane in a precision, which is compiled when it is first called."""
    program = lower(membrane, f"cpu-{dtype}")
    written = source(program, dtype)
    real = np.dtype(dtype)
    stride = stride_of(widest(written.n_rows, real), real)
    digest = digest_of(written.text, dtype, str(stride))
    words = {name: getattr(intrinsics, name) for name in intrinsics.__all__}
    words |= {"real": real.type, "STRIDE": stride, "LANES": LANES}
    name = f"{dtype}"
    step = executed(written.text, name, digest, words)["step"]
    return Kernel(program, written, population(step, stride, name, digest))
