"""Parameters in, features out: a simulator as libraries of simulation-based inference call it."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hhplug import checks
from hhplug.checks import known_arguments
from hhplug.currents.checked import checked_terms
from hhplug.currents.stimulus import Stimulus
from hhplug.errors import InvalidInput
from hhplug.features.asked import checked_features
from hhplug.running.simulator import Simulator

Draws = TypeVar("Draws")  # an array or a tensor


class FeatureSimulator:
    """A function of parameters, (draws, parameters), that returns features, (draws, features).

    simulator: has the backend, the membrane, the method, and the parameters that aren't drawn.
    names: parameters of the membrane, in the order of the columns.
    T, dt: ms. stimulus: of all draws. features, window: as for `Simulator.run`.
    seed: of all noise. Every call draws new noise, which follows from the seed, the parameters, the
        seeds of the stimulus, and how many calls were made before. So it differs between processes
        that are given different parameters.

    A tensor of PyTorch gives a tensor of the same type on the same device, in float32 if it holds
    integers; anything else gives an array in float64. One draw, (parameters,), gives (features,). A
    feature that a neuron doesn't have is NaN, and so are all features of an invalid neuron. No
    trace is kept.

    Raises InvalidInput for names that the membrane doesn't have, for the same name twice, and for
    no names or features; a call raises it for parameters of another shape or of impossible values,
    and what `Simulator.run` does.

    >>> from hhplug import FeatureSimulator, Simulator, Stimulus
    >>> simulator = FeatureSimulator(
    ...     Simulator("numpy"), ("g_Na", "g_K"), T=50.0, features=("spike_count", "latency"),
    ...     stimulus=Stimulus.constant(10.0),
    ... )
    >>> simulator([[120.0, 36.0], [120.0, 20.0]]).round(1)  # mS/cm², then spikes and ms
    array([[4. , 1.9],
           [5. , 1.6]])
    """

    @known_arguments
    def __init__(
        self,
        simulator: Simulator,
        names: Sequence[str],
        T: float,
        *,
        features: Sequence[str],
        stimulus: Stimulus | None = None,
        dt: float = 0.025,
        window: tuple[float, float] | None = None,
        seed: int = 0,
    ):
        self.names = (names,) if isinstance(names, str) else tuple(names)
        for name in self.names:
            checks.choice("parameter", name, simulator.membrane.parameters)
        if not self.names or len(set(self.names)) < len(self.names):
            raise InvalidInput(f"names must name at least one parameter, each once, got {names!r}")
        self.features = checked_features(features)
        if not self.features:
            raise InvalidInput('features must name at least one, such as "spike_count"')
        self._simulator, self._stimulus = simulator, checked_terms(stimulus)
        self._run = {"T": T, "dt": dt, "window": window}
        self._seed, self._calls = checks.whole("seed", seed, 0), 0

    def __call__(self, parameters: Draws) -> Draws:
        """The features of each draw, in the order of `features`: (draws, features)."""
        draws: Any = parameters
        is_tensor = hasattr(draws, "new_tensor")
        # NumPy has no bfloat16.
        given = draws.detach().cpu().double() if is_tensor else draws
        values = np.asarray(checks.real_array("parameters", given, checks.PURE), np.float64)
        if values.ndim not in (1, 2) or values.shape[-1] != len(self.names):
            raise InvalidInput(
                f"parameters must be (draws, {len(self.names)}), the values of "
                f"{', '.join(self.names)}, got {values.shape}"
            )
        found = self._features(np.atleast_2d(values))
        found = found[0] if values.ndim == 1 else found
        if not is_tensor:
            return found  # type: ignore[return-value]
        # A tensor of integers can't hold NaN.
        return (draws if draws.is_floating_point() else draws.float()).new_tensor(found)

    def _features(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        if not len(values):
            return np.empty((0, len(self.features)))
        simulator = self._simulator.with_parameters(
            {
                name: np.ascontiguousarray(column)
                for name, column in zip(self.names, values.T, strict=True)
            }
        )
        result = simulator.run(
            batch_size=len(values),
            stimulus=self._with_new_noise(values),
            record=(),
            spikes="off",
            features=self.features,
            **self._run,
        )
        return np.stack([result.features[name] for name in self.features], axis=1)

    def _with_new_noise(self, values: NDArray[np.float64]) -> Stimulus:
        """The stimulus with other seeds."""
        self._calls += 1

        def new(seed: int) -> int:
            label = f"{self._seed} {self._calls} {seed} ".encode()
            return int.from_bytes(blake2b(label + values.tobytes(), digest_size=8).digest())

        return self._stimulus.with_seeds(new)
