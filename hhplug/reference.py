"""The float64 reference backend, which computes the paper's equations as they are written.

Every other backend is tested against it. It is registered through the same hook as a plugin.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug.backend import (
    API,
    Backend,
    BackendSpec,
    Block,
    Capabilities,
    Recorded,
    Session,
)
from hhplug.machine import cpu_name
from hhplug.model import HHParameters, State, derivative
from hhplug.plugins.hookspecs import hookimpl
from hhplug.problem import Problem


def rk4_step(state: State, I_ext: NDArray[np.float64], dt: float, p: HHParameters) -> State:
    """The state (4, n) after one step of dt ms of the classic fourth-order Runge-Kutta method.

    I_ext (µA/cm²) is constant during the step.
    """
    k1 = derivative(state, I_ext, p)
    k2 = derivative(state + 0.5 * dt * k1, I_ext, p)
    k3 = derivative(state + 0.5 * dt * k2, I_ext, p)
    k4 = derivative(state + dt * k3, I_ext, p)
    return state + dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)


class ReferenceBlock(Block):
    """The steps first ≤ k < first + count, which are computed when the block is read."""

    def __init__(self, session: "ReferenceSession", first: int, count: int):
        self._session = session
        self._first = first
        self._count = count

    def read(self, out: Recorded) -> None:
        session, problem = self._session, self._session.problem
        steps = range(self._first, self._first + self._count)
        for k, I_ext in zip(steps, problem.current.rows(self._first, self._count), strict=True):
            before = session.current_state
            after = rk4_step(before, I_ext, problem.dt, problem.parameters)
            out.step(k, before, after)
            session.current_state = after


class ReferenceSession(Session):
    def __init__(self, problem: Problem):
        self.problem = problem
        self.current_state: State = problem.initial_state.copy()
        self._step = problem.start_step

    def advance(self, n_steps: int) -> Block:
        block = ReferenceBlock(self, self._step, n_steps)
        self._step += n_steps
        return block

    def state(self) -> NDArray[Any]:
        return self.current_state.copy()


class ReferenceBackend(Backend):
    def __init__(self, device: int | None = None):
        del device  # the CPU is its only device
        self.device = cpu_name()

    def prepare(self, problem: Problem, max_steps: int) -> Session:  # noqa: ARG002
        return ReferenceSession(problem)


@hookimpl
def hhplug_backends() -> Iterable[BackendSpec]:
    return [
        BackendSpec(
            name="reference",
            factory="hhplug.reference:ReferenceBackend",
            api=API,
            summary="the paper's equations in float64, written for clarity",
            priority=-10,
            capabilities=Capabilities(dtypes=("float64",), fork=True),
        )
    ]
