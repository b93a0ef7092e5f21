"""The warning of neurons that became invalid, and what would do."""

import numpy as np
from numpy.typing import NDArray

from hhplug.errors import warn
from hhplug.problem import Problem
from hhplug.validity import STABILITY_LIMITS, Invalid


def warn_of_invalid(problem: Problem, invalid: Invalid) -> None:
    """Warn of neurons that became invalid in this run, but not of those that were so before."""
    if not invalid.neuron.size:
        return
    fresh = ~np.isin(invalid.neuron, problem.invalid.neuron)
    fresh &= np.isfinite(problem.initial_state[:, invalid.neuron]).all(axis=0)
    neuron, step = invalid.neuron[fresh], invalid.step[fresh]
    if not neuron.size:
        return
    first = np.argmin(step)
    dt = problem.dt
    stable = _stable_dt(problem, neuron)
    if stable < dt:
        reason = (
            f"dt={dt:g} ms is too long for their conductances, so that V, spikes and rates mean "
            f'nothing from then on; use dt={stable:.15g} or Simulator(method="stiff")'
        )
    else:
        reason = (
            f"with dt={dt:g} ms their currents or parameters drive V or a gate beyond all bounds; "
            "use a smaller dt, or look at these neurons' inputs"
        )
    warn(
        f"{neuron.size} of {problem.n_neurons} neurons became invalid, the first neuron "
        f"{neuron[first]} at {step[first] * dt:g} ms: {reason} (result.first_invalid_step)"
    )


def _stable_dt(problem: Problem, neurons: NDArray[np.int64]) -> float:
    """The largest dt/2ᵏ (ms) at which the neurons are stable with all channels open."""
    parameters = problem.parameters.take(neurons)
    channels = problem.membrane.equations.conductances(parameters).values()
    total = sum(conductance for conductance, _ in channels) / parameters["C_m"]  # 1/ms
    times_too_long = problem.dt * float(np.max(total)) / STABILITY_LIMITS[problem.method]
    halvings = np.ceil(np.log2(times_too_long)) if 1.0 < times_too_long < np.inf else 0
    return problem.dt / 2.0**halvings
