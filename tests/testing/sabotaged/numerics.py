"""Faults that make rates, steps or currents inaccurate."""

from unittest.mock import patch

import numpy as np

from hhplug import model, reference
from hhplug.currents.current import ArrayCurrent
from hhplug.model import HHParameters
from hhplug_numpy.backend import NumpyBackend, NumpySession
from sabotaged.changes import with_fields
from sabotaged.faultless import Faultless


class UnguardedSingularity(Faultless):
    """The rates are 0/0 at −40 and −55 mV."""

    def read(self, session, steps, out):
        def naive(x):
            return x / (1.0 - np.exp(-x))

        with patch.object(model, "_x_over_one_minus_exp_minus", naive):
            super().read(session, steps, out)


class RateOffByOnePercent(Faultless):
    def read(self, session, steps, out):
        right = model.beta_h
        with patch.object(model, "beta_h", lambda V: 1.01 * right(V)):
            super().read(session, steps, out)


class OneRateInFloat32(Faultless):
    def read(self, session, steps, out):
        right = model.beta_m
        with patch.object(model, "beta_m", lambda V: right(V).astype(np.float32)):
            super().read(session, steps, out)


class Float32PosingAsFloat64(NumpyBackend):
    def prepare(self, problem, max_steps):  # noqa: ARG002
        return Float32Session(problem.with_dtype("float32"))


class Float32Session(NumpySession):
    def state(self):
        return super().state().astype(np.float64)


class SecondOrder(Faultless):
    """The method is the midpoint method."""

    def read(self, session, steps, out):
        def midpoint(state, I_ext, dt, p):
            half = state + 0.5 * dt * reference.derivative(state, I_ext, p)
            return state + dt * reference.derivative(half, I_ext, p)

        with patch.object(reference, "rk4_step", midpoint):
            super().read(session, steps, out)


class CapacitanceOffByAMillionth(Faultless):
    def understood(self, problem):
        parameters = vars(problem.parameters)
        C_m = parameters["C_m"] * (1.0 + 1e-6)
        return with_fields(problem, parameters=HHParameters(**(parameters | {"C_m": C_m})))


class CurrentOffAfter10ms(NumpyBackend):
    """After 10 ms, at a dt of 0.01 ms, the current is off by a millionth.

    It is NumPy's backend, because the reference takes three times as long.
    """

    after = 1000  # steps

    def prepare(self, problem, max_steps):
        start, n_steps, n = problem.start_step, problem.n_steps, problem.n_neurons
        rows = [np.broadcast_to(row, n) for row in problem.current.rows(start, n_steps)]
        drifting = np.stack(rows)
        drifting[self.after :] *= 1.0 + 1e-6
        changed = with_fields(problem, current=ArrayCurrent(drifting, start))
        return super().prepare(changed, max_steps)


class CurrentOffAfter60ms(CurrentOffAfter10ms):
    after = 6000


class DriftingGate(Faultless):
    """h grows beyond 1."""

    def read(self, session, steps, out):
        super().read(session, steps, out)
        session.current_state[2] += 0.02 * len(steps)
