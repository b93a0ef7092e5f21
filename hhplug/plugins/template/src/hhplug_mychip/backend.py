"""The mychip backend: classic RK4 in NumPy. Put your chip's code here."""

import numpy as np
from numpy.typing import NDArray

from hhplug.backend import Backend, Block, Recorded, Session
from hhplug.machine import cpu_name
from hhplug.membranes import squid
from hhplug.membranes.parameters import ParameterValues
from hhplug.problem import Problem
from hhplug.state import State

Array = NDArray[np.float64]


class MychipBackend(Backend):
    def __init__(self, device: int | None = None):
        self.device = cpu_name()

    def prepare(self, problem: Problem, max_steps: int) -> Session:
        return MychipSession(problem)


class MychipSession(Session):
    def __init__(self, problem: Problem):
        self.problem, self.step = problem, problem.start_step
        self.now = problem.initial_state.copy()  # V m h n: (4, n_neurons)

    def advance(self, n_steps: int) -> Block:
        self.step += n_steps
        return MychipBlock(self, self.step - n_steps, n_steps)

    def state(self) -> State:
        return State(self.now.copy())


class MychipBlock(Block):
    def __init__(self, session: MychipSession, first: int, count: int):
        self.session, self.first, self.count = session, first, count

    def read(self, out: Recorded) -> None:
        session, problem = self.session, self.session.problem
        for k, I_ext in enumerate(problem.current.rows(self.first, self.count), self.first):
            before = session.now
            session.now, slopes, g = rk4_step(before, I_ext, problem.dt, problem.parameters)
            out.step(k, before, session.now, slopes, g)


def rk4_step(
    state: Array, I_ext: Array, dt: float, p: ParameterValues
) -> tuple[Array, tuple[Array, ...], Array]:
    def derivative(state: Array) -> tuple[Array, Array]:
        V, m, h, n = state
        g_Na, g_K = p.g_Na * m**3 * h, p.g_K * n**4  # mS/cm²
        I_ion = g_Na * (V - p.E_Na) + g_K * (V - p.E_K) + p.g_L * (V - p.E_L)
        dV = (I_ext - I_ion) / p.C_m  # mV/ms
        gates, rates = {"m": m, "h": h, "n": n}, squid.rates(V)
        slopes = [(rates[x].inf - gates[x]) / rates[x].tau for x in gates]  # 1/ms
        return np.stack([dV, *slopes]), g_Na + g_K + p.g_L

    k1, g = derivative(state)
    k2, _ = derivative(state + 0.5 * dt * k1)
    k3, _ = derivative(state + 0.5 * dt * k2)
    k4, _ = derivative(state + dt * k3)
    after = state + dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
    return after, (k1[0], k2[0], k3[0], k4[0]), g
