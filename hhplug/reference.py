"""The float64 reference: the paper's equations, one after the other. Every backend is held to it.

Registered through the same hook as anyone's.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug import model
from hhplug.backend import (
    API,
    Backend,
    BackendSpec,
    Block,
    Capabilities,
    Recorded,
    Session,
)
from hhplug.hookspecs import hookimpl
from hhplug.machine import cpu_name
from hhplug.model import HHParameters, State, derivative
from hhplug.problem import Problem


def rk4_step(state: State, I_ext: NDArray[np.float64], dt: float, p: HHParameters) -> State:
    """One step of the classic fourth-order Runge-Kutta method, the current held throughout."""
    k1 = derivative(state, I_ext, p)
    k2 = derivative(state + 0.5 * dt * k1, I_ext, p)
    k3 = derivative(state + 0.5 * dt * k2, I_ext, p)
    k4 = derivative(state + dt * k3, I_ext, p)
    return state + dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)


class ReferenceBlock(Block):
    """Steps first ≤ k < first + count; they are computed when they are read."""

    def __init__(self, session: "ReferenceSession", first: int, count: int):
        self._session = session
        self._first = first
        self._count = count

    def read(self, out: Recorded) -> None:
        session, problem = self._session, self._session.problem
        columns, threshold = problem.neurons, problem.spike_threshold
        steps = range(self._first, self._first + self._count)
        row = 0
        for k, I_ext in zip(steps, problem.current.rows(self._first, self._count), strict=True):
            before = session.current_state
            if k % problem.record_every == 0:
                for name, samples in out.samples.items():
                    samples[row] = before[model.VARIABLES.index(name)][columns]
                row += 1
            after = rk4_step(before, I_ext, problem.dt, problem.parameters)
            if problem.spikes != "off":
                V, V_next = before[0], after[0]
                neuron = np.flatnonzero((V < threshold) & (threshold <= V_next))
                out.spike_count[neuron] += 1
                if problem.spikes == "times":
                    fraction = (threshold - V[neuron]) / (V_next[neuron] - V[neuron])
                    out.add_spikes(neuron, np.full(len(neuron), k), fraction)
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
        del device  # it has none to choose from
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
            summary="the paper's equations in float64, readable before fast",
            priority=-10,
            capabilities=Capabilities(dtypes=("float64",)),
        )
    ]
