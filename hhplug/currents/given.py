"""What a problem asks of the stimulus that a user gave, whichever kind it is."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from hhplug.currents.current import Current
from hhplug.currents.terms import Term


class GivenStimulus(Protocol):
    """A checked stimulus: a `Stimulus`, or an array as an `ArrayStimulus`."""

    @property
    def as_given(self) -> Any:
        """The user's own object, or a view of the user's array."""
        ...

    @property
    def as_argument(self) -> Any:
        """The `stimulus=` with which a problem of these neurons and steps has the same current."""
        ...

    @property
    def terms(self) -> tuple[Term, ...] | None:
        """The terms whose sum it is, or None for an array."""
        ...

    @property
    def n_neurons(self) -> int | None:
        """The number of neurons that it is for, or None if it is the same for all."""
        ...

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seed of each noise, in the order of the terms."""
        ...

    def take(self, neurons: Any) -> "GivenStimulus":
        """The stimulus of some neurons; `neurons` is a slice or an array of indices."""
        ...

    def between(self, first: int, end: int) -> "GivenStimulus":
        """The stimulus of a run's steps first ≤ k < end, counted from its first step."""
        ...

    def current(
        self,
        dt: float,
        neurons: NDArray[np.int64] | None = None,
        dtype: DTypeLike = np.float64,
        start_step: int = 0,
        carried: Mapping[str, NDArray[Any]] | None = None,
        noise: bool = False,
        n_neurons: int | None = None,
    ) -> Current:
        """The stimulus in steps of dt (ms), as backends see it.

        neurons: the numbers of the neurons in the whole population, (n,); by default 0, 1, 2, …
        dtype, start_step, carried: of the run, for noise and arrays, as `ComputedCurrent` has them.
        noise: whether the backend can compute noise itself. It does if there is one, and if the
            other terms are separable.
        n_neurons: how many neurons the run has, by default as many as the stimulus.
        """
        ...
