"""The float64 reference backend, which evaluates a membrane's equations as they are written.

Every other backend is tested against it. It is registered through the same hook as a plugin.
"""

from collections.abc import Iterable, Mapping, Sequence

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
from hhplug.checks import PerNeuron
from hhplug.machine import cpu_name
from hhplug.membranes.equations import Equations
from hhplug.plugins.hookspecs import hookimpl
from hhplug.problem import METHODS, Problem
from hhplug.state import State
from hhplug.stiff import stiff_step

Array = NDArray[np.float64]

PART = 16_384  # neurons computed at a time, whose arrays fit into the processor's cache


def rk4_step(
    equations: Equations,
    state: Array,
    I_ext: Array,
    dt: float,
    parameters: Mapping[str, PerNeuron],
) -> tuple[Array, tuple[Array, ...]]:
    """One step of dt ms of the classic fourth-order Runge-Kutta method.

    state: of each neuron, (n_states, n). I_ext (µA/cm²) is constant during the step.

    Returns the state after the step, and dV/dt in each of the four stages, mV/ms.
    """
    k1 = equations.derivative(state, I_ext, parameters)
    k2 = equations.derivative(state + 0.5 * dt * k1, I_ext, parameters)
    k3 = equations.derivative(state + 0.5 * dt * k2, I_ext, parameters)
    k4 = equations.derivative(state + dt * k3, I_ext, parameters)
    after = state + dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
    return after, (k1[0], k2[0], k3[0], k4[0])


class ReferenceBlock(Block):
    """The steps first ≤ k < first + count, which are computed when the block is read."""

    def __init__(self, session: "ReferenceSession", first: int, count: int):
        self._session = session
        self._first = first
        self._count = count

    def read(self, out: Recorded) -> None:
        session, problem = self._session, self._session.problem
        starts = range(0, problem.n_neurons, PART)
        slices = [slice(start, start + PART) for start in starts]
        parts = [(part, dict(problem.parameters.take(part))) for part in slices]
        for k, I_ext in enumerate(problem.current.rows(self._first, self._count), self._first):
            before = session.now
            session.now, slopes, conductance = _step(problem, parts, before, I_ext)
            out.step(k, before, session.now, slopes, conductance)


def _step(
    problem: Problem,
    parts: Sequence[tuple[slice, dict[str, PerNeuron]]],
    before: Array,
    I_ext: Array,
) -> tuple[Array, tuple[Array, ...], Array]:
    """The state after one step, dV/dt in its stages, and the open conductances before it.

    parts: the neurons that are computed together, and their parameters.
    """
    step = stiff_step if problem.method == "stiff" else rk4_step
    equations, done = problem.membrane.equations, []
    for part, parameters in parts:
        state = before[:, part]
        current = I_ext[part] if len(I_ext) > 1 else I_ext
        after, slopes = step(equations, state, current, problem.dt, parameters)
        conductance = equations.open_conductance(state, parameters)
        done.append((after, *slopes, np.broadcast_to(conductance, state.shape[1])))
    after, *slopes, conductance = map(_joined, zip(*done, strict=True))
    return after, tuple(slopes), conductance


def _joined(parts: Sequence[Array]) -> Array:
    """The arrays of all parts of the population, (…, n); a single one isn't copied."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)


class ReferenceSession(Session):
    def __init__(self, problem: Problem):
        self.problem = problem
        self.now: Array = problem.initial_state.copy()
        self._step = problem.start_step

    def advance(self, n_steps: int) -> Block:
        block = ReferenceBlock(self, self._step, n_steps)
        self._step += n_steps
        return block

    def state(self) -> State:
        return State(self.now.copy())


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
            summary="the equations of any membrane in float64, written for clarity",
            priority=-10,
            capabilities=Capabilities(
                dtypes=("float64",), membranes="any", methods=METHODS, features="samples", fork=True
            ),
        )
    ]
