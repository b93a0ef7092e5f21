"""Find backends, and the reason why one cannot run.

Plugins are entry points of the group `hhplug`. Each is loaded separately, so that one that fails
doesn't hide the others. hhplug's own come first, so that no other plugin can take their names.
"""

import os
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from typing import Any

import pluggy
from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

from hhplug import checks
from hhplug._version import __version__
from hhplug.backend import API, BackendSpec
from hhplug.errors import BackendUnavailable, InvalidInput, warn
from hhplug.plugins import hookspecs, probes

GROUP = "hhplug"
OWN_PLUGINS = ("hhplug.reference",)
# The distribution of each backend, which is also the name of its folder in plugins/.
FIRST_PARTY = {
    "numpy": "hhplug-numpy",
    "numba": "hhplug-numba",
    "triton": "hhplug-triton",
    "pycuda": "hhplug-pycuda",
}
# This environment variable lists entry points or distributions to leave out, or is "all".
DISABLE = "HHPLUG_DISABLE_PLUGINS"


@dataclass(frozen=True)
class Entry:
    """A backend that a plugin offers, or a plugin that failed to offer one."""

    name: str
    distribution: str
    version: str
    spec: BackendSpec | None = None
    unavailable: BackendUnavailable | None = None  # why it cannot run, if that is known
    device: str | None = None  # name that its probe returned

    @property
    def source(self) -> str:
        return f"{self.distribution} {self.version}".strip()

    def failed(self, code: str, reason: str, fix: str = "", detail: str = "") -> "Entry":
        """The same entry, unavailable for this reason."""
        problem = BackendUnavailable(code, reason, fix, backend=self.name, detail=detail)
        return replace(self, unavailable=problem)

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
            "priority": self.spec.priority if self.spec else None,
            "summary": self.spec.summary if self.spec else "",
        }


def backends() -> list[Entry]:
    """The entries of all backends, installed or first-party, the highest priority first.

    Each says whether its backend can run here. Probes run in child processes.
    """
    return sorted(_probed(_discovered()), key=lambda e: -e.spec.priority if e.spec else 1000)


def entry(name: str) -> Entry:
    """The entry of a backend by name. No probe runs and no backend is imported.

    Raises InvalidInput for an unknown name.
    """
    # Of entries that share a name, the first with a spec is taken, or else the first that failed.
    found = _discovered()
    failed = {entry.name: entry for entry in reversed(found) if not entry.spec}
    entries = failed | {entry.name: entry for entry in reversed(found) if entry.spec}
    if isinstance(name, str) and name in entries:
        return entries[name]
    installed = sorted(entry.name for entry in entries.values() if entry.spec)
    raise InvalidInput(
        f"no backend {name!r}; installed: {', '.join(installed)}.{checks.hint(name, entries)}"
    )


def known() -> tuple[Entry, ...]:
    """All entries, installed or first-party. No probe runs and no backend is imported."""
    return _discovered()


def _probed(entries: Iterable[Entry]) -> list[Entry]:
    """The entries with what their probes found. Those that are unavailable aren't probed."""
    entries = list(entries)
    asked = probes.answers(
        e.spec.probe for e in entries if e.spec and not e.unavailable and e.spec.probe
    )
    probed = []
    for entry in entries:
        answer = asked.get(entry.spec.probe or "") if entry.spec and not entry.unavailable else None
        if answer and answer.unavailable:
            found = answer.unavailable
            entry = entry.failed(found.code, found.reason, found.fix, found.detail)
        elif answer:
            entry = replace(entry, device=answer.device)
        probed.append(entry)
    return probed


@cache
def _discovered() -> tuple[Entry, ...]:
    """All entries, hhplug's own first. No probe runs and no backend is imported."""
    return tuple(_without_shared_names(_found()))


def forget() -> None:
    """Clear the cache, so that the next call looks again at what is installed."""
    _discovered.cache_clear()


def _found() -> Iterator[Entry]:
    manager = pluggy.PluginManager("hhplug")
    manager.add_hookspecs(hookspecs)
    for name in OWN_PLUGINS:
        yield from _offers(manager, name, "hhplug", __version__, _importer(name))
    disabled = {name.strip() for name in os.environ.get(DISABLE, "").split(",")}
    points = sorted(map(_with_origin, entry_points(group=GROUP)), key=lambda found: found[:2])
    _warn_of_unknown(disabled, points)
    for distribution, release, point in points:
        if disabled & {point.name, distribution, "all"}:
            yield Entry(point.name, distribution, release).failed(
                "disabled", f"{DISABLE}={os.environ[DISABLE]}", f"unset {DISABLE}"
            )
        else:
            yield from _offers(manager, point.name, distribution, release, point.load)


def _warn_of_unknown(disabled: set[str], points: list[tuple[str, str, EntryPoint]]) -> None:
    known = {"all", "reference", *FIRST_PARTY, *FIRST_PARTY.values()}
    known |= {name for distribution, _, point in points for name in (point.name, distribution)}
    for name in sorted(disabled - known - {""}):
        warn(f"{DISABLE}: no plugin or distribution {name!r}.{checks.hint(name, known)}")


def _with_origin(point: EntryPoint) -> tuple[str, str, EntryPoint]:
    """The name and version of an entry point's distribution, and the entry point.

    If the metadata is damaged, the name is the module's and the version is empty.
    """
    try:
        metadata = point.dist.metadata.json if point.dist else {}
    except FileNotFoundError:  # raised by newer finders, which a library may have installed
        metadata = {}
    return str(metadata.get("name") or point.value), str(metadata.get("version") or ""), point


def _importer(module: str) -> Callable[[], Any]:
    return lambda: import_module(module)


def _offers(
    manager: pluggy.PluginManager,
    name: str,
    distribution: str,
    release: str,
    load: Callable[[], Any],
) -> Iterator[Entry]:
    """The entries of one plugin's backends, or one entry that says why it has none."""
    broken = Entry(name, distribution, release)
    remedy = f"upgrade {distribution}, or pip uninstall {distribution}"
    try:
        others = list(manager.get_plugins())
        manager.register(load(), name=f"{distribution}:{name}")
    except (Exception, SystemExit) as error:
        reason = f"importing the plugin raised {type(error).__name__}: {error}"
        yield broken.failed("load_failed", reason, remedy, traceback.format_exc())
        return
    try:
        offered = manager.subset_hook_caller("hhplug_backends", others)()
        specs = [spec for specs in offered for spec in specs]
        for spec in specs:
            if not isinstance(spec, BackendSpec):
                raise TypeError(f"expected a BackendSpec, got {spec!r}")
    except (Exception, SystemExit) as error:
        reason = f"its hook hhplug_backends raised {type(error).__name__}: {error}"
        yield broken.failed("hook_failed", reason, remedy, traceback.format_exc())
        return
    if not specs:
        yield broken.failed("no_backend", "its hook hhplug_backends offers nothing", remedy)
    for spec in specs:
        yield _checked(Entry(spec.name, distribution, release, spec))


def _checked(entry: Entry) -> Entry:
    """The entry, unavailable if its contract version or its requirements aren't satisfied."""
    spec = entry.spec
    if spec is None:
        return entry
    if not _is_compatible(spec.api):
        newer = "hhplug" if _newer(spec.api) else entry.distribution
        return entry.failed(
            "api_mismatch",
            f"{entry.source} is written for version {spec.api} of the backend contract, "
            f"this hhplug has {API}",
            f"upgrade {newer}",
        )
    for text in spec.requires:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate():
            continue
        fix = spec.install_hint or f"pip install '{requirement}'"
        try:
            installed = _installed(requirement.name)
        except PackageNotFoundError:
            return entry.failed("missing_package", f"{requirement.name} is not installed", fix)
        if not _satisfies(requirement, installed):
            reason = f"{requirement} is needed, {requirement.name} {installed} is installed"
            return entry.failed("wrong_version", reason, fix)
    return entry


def _installed(distribution: str) -> str:
    """The version of a distribution. hhplug itself may run without metadata."""
    return __version__ if distribution == "hhplug" else version(distribution)


def _satisfies(requirement: Requirement, installed: str) -> bool:
    try:
        return requirement.specifier.contains(installed, prereleases=True)
    except (InvalidVersion, TypeError):  # an invalid version, or None
        return False


def _is_compatible(api: str) -> bool:
    """Whether this contract version has the major of ours and no later minor."""
    try:
        theirs, ours = Version(api), Version(API)
    except (InvalidVersion, TypeError):
        return False
    return theirs.major == ours.major and theirs.minor <= ours.minor


def _newer(api: str) -> bool:
    try:
        return Version(api) > Version(API)
    except (InvalidVersion, TypeError):
        return False


def _without_shared_names(found: Iterable[Entry]) -> list[Entry]:
    """The entries, unavailable if they share a name, with missing first-party plugins added."""
    entries = list(found)
    offering: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.spec:
            offering.setdefault(entry.name, []).append(entry)
    checked = []
    for entry in entries:
        rivals = offering.get(entry.name, []) if entry.spec else []
        if len(rivals) > 1 and rivals[0].distribution == "hhplug":
            if entry is not rivals[0]:
                entry = entry.failed(
                    "name_taken",
                    f"{entry.source} calls its backend {entry.name!r}, which is hhplug's own",
                    f"pip uninstall {entry.distribution}",
                )
        elif len(rivals) > 1:
            both = " and ".join(rival.source for rival in rivals)
            one = " or ".join(dict.fromkeys(rival.distribution for rival in rivals))
            entry = entry.failed(
                "name_shared",
                f"{both} both offer a backend {entry.name!r}",
                f"pip uninstall {one}",
            )
        checked.append(entry)
    present = {entry.name for entry in entries} | {entry.distribution for entry in entries}
    for name, distribution in FIRST_PARTY.items():
        if not present & {name, distribution}:
            checked.append(
                Entry(name, distribution, "").failed(
                    "not_installed",
                    f"{distribution} is not installed",
                    f"pip install ./plugins/{distribution} (in a checkout of hhplug)",
                )
            )
    return checked
