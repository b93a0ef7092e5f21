"""The text that is compiled for a membrane: hh.cu, noise.cuh and the membrane's step in one."""

from functools import cache
from importlib.resources import files

from hhplug.lowering.lower import lower
from hhplug.membranes.membrane import Membrane
from hhplug.problem import Method
from hhplug_pycuda.equations import Equations

MEMBRANE = '#include "membrane.cuh"\n'
NOISE = '#include "noise.cuh"\n'


@cache
def equations(membrane: Membrane, dtype: str, method: Method = "rk4") -> Equations:
    """The membrane's part of the kernel; dtype is "float32" or "float64"."""
    return Equations(lower(membrane, f"gpu-{dtype}", method), dtype)


@cache
def source(membrane: Membrane, dtype: str, method: Method = "rk4") -> str:
    """The CUDA C text of the kernel; dtype is "float32" or "float64"."""
    kernel, noise = (
        files("hhplug_pycuda").joinpath(name).read_text(encoding="utf-8")
        for name in ("hh.cu", "noise.cuh")
    )
    return kernel.replace(MEMBRANE, equations(membrane, dtype, method).header).replace(NOISE, noise)
