"""The array of currents that a user gave as the stimulus."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from hhplug.currents.current import ArrayCurrent


class ArrayStimulus:
    """An array over time, as a `GivenStimulus`; it is never copied or cast whole.

    values: (n_steps,), or (n_steps, n) or (n_steps, 1), µA/cm², a row for each step of the run.
    columns: the column of each neuron, (n,); None if neuron i has column i.
    """

    terms: None = None
    seeds: tuple[int, ...] = ()

    def __init__(self, values: NDArray[Any], columns: NDArray[np.int64] | None = None):
        self.values, self._columns = values, columns

    def __repr__(self) -> str:
        return f"array of {self.values.dtype}"

    @property
    def as_given(self) -> NDArray[Any]:
        return self.values

    @property
    def as_argument(self) -> NDArray[Any]:
        values = np.asarray(self.values)
        return values if self._columns is None else values[:, self._columns]

    @property
    def n_neurons(self) -> int | None:
        if self._columns is not None:
            return len(self._columns)
        return self.values.shape[1] if self._is_per_neuron else None

    @property
    def _is_per_neuron(self) -> bool:
        return self.values.ndim == 2 and self.values.shape[1] > 1

    def take(self, neurons: Any) -> "ArrayStimulus":
        """The stimulus of some neurons; the array isn't copied for an array of indices either."""
        if not self._is_per_neuron:
            return self
        if self._columns is not None:
            return ArrayStimulus(self.values, self._columns[neurons])
        if isinstance(neurons, slice):
            return ArrayStimulus(self.values[:, neurons])
        return ArrayStimulus(self.values, neurons)

    def between(self, first: int, end: int) -> "ArrayStimulus":
        return ArrayStimulus(self.values[first:end], self._columns)

    def current(
        self,
        dt: float,  # noqa: ARG002
        neurons: NDArray[np.int64] | None = None,  # noqa: ARG002
        dtype: DTypeLike = np.float64,  # noqa: ARG002
        start_step: int = 0,
        carried: Mapping[str, NDArray[Any]] | None = None,  # noqa: ARG002
        noise: bool = False,  # noqa: ARG002
        n_neurons: int | None = None,
    ) -> ArrayCurrent:
        values = self.values
        if values.ndim == 2 and values.shape[1] == 1 < (n_neurons or 1):
            values = values[:, 0]  # one for all neurons
        return ArrayCurrent(values, start_step, self._columns)
