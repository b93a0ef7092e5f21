"""The text that is compiled for a membrane: hh.cu, what it includes, and the membrane's step."""

from functools import cache
from importlib.resources import files

from hhplug.lowering.lower import lower
from hhplug.membranes.membrane import Membrane
from hhplug.problem import Method
from hhplug_pycuda.equations import Equations

MEMBRANE = '#include "membrane.cuh"\n'
PARTS = ("noise.cuh", "features.cuh")


@cache
def equations(membrane: Membrane, dtype: str, method: Method = "rk4") -> Equations:
    """The membrane's part of the kernel; dtype is "float32" or "float64"."""
    return Equations(lower(membrane, f"gpu-{dtype}", method), dtype)


@cache
def source(membrane: Membrane, dtype: str, method: Method = "rk4") -> str:
    """The CUDA C text of the kernel; dtype is "float32" or "float64"."""
    folder = files("hhplug_pycuda")
    text = folder.joinpath("hh.cu").read_text(encoding="utf-8")
    text = text.replace(MEMBRANE, equations(membrane, dtype, method).header)
    for name in PARTS:
        part = folder.joinpath(name).read_text(encoding="utf-8")
        text = text.replace(f'#include "{name}"\n', part)
    return text
