"""Faults by which a neuron depends on the others or on the form of the parameters."""

import numpy as np

from hhplug.state import State
from sabotaged.changes import nudged, with_fields, with_parameters
from sabotaged.faultless import Faultless


class StaleLastNeuron(Faultless):
    """The last neuron of a population that is no multiple of 32 is not stepped."""

    def read(self, session, steps, out):
        before = session.now[:, -1].copy()
        super().read(session, steps, out)
        if session.problem.n_neurons % 32:
            session.now[:, -1] = before


class IndexOf18Bits(Faultless):
    """Neurons with an index beyond 18 bits are not stepped."""

    def read(self, session, steps, out):
        before = session.now[:, 2**18 :].copy()
        super().read(session, steps, out)
        session.now[:, 2**18 :] = before


class RestOfAVectorRoundsOtherwise(Faultless):
    """The neurons after the last multiple of 16 round differently."""

    def read(self, session, steps, out):
        super().read(session, steps, out)
        n = session.problem.n_neurons
        rest = session.now[:, n - n % 16 :]
        rest[:] = nudged(rest)


class ParametersOfNeuron0(Faultless):
    def understood(self, problem):
        return with_parameters(problem, lambda value: float(np.ravel(value)[0]))


class UniformParametersRoundOtherwise(Faultless):
    def understood(self, problem):
        return with_parameters(problem, lambda value: value if np.ndim(value) else nudged(value))


class NaNThatStays(Faultless):
    """A run reuses an array and clears it by a multiplication, which keeps NaN."""

    def __init__(self, device: int | None = None):
        super().__init__(device)
        self._room = np.zeros(1)

    def read(self, session, steps, out):
        session.now[0] += 0.0 * self._room
        super().read(session, steps, out)
        self._room = session.now[0].max(keepdims=True)


class NaNThatSpreads(Faultless):
    """A NaN spreads to the next neuron."""

    def read(self, session, steps, out):
        super().read(session, steps, out)
        session.now[0] += 0.0 * np.roll(session.now[0], 1)


class NaNGatesBehindAClampedV(Faultless):
    """V is kept within limits, so that it stays finite where the gates are NaN."""

    def read(self, session, steps, out):
        super().read(session, steps, out)
        V = session.now[0]
        V[:] = np.clip(np.nan_to_num(V, nan=-65.0), -200.0, 200.0)


class NonfiniteStartReplaced(Faultless):
    """A neuron that begins as NaN or infinite is computed from other numbers."""

    def understood(self, problem):
        return with_fields(problem, initial=State(np.nan_to_num(problem.initial_state)))
