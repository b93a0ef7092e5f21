"""Find backends, and the reason why one cannot run.

Plugins are entry points of the group `hhplug`. Each is loaded separately, so that one that fails
doesn't hide the others. hhplug's own come first, so that no other plugin can take their names. A
backend that is asked for by name needs its own plugin alone.
"""

import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from functools import cache

from hhplug import checks
from hhplug import reference as reference  # imported by name, so that PyInstaller includes it
from hhplug._version import __version__
from hhplug.errors import InvalidInput, warn
from hhplug.plugins import loading
from hhplug.plugins.entry import Entry as Entry
from hhplug.plugins.installed import Plugin, installed
from hhplug.plugins.requirements import absent
from hhplug.versions import canonical_name

OWN_PLUGINS = (Plugin("reference", "hhplug", __version__, "hhplug.reference"),)
# The distribution of each backend, which is also the name of its folder in plugins/.
FIRST_PARTY = {
    "numpy": "hhplug-numpy",
    "numba": "hhplug-numba",
    "triton": "hhplug-triton",
    "pycuda": "hhplug-pycuda",
}
# This environment variable lists backends, entry points or distributions to leave out, or is "all".
DISABLE = "HHPLUG_DISABLE_PLUGINS"


def backends() -> list[Entry]:
    """The entries of all backends, installed or first-party, the highest priority first.

    Each has the backend's `name` and says by `unavailable`, which is None or an error, whether it
    can run here. Probes run in child processes.

    >>> import hhplug
    >>> [entry.name for entry in hhplug.backends() if entry.name in ("numpy", "reference")]
    ['numpy', 'reference']
    """
    return sorted(probed(known()), key=lambda e: -e.spec.priority if e.spec else 1000)


def entry(name: str) -> Entry:
    """The entry of a backend by name. No probe runs and no backend is imported.

    Raises InvalidInput for an unknown name.
    """
    return named(name)[0]


def named(name: str) -> list[Entry]:
    """The entries of this name: one, or several if they share it.

    A backend is preferred to a plugin that failed. Only the plugin that the name is an entry point
    of is loaded, if it has the backend. Raises InvalidInput for an unknown name.
    """
    if not isinstance(name, str):
        raise _unknown(name)
    own = [plugin for plugin in OWN_PLUGINS if plugin.name == name]
    alone = own or [p for p in _plugins() if canonical_name(p.name) == canonical_name(name)]
    entries = _without_shared_names(entry for plugin in alone for entry in _entries(plugin))
    if found := [entry for entry in entries if entry.name == name and entry.spec]:
        return found
    found = [entry for entry in known() if entry.name == name]
    if not found:
        raise _unknown(name)
    return [entry for entry in found if entry.spec] or found


def _unknown(name: object) -> InvalidInput:
    entries = known()
    names = list(dict.fromkeys(entry.name for entry in entries))
    usable = sorted({entry.name for entry in entries if entry.spec})
    return InvalidInput(
        f"no backend {name!r}; installed: {', '.join(usable)}.{checks.hint(name, names)}"
    )


@cache
def known() -> tuple[Entry, ...]:
    """All entries, installed or first-party. No probe runs and no backend is imported."""
    harmful = _harmful()
    entries = [
        entry
        for plugin in (*OWN_PLUGINS, *_plugins())
        for entry in harmful.get(plugin) or _entries(plugin)
    ]
    _warn_of_unknown_names(entries)
    return (*_without_shared_names(entries), *_missing(entries))


def forget() -> None:
    """Clear the cache, so that the next call looks again at what is installed."""
    for cached in (known, _plugins, _entries, warn_once):
        cached.cache_clear()


@cache
def warn_once(message: str) -> None:
    """Issue a warning that this process has not had yet."""
    warn(message)


def probed(entries: Iterable[Entry]) -> list[Entry]:
    """The entries with what their probes found. Those that are unavailable aren't probed."""
    from hhplug.plugins import probes  # which a backend that is asked for by name doesn't need

    entries = list(entries)
    asked = probes.answers(
        e.spec.probe for e in entries if e.spec and not e.unavailable and e.spec.probe
    )
    found = []
    for entry in entries:
        answer = asked.get(entry.spec.probe or "") if entry.spec and not entry.unavailable else None
        if answer and answer.unavailable:
            entry = entry.lacking(answer.unavailable)
        elif answer:
            entry = replace(entry, device=answer.device)
        found.append(entry)
    return found


def _harmful() -> dict[Plugin, list[Entry]]:
    """The plugins of others that this process must not load, each with the entry that says why.

    What this process has loaded already was harmless.
    """
    strangers = [
        plugin
        for plugin in _plugins()
        if plugin.mistake is None
        and canonical_name(plugin.distribution) not in FIRST_PARTY.values()
        and plugin.module not in sys.modules
        and not _disabled("all", plugin.name, plugin.distribution)
    ]
    if not strangers:
        return {}
    from hhplug.plugins import trial  # which a backend that is asked for by name doesn't need

    return {
        plugin: [
            Entry(plugin.name, plugin.distribution, plugin.version, module=plugin.module).lacking(
                problem
            )
        ]
        for plugin, problem in trial.harmful(strangers).items()
    }


@cache
def _plugins() -> tuple[Plugin, ...]:
    return tuple(installed())


@cache
def _entries(plugin: Plugin) -> tuple[Entry, ...]:
    """What a plugin offers, unless it is disabled."""
    if plugin in OWN_PLUGINS:
        return tuple(loading.offers(plugin))
    if _disabled("all", plugin.name, plugin.distribution):
        return (_left_out(Entry(plugin.name, plugin.distribution, plugin.version)),)
    return tuple(
        _left_out(entry) if _disabled(entry.name) else entry for entry in loading.offers(plugin)
    )


def _disabled(*names: str) -> bool:
    """Whether DISABLE has one of these names, in any spelling that pip calls equal."""
    return not {canonical_name(name) for name in names}.isdisjoint(_disabled_names())


def _disabled_names() -> dict[str, str]:
    """The names in DISABLE as they are written there, by their canonical spellings."""
    written = [name.strip() for name in os.environ.get(DISABLE, "").split(",")]
    return {canonical_name(name): name for name in written if name}


def _left_out(entry: Entry) -> Entry:
    return entry.failed("disabled", f"{DISABLE}={os.environ[DISABLE]}", f"unset {DISABLE}")


def _warn_of_unknown_names(entries: Iterable[Entry]) -> None:
    known = {"all", "reference", *FIRST_PARTY, *FIRST_PARTY.values()}
    known |= {name for plugin in _plugins() for name in (plugin.name, plugin.distribution)}
    known |= {entry.name for entry in entries}
    canonical = {canonical_name(name) for name in known}
    for name, written in sorted(_disabled_names().items()):
        if name not in canonical:
            hint = checks.hint(written, known)
            warn(f"{DISABLE}: no backend, plugin or distribution {written!r}.{hint}")


def _without_shared_names(found: Iterable[Entry]) -> list[Entry]:
    """The entries, unavailable if they share a name."""
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
            (module, *others) = {rival.module for rival in rivals}
            same = "" if others else f", from the same module {module}"
            entry = entry.failed(
                "name_shared",
                f"{both} both offer a backend {entry.name!r}{same}",
                f"pip uninstall {one}",
            )
        checked.append(entry)
    return checked


def _missing(entries: Iterable[Entry]) -> list[Entry]:
    """An entry for each first-party plugin that isn't installed."""
    present = {canonical_name(n) for entry in entries for n in (entry.name, entry.distribution)}
    missing = []
    for name, distribution in FIRST_PARTY.items():
        if present.isdisjoint({name, distribution}):
            fix = f"pip install ./plugins/{distribution} (in a checkout of hhplug)"
            missing.append(
                Entry(name, distribution, "").failed("not_installed", *absent(distribution, fix))
            )
    return missing
