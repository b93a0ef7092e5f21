"""What the description of a membrane says of rates, by the names that they have in a program."""

import numpy as np

from hhplug.membranes.evaluation import compiled


def worst_rate_errors(membrane, V, found):
    """Return the largest relative error over V (mV) of each rate and steady state in `found`."""
    expected = _by_name(membrane, V.astype(np.float64))
    return {
        label: np.abs(values / expected[label] - 1.0).max()
        for label, values in found.items()
        if label in expected
    }


def _by_name(membrane, V):
    """Return rates (1/ms, without their speed) and steady states."""
    found = {}
    for name, rates in membrane.rates(V).items():
        gate = membrane.reading.gates[name]
        if gate.instantaneous:
            found[f"{name}_1"] = rates.inf
            continue
        per_tau = 1.0 / (rates.tau * compiled(gate.speed)(membrane.equations.defaults))
        found |= {f"alpha_{name}_1": rates.inf * per_tau, f"alpha_beta_{name}_1": per_tau}
        found |= {f"inf_{name}_1": rates.inf, f"per_tau_{name}_1": per_tau}
    return found
