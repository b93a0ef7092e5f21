"""Random populations. A test can run some of their neurons or some of their steps."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug.currents.stimulus import Stimulus
from hhplug.membranes.hh_parameters import HHParameters

DT = 0.02  # ms; most neurons spike within 20 steps of the initial states drawn below
CURRENTS = ("terms", "shared", "array", "time", "none")
N_LARGEST = 70_000
PARAMETERS = {
    "C_m": (0.8, 1.2),
    "g_Na": (90.0, 150.0),
    "g_K": (30.0, 42.0),
    "g_L": (0.2, 0.4),
    "E_Na": (45.0, 55.0),
    "E_K": (-80.0, -74.0),
    "E_L": (-60.0, -50.0),
}
LIMITS = {
    "amplitude": (-5.0, 40.0),
    "last": (-5.0, 40.0),
    "m": (0.0, 0.5),
    "h": (0.2, 0.7),
    "n": (0.2, 0.6),
    "V": (-80.0, 10.0),
    **PARAMETERS,
}
"""Least and largest value of whatever a neuron draws, in the order in which it is drawn."""


@cache
def _drawn(seed: int) -> dict[str, NDArray[np.float64]]:
    """What N_LARGEST neurons draw, once per process: hundreds of tests use the same neurons."""
    rng = np.random.default_rng(seed)
    drawn = {name: rng.uniform(*limits, N_LARGEST) for name, limits in LIMITS.items()}
    for values in drawn.values():
        values.flags.writeable = False
    return drawn


class Population:
    """n random neurons over n_steps steps. The first neurons are the same for every n."""

    def __init__(self, n: int, n_steps: int, current: str = "terms", seed: int = 1952):
        self.n, self.n_steps, self._current = n, n_steps, current
        drawn = {name: values[:n] for name, values in _drawn(seed).items()}
        self._amplitude, self._last = drawn["amplitude"], drawn["last"]
        self._state = np.stack([drawn[name] for name in "Vmhn"])
        self._parameters = {name: drawn[name] for name in PARAMETERS}
        if current in ("array", "time"):
            rng = np.random.default_rng([seed, n_steps])
            self._array = rng.uniform(-5.0, 40.0, (n_steps, n)).astype(np.float32)

    def arguments(
        self, neurons: Any = slice(None), steps: slice = slice(None), **changes: Any
    ) -> dict[str, Any]:
        """Return the arguments of `Problem` for some of the neurons and steps.

        `steps` cuts an array current; of other currents it only sets the number of steps.
        """
        count = len(range(self.n_steps)[steps])
        parameters = {name: _some(value, neurons) for name, value in self._parameters.items()}
        return {
            "T": count * DT,
            "dt": DT,
            "stimulus": self._stimulus(neurons, steps),
            "parameters": HHParameters(**parameters),
            "initial_state": self._state[:, neurons],
            "record": tuple("Vmhn"),
        } | changes

    def _stimulus(self, neurons: Any, steps: slice) -> Any:
        amplitude, last = _some(self._amplitude, neurons), _some(self._last, neurons)
        if self._current == "terms":
            return (
                Stimulus.step(amplitude, start=0.08, stop=0.7)
                + Stimulus.pulse_train(5.0, 0.1, 0.13, 0.3, 4)
                + Stimulus.ramp(last, amplitude, start=0.06, stop=0.9)
                + Stimulus.sine(3.0, 1700.0, phase=0.3, offset=last)
            )
        if self._current == "shared":
            return Stimulus.step(17.0, start=0.16, stop=0.7)
        if self._current == "array":
            return self._array[steps][:, neurons]
        if self._current == "time":
            return self._array[steps, 0]
        return None


def _some(values: NDArray[np.float64], neurons: Any) -> NDArray[np.float64]:
    """Return the values of some neurons, read-only: the core copies no such array."""
    some = values[neurons]
    some.flags.writeable = False
    return some
