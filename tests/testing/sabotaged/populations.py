"""Neurons whose trajectory depends on the others, or on the form of their parameters."""

import numpy as np

from sabotaged.changes import nudged, with_parameters
from sabotaged.faultless import Faultless


class StaleLastNeuron(Faultless):
    """It is not stepped, in a population that is not a multiple of 32."""

    def read(self, session, steps, out):
        before = session.current_state[:, -1].copy()
        super().read(session, steps, out)
        if session.problem.n_neurons % 32:
            session.current_state[:, -1] = before


class IndexOf22Bits(Faultless):
    """Neurons that it can't count are not stepped."""

    def read(self, session, steps, out):
        before = session.current_state[:, 2**22 :].copy()
        super().read(session, steps, out)
        session.current_state[:, 2**22 :] = before


class RestOfAVectorRoundsOtherwise(Faultless):
    """The neurons behind the last multiple of 16."""

    def read(self, session, steps, out):
        super().read(session, steps, out)
        n = session.problem.n_neurons
        rest = session.current_state[:, n - n % 16 :]
        rest[:] = nudged(rest)


class ParametersOfNeuron0(Faultless):
    def understood(self, problem):
        return with_parameters(problem, lambda value: float(np.ravel(value)[0]))


class UniformParametersRoundOtherwise(Faultless):
    def understood(self, problem):
        return with_parameters(problem, lambda value: value if np.ndim(value) else nudged(value))


class NaNThatStays(Faultless):
    """In an array that a run leaves to the next, which clears it by a multiplication."""

    def __init__(self, device: int | None = None):
        super().__init__(device)
        self._room = np.zeros(1)

    def read(self, session, steps, out):
        session.current_state[0] += 0.0 * self._room
        super().read(session, steps, out)
        self._room = session.current_state[0].max(keepdims=True)


class NaNThatSpreads(Faultless):
    """To the next neuron."""

    def read(self, session, steps, out):
        super().read(session, steps, out)
        session.current_state[0] += 0.0 * np.roll(session.current_state[0], 1)
