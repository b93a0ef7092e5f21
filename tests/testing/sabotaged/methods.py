"""Faults of the method "stiff"."""

from unittest.mock import patch

import numpy as np

from hhplug import reference, stiff
from hhplug.backend import Recorded
from sabotaged.faultless import Faultless


class StiffIsRk4(Faultless):
    """The method is ignored."""

    def read(self, session, steps, out):
        with patch.object(reference, "stiff_step", reference.rk4_step):
            super().read(session, steps, out)


class StepChanged(Faultless):
    """A step of the stiff method is another."""

    def step(self, equations, state, I_ext, dt, p):
        raise NotImplementedError

    def read(self, session, steps, out):
        with patch.object(reference, "stiff_step", self.step):
            super().read(session, steps, out)


class WrongExtrapolation(StepChanged):
    """The extrapolation is (3 · two halves − whole) / 2, that of a first-order method's square."""

    def step(self, equations, state, I_ext, dt, p):
        _, slopes = stiff.stiff_step(equations, state, I_ext, dt, p)
        whole = stiff._symmetric_step(equations, state, I_ext, dt, p)
        middle = stiff._symmetric_step(equations, state, I_ext, dt / 2.0, p)
        halves = stiff._symmetric_step(equations, middle, I_ext, dt / 2.0, p)
        return halves + (halves - whole) / 2.0, slopes


class CubicOfTheNextStepsCurrent(Faultless):
    """Spike times are by dV/dt at the end of a step with the current of the next one."""

    def read(self, session, steps, out):
        problem = session.problem
        equations, p = problem.membrane.equations, dict(problem.parameters)
        rows = list(problem.current.rows(problem.start_step, problem.n_steps))
        found = Recorded.step

        def step(recorded, k, before, after, slopes, conductance):
            following = rows[min(k + 1, problem.end_step - 1) - problem.start_step]
            end = equations.derivative(after, following, p)[0]
            found(recorded, k, before, after, (slopes[0], end), conductance)

        with patch.object(Recorded, "step", step):
            super().read(session, steps, out)


class StateBetweenBlocksInFloat32(Faultless):
    """Between blocks of the stiff method the state is kept in float32."""

    def read(self, session, steps, out):
        super().read(session, steps, out)
        if session.problem.method == "stiff":
            session.now = session.now.astype(np.float32).astype(np.float64)


class LimitOfRk4(Faultless):
    """Neurons are invalid beyond the stability limit of RK4."""

    def read(self, session, steps, out):
        with patch.dict("hhplug.backend.STABILITY_LIMITS", stiff=2.785):
            super().read(session, steps, out)
