"""A current with one noise, for a backend that computes the noise itself."""

from collections.abc import Container
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from hhplug.checks import PerNeuron
from hhplug.currents.computed import ComputedCurrent
from hhplug.currents.current import SeparableCurrent
from hhplug.currents.noise import Draws, Process, Recursion, Values
from hhplug.currents.terms import NoiseTerm, taken

CARRIED = "noise_0"  # the name of the process in `State.carry`, as ComputedCurrent has it


class Noise:
    """A noise by its numbers: I_ext[k, i] = separable's current + sigma[i] · x[k, i].

    The process x follows the recursion. Its deviates ξ are those of `hhplug.currents.noise` for the
    seed, the stream, the number of the neuron, and the step counted from time zero.
    """

    separable: SeparableCurrent
    """The rest of the current; its gain is (0, 1) if there is none."""

    sigma: PerNeuron
    """A number or (n,): µA/cm² for a process of variance 1, µA/cm²·√ms for one of intensity 1."""

    seed: int
    """Below 2⁶⁴."""

    stream: int
    """Below 2³²."""

    neurons: NDArray[np.int64]
    """The number of each neuron in the whole population, (n,), from 0 on."""

    recursion: Recursion
    """x[k+1] = decay · x[k] + kick · ξ[k+1], in the run's dtype, each operation rounded."""

    carried: Values | None
    """x of the run's first step, (n,), if it goes on from another run; else it is first · ξ."""

    def __init__(
        self,
        separable: SeparableCurrent,
        term: NoiseTerm,
        draws: Draws,
        run: tuple[float, DTypeLike, int],
        carried: Values | None,
    ):
        """run: its dt (ms), its dtype and its first step."""
        self.separable, self.sigma = separable, term.sigma
        self.carried = carried if term.has_memory else None
        self.seed, self.stream, self.neurons = draws.seed, draws.stream, draws.neurons
        self._term, self._draws, self._run = term, draws, run
        self.recursion = self.process(slice(None)).recursion

    def process(self, neurons: slice) -> Process:
        """The process of some of the neurons, computed by NumPy on the host."""
        begin = None if self.carried is None else self.carried[neurons]
        term = taken(self._term, neurons)
        return term.process(self._draws.of(neurons), *self._run, begin)

    def carry(self, x: Values) -> dict[str, Values]:
        """What `State.carry` must have at the end: x of the step after the last one, (n,)."""
        return {CARRIED: x} if self._term.has_memory else {}


class NoisyCurrent(ComputedCurrent):
    """A ComputedCurrent in the form `noise`. The backend's state says what the process carries."""

    @property
    def array(self) -> None:
        return None

    @property
    def noise(self) -> Noise:
        return self._noise

    @cached_property
    def _separable(self) -> SeparableCurrent:
        """The current without the noise, of whose term it has the mean."""
        return SeparableCurrent(self._terms, self._dt)

    @cached_property
    def _noise(self) -> Noise:
        (term,) = self._noises
        run = self._dt, self._dtype, self._start_step
        draws = Draws(term.seed, 0, self._neurons)
        return Noise(self._separable, term, draws, run, self._carried.get(CARRIED))

    def bytes_per_step(self, itemsize: int) -> int:
        return self._separable.bytes_per_step(itemsize)

    def gain_over(self, C_m: ArrayLike) -> NDArray[np.float64]:
        return self._separable.gain_over(C_m)

    def carry(self, step: int, known: Container[str] = ()) -> dict[str, NDArray[Any]]:  # noqa: ARG002
        return {}
