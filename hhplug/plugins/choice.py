"""Choose a backend by name, and open it."""

import os
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

from hhplug import checks
from hhplug.backend import Backend, BackendSpec
from hhplug.errors import (
    NO_SUCH_DEVICE,
    WITHOUT_DEVICE,
    BackendUnavailable,
    ContractViolation,
    InvalidInput,
    described,
)
from hhplug.membranes.membrane import Membrane
from hhplug.membranes.squid import squid
from hhplug.plugins import discovery
from hhplug.plugins.containment import kept_settings
from hhplug.plugins.entry import Entry
from hhplug.plugins.loading import named_interruption
from hhplug.problem import DType, Method, Problem

Devices = int | Sequence[int] | Literal["all"] | None
"""The index of a device, several of them, all that the backend has, or None for its choice."""

MOST_DEVICES = 256  # of a machine; a factory that accepts more of them doesn't look at the index


@dataclass(frozen=True, eq=False)  # compared and hashed by identity
class OpenedBackend:
    """A backend that is ready to run, with its spec and its entry."""

    entry: Entry
    spec: BackendSpec
    backend: Backend
    process: int = field(default_factory=os.getpid)  # in which it was opened

    def given(self, problem: Problem, ordered_spikes: bool = False) -> Problem:
        """The problem as the backend is given it: with noise to compute, or with rows of it.

        ordered_spikes: whether it may return the spikes at the end of the run.
        """
        can = self.spec.capabilities
        return problem.for_backend(can.noise, ordered_spikes and can.ordered_spikes)

    def refuse_fork(self) -> None:
        """Raise BackendUnavailable in a forked process, unless the backend declares that it runs.

        The threads of a backend, and the state of a device, don't survive a fork: a run would hang.
        """
        if os.getpid() != self.process and not self.spec.capabilities.fork:
            raise BackendUnavailable(
                "forked",
                "this process was forked from one that had opened the backend",
                "start processes by multiprocessing.get_context('spawn'), or make the Simulator "
                "in each of them alone",
                backend=self.entry.name,
            )


def choose(
    name: str = "auto",
    dtype: DType | None = None,
    device: Devices = None,
    membrane: Membrane = squid,
    method: Method = "rk4",
) -> OpenedBackend:
    """Open the backend of this name, or for "auto" the available one of highest priority.

    device: if there are several, each computes a part of the neurons.

    Raises InvalidInput for an unknown name, or a dtype, device, membrane or method that the backend
    doesn't have, and for devices of different kinds; BackendUnavailable for a backend that cannot
    run here.
    """
    device = checked_device(device)
    if name == "auto":
        return _best(dtype, device, membrane, method)
    entry = discovery.entry(name)
    spec = entry.spec
    if entry.unavailable or spec is None:
        raise _raisable(entry)
    if dtype:
        refuse_dtype(spec, dtype)
    refuse_membrane(spec, membrane)
    refuse_method(spec, method)
    if device is not None and not spec.capabilities.device_index:
        raise InvalidInput(f"backend {name!r} has no devices to choose from, got device={device}")
    return _opened(entry, spec, device)


def checked_device(device: Devices) -> Devices:
    """The device or devices, several as a tuple. Raises InvalidInput for anything else."""
    if device is None or (isinstance(device, str) and device == "all"):
        return device
    try:
        indices = () if isinstance(device, str) else tuple(device)  # type: ignore[arg-type]
    except TypeError:
        return checks.whole("device", device, 0)
    if not indices:
        raise InvalidInput(
            f"device must be an index, a list of them such as [0, 1], or 'all', got {device!r}"
        )
    return tuple(checks.whole("device", index, 0) for index in indices)


def source_of(name: str, membrane: Membrane, dtype: DType) -> str:
    """The code by which a backend computes a membrane. It needs no device.

    Raises InvalidInput for a backend that shows none, or doesn't have the dtype or the membrane;
    BackendUnavailable if its plugin isn't installed or cannot be imported.
    """
    entry = discovery.entry(name)
    spec = entry.spec
    if spec is None:
        raise _raisable(entry)
    if spec.source is None:
        able = _names_of(lambda other: other.source is not None)
        raise InvalidInput(f"backend {name!r} shows no code; {' and '.join(able)} would")
    refuse_dtype(spec, dtype)
    refuse_membrane(spec, membrane)
    try:
        with kept_settings():
            return _attribute(spec.source)(membrane, dtype)
    except ImportError as error:
        detail = traceback.format_exc()
        failed = entry.failed("import_failed", described(error), spec.install_hint, detail)
        raise _raisable(failed) from error


def refuse_dtype(spec: BackendSpec, dtype: DType) -> None:
    """Raise InvalidInput for a dtype that the backend doesn't have."""
    if dtype not in spec.capabilities.dtypes:
        raise InvalidInput(
            f"backend {spec.name!r} computes in {' and '.join(spec.capabilities.dtypes)}, "
            f"got dtype={dtype!r}; leave dtype out or choose another backend"
        )


def computes(spec: BackendSpec, membrane: Membrane) -> bool:
    """Whether the backend computes the membrane: any, or one with the squid's equations."""
    return (
        membrane is squid
        or spec.capabilities.membranes == "any"
        or membrane.equations_digest == squid.equations_digest
    )


def refuse_membrane(spec: BackendSpec, membrane: Membrane) -> None:
    """Raise InvalidInput for a membrane that the backend doesn't compute."""
    if computes(spec, membrane):
        return
    able = _names_of(lambda other: other.capabilities.membranes == "any")
    raise InvalidInput(
        f"backend {spec.name!r} computes the squid membrane alone, got membrane {membrane.name}; "
        f"use one that computes any: {', '.join(able)}"
    )


def refuse_method(spec: BackendSpec, method: Method) -> None:
    """Raise InvalidInput for a method of integration that the backend doesn't have."""
    if method in spec.capabilities.methods:
        return
    able = _names_of(lambda other: method in other.capabilities.methods)
    raise InvalidInput(
        f"backend {spec.name!r} integrates by {' and '.join(spec.capabilities.methods)}, got "
        f"method={method!r}; use one that has it: {', '.join(able)}"
    )


def _names_of(able: Callable[[BackendSpec], bool]) -> list[str]:
    """The names of the known backends whose spec says that they are able to do something."""
    return [entry.name for entry in discovery.known() if entry.spec and able(entry.spec)]


def _raisable(entry: Entry) -> BackendUnavailable:
    """A copy of the entry's exception, since a raised one keeps its callers' frames alive."""
    found = entry.unavailable or BackendUnavailable("no_backend", "it has no spec")
    return found.of(entry.name)


def _best(
    dtype: DType | None, device: Devices, membrane: Membrane, method: Method
) -> OpenedBackend:
    problems = []
    for entry in discovery.backends():
        spec = entry.spec
        if spec is None or (dtype and dtype not in spec.capabilities.dtypes):
            continue
        if device is not None and not spec.capabilities.device_index:
            continue
        if not computes(spec, membrane) or method not in spec.capabilities.methods:
            continue
        if entry.unavailable:
            problems.append(entry.unavailable)
            if entry.unavailable.device:
                _warn_of(entry.unavailable, entry.unavailable.device)
            continue
        try:
            return _opened(entry, spec, device)
        except BackendUnavailable as problem:  # its probe didn't notice this
            problems.append(problem)
            present = problem.device or entry.device
            if present or problem.code not in WITHOUT_DEVICE:
                _warn_of(problem, present)
    wanted = "" if dtype is None else f" in {dtype}"
    wanted += "" if device is None else f" with device={device!r}"
    wanted += "" if membrane is squid else f" for the membrane {membrane.name}"
    wanted += "" if method == "rk4" else f" by method={method!r}"
    tried = "; ".join(f"{p.backend} [{p.code}] {p.reason}" for p in problems)
    raise BackendUnavailable(
        "none_available",
        f"no backend can run{wanted}" + (f": {tried}" if tried else ""),
        "see hhplug backends",
    )


def _warn_of(problem: BackendUnavailable, device: str | None) -> None:
    present = f" though {device} is present" if device else ""
    discovery.warn_once(f"passed over by 'auto'{present}: {problem}")


def _opened(entry: Entry, spec: BackendSpec, device: Devices) -> OpenedBackend:
    if device == "all":
        opened = dict(enumerate(_on_all_devices(entry, spec)))
        indices = tuple(opened)
    elif isinstance(device, Sequence):
        opened = {index: _backend(entry, spec, index) for index in dict.fromkeys(device)}
        indices = tuple(device)
    else:
        return OpenedBackend(entry, spec, _backend(entry, spec, device))
    if len(indices) == 1:
        return OpenedBackend(entry, spec, opened[indices[0]])
    kinds = {index: backend.kind for index, backend in opened.items()}
    if len(set(kinds.values())) > 1:
        alike = [index for index, kind in kinds.items() if kind == kinds[indices[0]]]
        listed = ", ".join(f"{index} is {kind}" for index, kind in kinds.items())
        raise InvalidInput(
            f"the devices of a run must be of one kind, since its bits depend on it, and {listed}; "
            f"use device={alike}"
        )
    from hhplug.several_devices import SeveralDevices  # it takes 2 ms, and few runs need it

    several = SeveralDevices(
        [(f"device {index} ({opened[index].device})", opened[index]) for index in indices]
    )
    return OpenedBackend(entry, spec, several)


def _on_all_devices(entry: Entry, spec: BackendSpec) -> list[Backend]:
    """The backend on each device, in the order of their indices."""
    found = [_backend(entry, spec, 0)]
    while len(found) < MOST_DEVICES:
        try:
            found.append(_backend(entry, spec, len(found)))
        except BackendUnavailable as end:
            if end.code == NO_SUCH_DEVICE:
                return found
            raise
    raise ContractViolation(
        f"the backend {spec.name!r} accepts device={MOST_DEVICES - 1}; its factory must refuse an "
        f"index that no device has, with the code {NO_SUCH_DEVICE!r}"
    )


def _backend(entry: Entry, spec: BackendSpec, device: int | None) -> Backend:
    """The backend on one device, or on its own choice for None."""
    try:
        with kept_settings(), named_interruption(f"opening the backend of {entry.source}"):
            backend = _attribute(spec.factory)(device=device)
            if not isinstance(backend, Backend):
                raise TypeError(f"{spec.factory} made a {type(backend).__name__}, not a Backend")
    except KeyboardInterrupt:
        raise
    except BackendUnavailable as found:
        raise found.of(entry.name) from found
    except BaseException as error:
        code = "import_failed" if isinstance(error, ImportError) else "factory_failed"
        fix = spec.install_hint if code == "import_failed" else ""
        failed = entry.failed(code, described(error), fix, traceback.format_exc())
        raise _raisable(failed) from error
    return backend


def _attribute(reference: str) -> Callable[..., Any]:
    module, _, attribute = reference.partition(":")
    return getattr(import_module(module), attribute)
