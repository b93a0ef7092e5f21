"""The parameters of the squid membrane as a class, whose keywords an editor can complete."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike

from hhplug.checks import known_arguments


@dataclass(frozen=True, eq=False, repr=False)
class HHParameters:
    """Parameters of the squid membrane. Each is a number for all neurons or an (n,) array.

    C_m is in µF/cm², the conductances g are in mS/cm², and the reversal potentials E in mV. The
    defaults are those of the squid giant axon (Hodgkin & Huxley 1952, table 3). The values are
    checked when a `Simulator` or a `Problem` is made.

    >>> HHParameters(g_Na=[100.0, 140.0]).g_K
    36.0
    """

    C_m: ArrayLike = 1.0  # µF/cm²
    g_Na: ArrayLike = 120.0  # mS/cm²
    g_K: ArrayLike = 36.0  # mS/cm²
    g_L: ArrayLike = 0.3  # mS/cm²
    E_Na: ArrayLike = 50.0  # mV
    E_K: ArrayLike = -77.0  # mV
    E_L: ArrayLike = -54.387  # mV

    def __repr__(self) -> str:
        values = (f"{field.name}={getattr(self, field.name)!r}" for field in fields(self))
        with np.printoptions(threshold=6, edgeitems=2, precision=6, linewidth=1000):
            return f"HHParameters({', '.join(values)})"


HHParameters.__init__ = known_arguments(HHParameters.__init__)
