"""The accuracy problem, which never changes, and the bounds on a backend's errors in it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from hhplug.currents.stimulus import Stimulus
from hhplug.membranes.hh_parameters import HHParameters
from hhplug.problem import DType, Problem

N_NEURONS = 255  # not a multiple of any thread block or vector

# The spans leave out currents for which the equations are ill-conditioned: no float32 method, not
# even a textbook NumPy loop, stays within the bounds below there. They are the currents that just
# evoke one spike (2.0–2.5: 1 mV after 50 ms) or a train (5.75–6.5: 5 mV), and those whose spike
# peaks at 5 ms (2.75–3.25: 0.012 mV at 5 ms). The errors are those of float32 NumPy against the
# reference at 8,000 currents.
CURRENTS = ((0.0, 1.8), (3.5, 5.0), (7.0, 20.0))  # µA/cm²


@dataclass(frozen=True)
class Bounds:
    """Largest permitted differences from the reference at the same dt."""

    V_5_ms: float  # mV, over the first 5 ms
    V_50_ms: float  # mV, over the first 50 ms
    spike_time: float  # ms, over 200 ms
    rate: float  # relative, V in [−150, 150] mV


BOUNDS: dict[DType, Bounds] = {
    "float32": Bounds(V_5_ms=0.01, V_50_ms=0.2, spike_time=0.002, rate=2e-5),
    "float64": Bounds(V_5_ms=1e-8, V_50_ms=1e-8, spike_time=1e-9, rate=1e-13),
}


def accuracy_problem(T: float, dtype: DType | None = None, **changes: Any) -> Problem:
    """Return the problem of 255 neurons with constant currents over T ms; dt is 0.01 ms.

    The neurons' parameters differ by up to 1 % from the default ones. Changes are further arguments
    of `Problem`.
    """
    spread = np.random.default_rng(1952).uniform(-0.01, 0.01, (7, N_NEURONS))
    default = HHParameters()
    parameters = {
        name: np.asarray(value) * (1.0 + change)
        for (name, value), change in zip(vars(default).items(), spread, strict=True)
    }
    thirds = [np.linspace(*span, N_NEURONS // 3) for span in CURRENTS]
    return Problem(
        T=T,
        dt=0.01,
        stimulus=Stimulus.constant(np.concatenate(thirds)),
        parameters=HHParameters(**parameters),
        dtype=dtype,
        **changes,
    )
