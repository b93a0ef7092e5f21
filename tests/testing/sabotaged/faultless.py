"""The backend without a fault, which the faults override."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from hhplug.backend import Block, Recorded
from hhplug.errors import NO_SUCH_DEVICE, BackendUnavailable
from hhplug.problem import Problem
from hhplug.reference import ReferenceBackend, ReferenceBlock, ReferenceSession
from hhplug.state import State
from sabotaged.changes import with_fields


class Faultless(ReferenceBackend):
    """The reference, split into methods that a fault can override. It takes two devices."""

    def __init__(self, device: int | None = None):
        super().__init__()
        if device is not None and device > 1:
            raise BackendUnavailable(
                NO_SUCH_DEVICE, f"there is no device {device}", "use device=0 or device=1"
            )

    def prepare(self, problem: Problem, max_steps: int) -> "FaultySession":  # noqa: ARG002
        return FaultySession(self, self.understood(problem))

    def understood(self, problem: Problem) -> Problem:
        return problem

    def enqueue(self, session: "FaultySession", steps: range) -> None:
        pass

    def read(self, session: "FaultySession", steps: range, out: Recorded) -> None:
        # What the session understood of the problem decides what its block records.
        understood = Recorded(
            session.problem, out.samples, out.spike_count, out.spikes, out.invalid, out.features
        )
        ReferenceBlock(session, steps.start, len(steps)).read(understood)

    def state(self, session: "FaultySession") -> Any:
        return session.now.copy()

    def carry(self, session: "FaultySession") -> dict[str, Any]:  # noqa: ARG002
        return {}

    def close(self, session: "FaultySession") -> None:
        session.closed = True


class FaultySession(ReferenceSession):
    def __init__(self, backend: Faultless, problem: Problem):
        super().__init__(problem)
        self.backend = backend
        self.closed = False
        self.kept: list[Any] = []  # data that a fault keeps between blocks

    def advance(self, n_steps: int) -> Block:
        steps = range(self._step, self._step + n_steps)
        self._step += n_steps
        self.backend.enqueue(self, steps)
        return FaultyBlock(self, steps)

    def state(self) -> State:
        return State(self.backend.state(self), self.backend.carry(self))

    def device_samples(self) -> dict[str, Any]:
        names = self.problem.record
        return {name: OnDevice(np.concatenate([b[name] for b in self.kept])) for name in names}

    def close(self) -> None:
        self.backend.close(self)


class FaultyBlock(Block):
    def __init__(self, session: FaultySession, steps: range):
        self._session, self._steps = session, steps

    def read(self, out: Recorded) -> None:
        self._session.backend.read(self._session, self._steps, out)


class OnDevice:
    """An array that is not NumPy's."""

    def __init__(self, array: Any):
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype

    def get(self) -> Any:
        return self._array


class ComputesNoise(Faultless):
    """The faultless backend with the capability noise."""

    def understood(self, problem):
        noise = problem.current.noise
        if noise is None:
            return problem

        def rows(first, count):
            x = self.process(noise, np.arange(first, first + count), problem.start_step)
            for other, now in zip(noise.separable.rows(first, count), x, strict=True):
                yield other + self.sigma(noise) * now

        return with_fields(problem, current=SimpleNamespace(rows=rows, noise=noise))

    def process(self, noise: Any, steps: Any, start_step: int) -> Any:  # noqa: ARG002
        """x of the steps of a block, (steps, n)."""
        return noise.process(slice(None)).at(steps)

    def sigma(self, noise: Any) -> Any:
        return noise.sigma

    def carry(self, session):
        noise = session.problem.current.noise
        if noise is None:
            return {}
        end = np.array([session._step])
        return noise.carry(self.process(noise, end, session.problem.start_step)[0])


class KeepsSamplesOnDevice(ComputesNoise):
    """The faultless backend with the capabilities device_arrays and noise."""

    def read(self, session, steps, out):
        problem = session.problem
        if problem.device_arrays:
            shape = len(problem.sample_steps(steps.start, len(steps))), problem.n_recorded
            samples = {name: np.empty(shape) for name in problem.record}
            session.kept.append(samples)
            out = Recorded(
                out.problem, samples, out.spike_count, out.spikes, out.invalid, out.features
            )
        super().read(session, steps, out)


def probe_that_answers() -> str:
    return "a fine device"
