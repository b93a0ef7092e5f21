"""The text that is compiled for a membrane: hh.cu with the membrane's step printed into it."""

from functools import cache
from importlib.resources import files

from hhplug.lowering.lower import lower
from hhplug.membranes.membrane import Membrane
from hhplug.problem import Method
from hhplug_pycuda.equations import Equations

HEADER = '#include "membrane.cuh"\n'


@cache
def equations(membrane: Membrane, dtype: str, method: Method = "rk4") -> Equations:
    """The membrane's part of the kernel; dtype is "float32" or "float64"."""
    return Equations(lower(membrane, f"gpu-{dtype}", method), dtype)


@cache
def source(membrane: Membrane, dtype: str, method: Method = "rk4") -> str:
    """The CUDA C text of the kernel; dtype is "float32" or "float64"."""
    kernel = files("hhplug_pycuda").joinpath("hh.cu").read_text(encoding="utf-8")
    return kernel.replace(HEADER, equations(membrane, dtype, method).header)
