"""Faults by which invalid neurons aren't told, or are told wrongly."""

from dataclasses import replace
from unittest.mock import patch

import numpy as np

from hhplug.validity import STABILITY_LIMIT
from sabotaged.faultless import Faultless


class InvalidNeverTold(Faultless):
    def read(self, session, steps, out):
        super().read(session, steps, out)
        out.invalid.clear()


class InvalidChanged(Faultless):
    """The steps of invalid neurons are those that `told` returns."""

    def told(self, steps, step):
        raise NotImplementedError

    def read(self, session, steps, out):
        super().read(session, steps, out)
        out.invalid[:] = [(neuron, self.told(steps, step)) for neuron, step in out.invalid]


class InvalidOneStepLate(InvalidChanged):
    def told(self, steps, step):  # noqa: ARG002
        return step + 1


class InvalidStepsCountedFromTheBlock(InvalidChanged):
    def told(self, steps, step):
        return step - steps.start


class InvalidFromTheBlocksBegin(InvalidChanged):
    def told(self, steps, step):
        return np.full_like(step, steps.start)


class LimitChanged(Faultless):
    """The stability limit is another."""

    def limit(self, problem):
        raise NotImplementedError

    def read(self, session, steps, out):
        with patch.dict("hhplug.backend.STABILITY_LIMITS", rk4=self.limit(session.problem)):
            super().read(session, steps, out)


class InvalidOnlyIfNotFinite(LimitChanged):
    def limit(self, problem):  # noqa: ARG002
        return np.inf


class LimitWithoutC_m(LimitChanged):
    def limit(self, problem):
        return STABILITY_LIMIT / problem.parameters["C_m"]


class LimitOfAnotherDt(LimitChanged):
    """The limit is that of dt = 0.01 ms."""

    def limit(self, problem):
        return STABILITY_LIMIT * problem.dt / 0.01


class InvalidOnlyWhereSpikesAreTimed(Faultless):
    def read(self, session, steps, out):
        super().read(session, steps, out)
        if session.problem.spikes != "times":
            out.invalid.clear()


class FiniteAtTheEndUnlooked(Faultless):
    """The state at the end is said to be finite, though nobody has looked."""

    def prepare(self, problem, max_steps):
        session = super().prepare(problem, max_steps)
        state = session.state
        session.state = lambda: replace(state(), known_finite=True)
        return session
