"""Faults that make rates, steps or currents inaccurate."""

from contextlib import ExitStack
from unittest.mock import patch

import numpy as np

from hhplug import reference
from hhplug.currents.current import ArrayCurrent
from hhplug.membranes.parameters import ParameterValues
from hhplug.state import State
from hhplug_numpy.backend import NumpyBackend, NumpySession
from sabotaged.changes import with_fields, with_function, with_rate
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
        return State(super().state().variables.astype(np.float64))


class TimeConstantOffByAThousandth(Faultless):
    """Time constants, which the squid's gates aren't given by, are off."""

    def read(self, session, steps, out):
        equations = session.problem.membrane.equations
        with ExitStack() as changed:
            for name, gate in equations._gates.items():
                if "tau" in gate.functions:
                    tau = gate.functions["tau"]
                    off = lambda values, tau=tau: 1.001 * tau(values)  # noqa: E731
                    changed.enter_context(with_function(equations, name, "tau", off))
            super().read(session, steps, out)


class SecondOrder(Faultless):
    """The method is the midpoint method."""

    def read(self, session, steps, out):
        def midpoint(equations, state, I_ext, dt, p):
            slope = equations.derivative(state, I_ext, p)
            middle = equations.derivative(state + 0.5 * dt * slope, I_ext, p)
            return state + dt * middle, (slope[0], middle[0])

        with patch.object(reference, "rk4_step", midpoint):
            super().read(session, steps, out)


class CapacitanceOffByAMillionth(Faultless):
    def understood(self, problem):
        changed = {**problem.parameters, "C_m": problem.parameters["C_m"] * (1.0 + 1e-6)}
        return with_fields(problem, parameters=ParameterValues(problem.membrane, changed))


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
        session.now[2] += 0.02 * len(steps)


class VoltageClampedAt150(Faultless):
    """V is at most 150 mV at the end of a block."""

    def read(self, session, steps, out):
        super().read(session, steps, out)
        V = session.now[0]
        V[V > 150.0] = 150.0


class VoltageClampedAtMinus150(Faultless):
    """V is at least −150 mV at the end of a block."""

    def read(self, session, steps, out):
        super().read(session, steps, out)
        V = session.now[0]
        V[V < -150.0] = -150.0
