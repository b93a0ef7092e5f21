"""The contract between hhplug and its backends.

A plugin offers `BackendSpec` records through the hook `hhplug_backends`; nothing heavy is imported
until one is chosen. Then the core calls, in this order:

    backend = factory(device=None)              # raises BackendUnavailable if it cannot run here
    with backend.prepare(problem, max_steps) as session:
        block = session.advance(n_steps)        # again and again, at most two blocks unread
        block.read(recorded)                    # each block once, in order
        final = session.state()                 # once every block has been read

Results must be the same bit for bit however a run is cut into blocks, whatever is recorded, and
wherever a neuron stands in the population.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from packaging.requirements import InvalidRequirement, Requirement

from hhplug.errors import InvalidInput
from hhplug.problem import DTYPES, DType, Problem

API = "1.0"
"""Version of this contract. A plugin written for the same major and no later minor is accepted."""


@dataclass(frozen=True)
class Capabilities:
    """What only some backends can do."""

    dtypes: tuple[DType, ...] = DTYPES
    device_index: bool = False  # the factory takes device=0, 1, …
    device_arrays: bool = False  # Session.device_samples

    def __post_init__(self) -> None:
        if isinstance(self.dtypes, str):
            raise InvalidInput(f"dtypes must be a tuple, ({self.dtypes!r},), got a str")
        if not self.dtypes or not set(self.dtypes) <= set(DTYPES):
            raise InvalidInput(f"dtypes must be some of {DTYPES}, got {self.dtypes!r}")


@dataclass(frozen=True)
class BackendSpec:
    """A backend on paper: cheap to make, enough to list, explain and load it."""

    name: str
    factory: str  # "module:attribute", called with device=
    api: str  # the API it was written for
    summary: str  # one line
    requires: tuple[str, ...] = ()  # as in pyproject.toml: "torch>=2.6"
    probe: str | None = None  # "module:attribute", called in a child process; see `hhplug.probes`
    priority: int = 0  # "auto" takes the highest that is available
    capabilities: Capabilities = field(default_factory=Capabilities)
    install_hint: str = ""  # the command that installs what `requires` names

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_-]*", self.name) or self.name == "auto":
            raise InvalidInput(
                "a backend's name must begin with a letter, be of a-z, 0-9, - and _, "
                f"and not be 'auto', got {self.name!r}"
            )
        for reference in (self.factory, "a:b" if self.probe is None else self.probe):
            if not re.fullmatch(r"[\w.]+:\w+", reference):
                raise InvalidInput(f"expected 'module:attribute', got {reference!r}")
        if not isinstance(self.priority, int):
            raise InvalidInput(f"a backend's priority must be an int, got {self.priority!r}")
        if not isinstance(self.capabilities, Capabilities):
            raise InvalidInput(f"expected Capabilities, got {self.capabilities!r}")
        for requirement in self.requires:
            try:
                Requirement(requirement)
            except InvalidRequirement as error:
                raise InvalidInput(f"not a requirement: {requirement!r} ({error})") from None


@dataclass
class Recorded:
    """Where a block's samples and spikes go; the arrays are the user's own."""

    samples: Mapping[str, NDArray[Any]]
    """Variable → (samples, recorded neurons): a row for each of `problem.sample_steps`.

    Empty if problem.device_arrays.
    """

    spike_count: NDArray[np.int64]
    """(n_neurons,): add each neuron's upward crossings, unless problem.spikes is "off"."""

    spikes: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]
    """What `add_spikes` was given."""

    def add_spikes(self, neuron: NDArray[Any], step: NDArray[Any], fraction: NDArray[Any]) -> None:
        """Append crossings V[k] < θ ≤ V[k+1], in any order, if problem.spikes is "times".

        step is k, counted from time zero; fraction is (θ − V[k]) / (V[k+1] − V[k]). The arrays
        are kept, not copied.
        """
        self.spikes.append((neuron, step, fraction))


class Block(ABC):
    """What one `advance` recorded."""

    @abstractmethod
    def read(self, out: Recorded) -> None:
        """Wait for this block only; fill out.samples, add the spikes.

        A backend on the CPU may do its work here, straight into the user's arrays.
        """


class Session(ABC):
    """One run of one problem; a context manager that keeps the step count."""

    @abstractmethod
    def advance(self, n_steps: int) -> Block:
        """Enqueue at most max_steps steps. No checks, no allocation, no wait."""

    @abstractmethod
    def state(self) -> NDArray[Any]:
        """Wait; a host copy of V m h n, (4, n_neurons), in the run's dtype."""

    def device_samples(self) -> Mapping[str, Any]:
        """The recorded variables of the whole run, left on the device: (samples, recorded neurons).

        Asked for once, after state(), if problem.device_arrays, which takes the capability of that
        name; then no block has samples to read. Each has shape, dtype, a copy for the host by
        get(), or by cpu() if it is a tensor, and what lets other libraries share it
        (`__cuda_array_interface__`); it outlives the session.
        """
        raise NotImplementedError

    def close(self) -> None:  # noqa: B027 (many backends have nothing to free)
        """Free what the session holds; may be called twice."""

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Backend(ABC):
    """What a factory makes."""

    device: str
    """What computes, for people: "AMD EPYC 9454", "NVIDIA H100 80GB HBM3"."""

    @abstractmethod
    def prepare(self, problem: Problem, max_steps: int) -> Session:
        """Do everything slow: compile, allocate for blocks of max_steps, upload.

        problem.dtype is one of the spec's capabilities.
        """
