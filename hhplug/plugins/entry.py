"""A row of the listing: a backend that a plugin offers, or a plugin that failed to offer one."""

from dataclasses import dataclass, replace
from typing import Any

from hhplug.backend import BackendSpec
from hhplug.errors import BackendUnavailable


@dataclass(frozen=True)
class Entry:
    """A backend that a plugin offers, or a plugin that failed to offer one."""

    name: str
    """Name of the backend, or of the plugin's entry point."""

    distribution: str
    """Name of the distribution that has the plugin."""

    version: str
    """Its version; empty if it isn't installed."""

    spec: BackendSpec | None = None
    """The backend's spec, or None if there is none to be had."""

    unavailable: BackendUnavailable | None = None
    """Why the backend cannot run here, or None if nothing is known against it."""

    device: str | None = None
    """Name of the device that its probe returned."""

    module: str = ""
    """What the plugin's entry point names."""

    seconds: float = 0.0
    """Time that loading the plugin took, s."""

    @property
    def source(self) -> str:
        """The distribution and its version, for messages."""
        return f"{self.distribution} {self.version}".strip()

    def failed(self, code: str, reason: str, fix: str = "", detail: str = "") -> "Entry":
        """The same entry, unavailable for this reason."""
        return self.lacking(BackendUnavailable(code, reason, fix, detail=detail))

    def lacking(self, problem: BackendUnavailable) -> "Entry":
        """The same entry, unavailable for a reason that the plugin gave."""
        return replace(self, unavailable=problem.of(self.name))

    def as_dict(self) -> dict[str, Any]:
        """The entry as a dict, for `hhplug backends --json`."""
        problem = self.unavailable
        return {
            "name": self.name,
            "status": "unavailable" if problem else "available",
            "code": problem.code if problem else None,
            "reason": problem.reason if problem else None,
            "fix": problem.fix if problem else None,
            "device": self.device,
            "distribution": self.distribution,
            "version": self.version,
            "api": self.spec.api if self.spec else None,
            "dtypes": list(self.spec.capabilities.dtypes) if self.spec else [],
            "membranes": self.spec.capabilities.membranes if self.spec else None,
            "priority": self.spec.priority if self.spec else None,
            "summary": self.spec.summary if self.spec else "",
        }
