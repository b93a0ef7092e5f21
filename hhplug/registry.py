"""Find backends, say what keeps them from running, choose one by name.

Plugins are entry points of the group `hhplug`. Each is loaded on its own, so that one that fails
never hides the others; the core's own come first, so that nobody can take their names.
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

from hhplug import checks, hookspecs, probes
from hhplug._version import __version__
from hhplug.backend import API, Backend, BackendSpec
from hhplug.errors import BackendUnavailable, InvalidInput, warn
from hhplug.problem import DType

GROUP = "hhplug"
OWN_PLUGINS = ("hhplug.reference",)
# Backend → distribution, in the folder plugins/ too.
FIRST_PARTY = {
    "numpy": "hhplug-numpy",
    "numba": "hhplug-numba",
    "triton": "hhplug-triton",
    "pycuda": "hhplug-pycuda",
}
# Entry points or distributions to leave out, with commas between, or "all".
DISABLE = "HHPLUG_DISABLE_PLUGINS"


@dataclass(frozen=True)
class Entry:
    """A backend that a plugin offers, or a plugin that failed to offer one."""

    name: str
    distribution: str
    version: str
    spec: BackendSpec | None = None
    problem: BackendUnavailable | None = None  # what keeps it from running, as far as is known
    device: str | None = None  # what its probe found

    @property
    def source(self) -> str:
        return f"{self.distribution} {self.version}".strip()

    def failed(self, code: str, reason: str, fix: str = "", detail: str = "") -> "Entry":
        """The same entry, unavailable for this reason."""
        problem = BackendUnavailable(code, reason, fix, backend=self.name, detail=detail)
        return replace(self, problem=problem)

    def as_dict(self) -> dict[str, Any]:
        """For `hhplug backends --json`."""
        problem = self.problem
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


@dataclass(frozen=True, eq=False)  # equal to none, so that what is known of it may be kept by it
class Chosen:
    """A backend ready to run, and the entry it came from."""

    entry: Entry
    spec: BackendSpec
    backend: Backend


def backends() -> list[Entry]:
    """Every backend installed or to be had, best first, with what keeps it from running.

    Probes run, in child processes.
    """
    return sorted(_probed(_discovered()), key=lambda e: -e.spec.priority if e.spec else 1000)


def entry(name: str) -> Entry:
    """The entry of a backend, by name, as far as metadata tells: no probe, nothing heavy.

    Raises InvalidInput for a name nobody knows.
    """
    return _named(name)


def known() -> tuple[Entry, ...]:
    """The entries of all plugins that are installed or first-party; no probe, nothing heavy."""
    return _discovered()


def choose(name: str = "auto", dtype: DType | None = None, device: int | None = None) -> Chosen:
    """The backend of this name, or for "auto" the available one of highest priority.

    Raises InvalidInput for a name nobody knows or a dtype or device the backend hasn't;
    BackendUnavailable for a backend that cannot run here.
    """
    if device is not None:
        device = checks.whole("device", device, 0)
    if name == "auto":
        return _best(dtype, device)
    entry = _named(name)
    spec = entry.spec
    if entry.problem or spec is None:
        raise _raisable(entry)
    if dtype:
        refuse_dtype(spec, dtype)
    if device is not None and not spec.capabilities.device_index:
        raise InvalidInput(f"backend {name!r} has no devices to choose from, got device={device}")
    return _opened(entry, spec, device)


def refuse_dtype(spec: BackendSpec, dtype: DType) -> None:
    """Raise InvalidInput for a dtype that the backend hasn't."""
    if dtype not in spec.capabilities.dtypes:
        raise InvalidInput(
            f"backend {spec.name!r} computes in {' and '.join(spec.capabilities.dtypes)}, "
            f"got dtype={dtype!r}; leave dtype out or choose another backend"
        )


def _raisable(entry: Entry) -> BackendUnavailable:
    """The entry's problem, anew: a raised exception keeps its callers' frames alive."""
    found = entry.problem or BackendUnavailable("no_backend", "it has no record")
    return BackendUnavailable(
        found.code, found.reason, found.fix, backend=entry.name, detail=found.detail
    )


def _best(dtype: DType | None, device: int | None) -> Chosen:
    problems = []
    for entry in backends():
        spec = entry.spec
        if spec is None or (dtype and dtype not in spec.capabilities.dtypes):
            continue
        if device is not None and not spec.capabilities.device_index:
            continue
        if entry.problem:
            problems.append(entry.problem)
            continue
        try:
            return _opened(entry, spec, device)
        except BackendUnavailable as problem:  # its probe had not seen this
            warn(f"passed over by 'auto': {problem}")
            problems.append(problem)
    wanted = "" if dtype is None else f" in {dtype}"
    wanted += "" if device is None else f" on device {device}"
    tried = "; ".join(f"{p.backend} [{p.code}] {p.reason}" for p in problems)
    raise BackendUnavailable(
        "none_available",
        f"no backend can run{wanted}" + (f": {tried}" if tried else ""),
        "see hhplug backends",
    )


def _named(name: str) -> Entry:
    # Of entries with one name, a backend wins over a plugin that failed, then the first.
    found = _discovered()
    failed = {entry.name: entry for entry in reversed(found) if not entry.spec}
    entries = failed | {entry.name: entry for entry in reversed(found) if entry.spec}
    if isinstance(name, str) and name in entries:
        return entries[name]
    installed = sorted(entry.name for entry in entries.values() if entry.spec)
    raise InvalidInput(
        f"no backend {name!r}; installed: {', '.join(installed)}.{checks.hint(name, entries)}"
    )


def _opened(entry: Entry, spec: BackendSpec, device: int | None) -> Chosen:
    try:
        backend = _attribute(spec.factory)(device=device)
        if not isinstance(backend, Backend):
            raise TypeError(f"{spec.factory} made a {type(backend).__name__}, not a Backend")
    except BackendUnavailable as found:
        raise _raisable(replace(entry, problem=found)) from found
    except (Exception, SystemExit) as error:
        code = "import_failed" if isinstance(error, ImportError) else "factory_failed"
        reason = f"{type(error).__name__}: {error}"
        fix = spec.install_hint if code == "import_failed" else ""
        failed = entry.failed(code, reason, fix, traceback.format_exc())
        raise _raisable(failed) from error
    return Chosen(entry, spec, backend)


def _attribute(reference: str) -> Callable[..., Any]:
    module, _, attribute = reference.partition(":")
    return getattr(import_module(module), attribute)


def _probed(entries: Iterable[Entry]) -> list[Entry]:
    """The entries, those without a problem asked by their probes."""
    entries = list(entries)
    asked = probes.answers(
        e.spec.probe for e in entries if e.spec and not e.problem and e.spec.probe
    )
    probed = []
    for entry in entries:
        answer = asked.get(entry.spec.probe or "") if entry.spec and not entry.problem else None
        if answer and answer.problem:
            found = answer.problem
            entry = entry.failed(found.code, found.reason, found.fix, found.detail)
        elif answer:
            entry = replace(entry, device=answer.device)
        probed.append(entry)
    return probed


@cache
def _discovered() -> tuple[Entry, ...]:
    """All entries, the core's own first; nothing heavy is imported, no probe runs."""
    return tuple(_without_shared_names(_found()))


def forget() -> None:
    """Look again at what is installed, the next time somebody asks."""
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
    """Distribution and version of an entry point; metadata may be damaged."""
    try:
        metadata = point.dist.metadata.json if point.dist else {}
    except FileNotFoundError:  # raised by newer finders, which a library may have put in place
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
    """The backends of one plugin, or one entry that tells why it has none."""
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
    """The entry with what metadata alone tells: the contract's version, then requirements."""
    spec = entry.spec
    if spec is None:
        return entry
    if not _speaks(spec.api):
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
    """The version of a distribution; hhplug itself may run without metadata."""
    return __version__ if distribution == "hhplug" else version(distribution)


def _satisfies(requirement: Requirement, installed: str) -> bool:
    try:
        return requirement.specifier.contains(installed, prereleases=True)
    except (InvalidVersion, TypeError):  # a version that is none, or none at all
        return False


def _speaks(api: str) -> bool:
    """Whether a plugin of this contract version works with ours: same major, minor not later."""
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
    """The entries, with names that are taken or shared refused, and missing plugins added."""
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
