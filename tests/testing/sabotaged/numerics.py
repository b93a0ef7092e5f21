"""Faults that make rates, steps or currents inaccurate."""

from unittest.mock import patch

import numpy as np

from hhplug import reference
from hhplug.membranes.parameters import ParameterValues
from hhplug_numpy.backend import NumpyBackend, NumpySession
from sabotaged.changes import with_fields, with_rate, with_rows
from sabotaged.faultless import Faultless


class UnguardedSingularity(Faultless):
    """The rates are 0/0 at −40 and −55 mV."""

    def read(self, session, steps, out):
        def alpha_m(V, _):
            return 0.1 * (V + 40.0) / (1.0 - np.exp(-(V + 40.0) / 10.0))

        def alpha_n(V, _):
            return 0.01 * (V + 55.0) / (1.0 - np.exp(-(V + 55.0) / 10.0))

        with with_rate("alpha_m", alpha_m), with_rate("alpha_n", alpha_n):
            super().read(session, steps, out)


class RateOffByOnePercent(Faultless):
    def read(self, session, steps, out):
        with with_rate("beta_h", lambda _, right: 1.01 * right):
            super().read(session, steps, out)


class OneRateInFloat32(Faultless):
    def read(self, session, steps, out):
        with with_rate("beta_m", lambda _, right: right.astype(np.float32)):
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
        def midpoint(equations, state, I_ext, dt, p):
            half = state + 0.5 * dt * equations.derivative(state, I_ext, p)
            return state + dt * equations.derivative(half, I_ext, p)

        with patch.object(reference, "rk4_step", midpoint):
            super().read(session, steps, out)


class CapacitanceOffByAMillionth(Faultless):
    def understood(self, problem):
        changed = {**problem.parameters, "C_m": problem.parameters["C_m"] * (1.0 + 1e-6)}
        return with_fields(problem, parameters=ParameterValues(problem.membrane, changed))


class CurrentOffAfter10ms(Faultless):
    """After 10 ms, at a dt of 0.01 ms, the current is off by a millionth."""

    after = 1000  # steps

    def understood(self, problem):
        rows, late = problem.current.rows, problem.start_step + self.after

        def drifting(first, count):
            for k, row in enumerate(rows(first, count), first):
                yield row * (1.0 + 1e-6) if k >= late else row

        return with_rows(problem, drifting)


class CurrentOffAfter60ms(CurrentOffAfter10ms):
    after = 6000


class DriftingGate(Faultless):
    """h grows beyond 1."""

    def read(self, session, steps, out):
        super().read(session, steps, out)
        session.current_state[2] += 0.02 * len(steps)
