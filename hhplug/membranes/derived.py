"""What the kernels compute with that are written by hand for the squid membrane."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hhplug.checks import PerNeuron


def derived_parameters(parameters: Mapping[str, PerNeuron]) -> dict[str, NDArray[np.float64]]:
    """The values that a kernel computes with, by name; all arrays are (n,), or all are (1,).

    g_Na, g_K, g_L: conductances over C_m, 1/ms.
    E_Na, E_K: reversal potentials, mV.
    leak: g_L·E_L over C_m, mV/ms.
    per_C_m: 1/C_m, cm²/µF.
    """
    p = {name: np.atleast_1d(value) for name, value in parameters.items()}
    per_C_m = 1.0 / p["C_m"]
    derived = {name: p[name] * per_C_m for name in ("g_Na", "g_K", "g_L")}
    derived |= {"E_Na": p["E_Na"], "E_K": p["E_K"]}
    derived |= {"leak": derived["g_L"] * p["E_L"], "per_C_m": per_C_m}
    return dict(zip(derived, np.broadcast_arrays(*derived.values()), strict=True))
