"""The text that is compiled for a membrane: hh.cu with the membrane's step printed into it."""

from functools import cache
from importlib.resources import files

from hhplug.lowering.lower import lower
from hhplug.membranes.membrane import Membrane
from hhplug_pycuda.equations import Equations

HEADER = '#include "membrane.cuh"\n'


@cache
def equations(membrane: Membrane, dtype: str) -> Equations:
    """The membrane's part of the kernel; dtype is "float32" or "float64"."""
    return Equations(lower(membrane, f"gpu-{dtype}"), dtype)


@cache
def source(membrane: Membrane, dtype: str) -> str:
    """The CUDA C text of the kernel; dtype is "float32" or "float64"."""
    kernel = files("hhplug_pycuda").joinpath("hh.cu").read_text(encoding="utf-8")
    return kernel.replace(HEADER, equations(membrane, dtype).header)
