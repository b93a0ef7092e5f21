"""Random populations. A test can run some of their neurons or some of their steps."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug.currents.stimulus import Stimulus
from hhplug.membranes.hh_parameters import HHParameters

DT = 0.02  # ms; most neurons spike within 20 steps of the initial states drawn below
CURRENTS = ("terms", "shared", "array", "time", "none")


class Population:
    """n random neurons over n_steps steps. The first neurons are the same for every n."""

    n_largest = 70_000

    def __init__(self, n: int, n_steps: int, current: str = "terms", seed: int = 1952):
        rng = np.random.default_rng(seed)

        def drawn(low: float, high: float) -> NDArray[np.float64]:
            return rng.uniform(low, high, self.n_largest)[:n]

        self.n, self.n_steps, self._current = n, n_steps, current
        self._amplitude, self._last = drawn(-5.0, 40.0), drawn(-5.0, 40.0)
        gates = (drawn(0.0, 0.5), drawn(0.2, 0.7), drawn(0.2, 0.6))
        self._state = np.stack([drawn(-80.0, 10.0), *gates])
        self._parameters = {
            "C_m": drawn(0.8, 1.2),
            "g_Na": drawn(90.0, 150.0),
            "g_K": drawn(30.0, 42.0),
            "g_L": drawn(0.2, 0.4),
            "E_Na": drawn(45.0, 55.0),
            "E_K": drawn(-80.0, -74.0),
            "E_L": drawn(-60.0, -50.0),
        }
        if current in ("array", "time"):
            self._array = rng.uniform(-5.0, 40.0, (n_steps, n)).astype(np.float32)

    def arguments(
        self, neurons: Any = slice(None), steps: slice = slice(None), **changes: Any
    ) -> dict[str, Any]:
        """Return the arguments of `Problem` for some of the neurons and steps.

        `steps` cuts an array current; of other currents it only sets the number of steps.
        """
        count = len(range(self.n_steps)[steps])
        parameters = {name: value[neurons] for name, value in self._parameters.items()}
        return {
            "T": count * DT,
            "dt": DT,
            "stimulus": self._stimulus(neurons, steps),
            "parameters": HHParameters(**parameters),
            "initial_state": self._state[:, neurons],
            "record": tuple("Vmhn"),
        } | changes

    def _stimulus(self, neurons: Any, steps: slice) -> Any:
        amplitude, last = self._amplitude[neurons], self._last[neurons]
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
