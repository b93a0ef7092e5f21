"""Load one plugin and ask for its backends. Whatever it does, it affects no other."""

import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pluggy

from hhplug.backend import BackendSpec
from hhplug.errors import BackendUnavailable, described
from hhplug.plugins import hookspecs
from hhplug.plugins.containment import kept_process
from hhplug.plugins.entry import Entry
from hhplug.plugins.installed import Plugin
from hhplug.plugins.kept_functions import kept_functions
from hhplug.plugins.requirements import checked

HOOK = "hhplug_backends"
SLOW = 0.2  # s; a plugin that takes longer to load is named in listings, and fails the kit
MARK = "hhplug_impl"  # the attribute by which @hookimpl marks a function


def offers(plugin: Plugin) -> list[Entry]:
    """The entries of a plugin's backends, or one entry that says why it has none."""
    began = time.perf_counter()
    with kept_process():
        entries = _offers(plugin)
    seconds = time.perf_counter() - began
    return [replace(entry, seconds=seconds) for entry in entries]


@contextmanager
def named_interruption(doing: str) -> Iterator[None]:
    """Let a KeyboardInterrupt say what was being done, for example "loading …"."""
    try:
        yield
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(f"interrupted while {doing}") from stop


def _offers(plugin: Plugin) -> list[Entry]:
    broken = Entry(plugin.name, plugin.distribution, plugin.version, module=plugin.module)
    if plugin.mistake:
        return [broken.lacking(plugin.mistake)]
    remedy = f"upgrade {plugin.distribution}, or pip uninstall {plugin.distribution}"
    code, failure = "load_failed", "importing the plugin raised"
    try:
        doing = f"loading the plugin {plugin.name!r} of {plugin.source}"
        with named_interruption(doing), kept_functions() as put_back:
            loaded = plugin.load()
            put_back()
            manager = pluggy.PluginManager("hhplug")
            manager.add_hookspecs(hookspecs)
            failure = "its hooks are not hhplug's:"
            manager.register(loaded)
            code, failure = "hook_failed", f"its hook {HOOK} raised"
            specs = _specs(manager)
            if not specs:
                reason = f"{plugin.source} offers nothing: {_why_nothing(loaded, plugin.module)}"
                return [broken.failed("no_backend", reason, remedy)]
            return [checked(replace(broken, name=spec.name, spec=spec)) for spec in specs]
    except KeyboardInterrupt:
        raise
    except BackendUnavailable as problem:  # the plugin itself says that it cannot run here
        return [broken.lacking(problem)]
    except BaseException as error:
        reason = f"{failure} {described(error)} ({_place(plugin, error)})"
        return [broken.failed(code, reason, remedy, traceback.format_exc())]


def _specs(manager: pluggy.PluginManager) -> list[BackendSpec]:
    specs = []
    for offered in manager.hook.hhplug_backends():
        if isinstance(offered, BackendSpec):
            raise TypeError("expected a list of BackendSpec, got one BackendSpec; put it in [ ]")
        specs += offered
    for spec in specs:
        if not isinstance(spec, BackendSpec):
            raise TypeError(f"expected a BackendSpec, got {spec!r}")
    # New ones are checked again, and a subclass cannot raise an error later, in a listing.
    names = [field.name for field in fields(BackendSpec)]
    return [BackendSpec(**{name: getattr(spec, name) for name in names}) for spec in specs]


def _place(plugin: Plugin, error: BaseException) -> str:
    """Where a plugin that failed comes from."""
    missing = (error.name or "") if isinstance(error, ModuleNotFoundError) else ""
    own = bool(missing) and f"{plugin.module}.".startswith(f"{missing}.")
    if own and plugin.editable and not Path(plugin.editable).exists():
        return f"{plugin.source} is an editable install of {plugin.editable}, which is gone"
    if own:
        return f"{plugin.source} names the module {plugin.module}, which is not there"
    return f"{plugin.module} of {plugin.source}"


def _why_nothing(loaded: Any, module: str) -> str:
    """What the author of a plugin without backends has forgotten or misspelt."""
    marked = [name for name in dir(loaded) if hasattr(getattr(loaded, name, None), MARK)]
    if HOOK in marked:
        return f"its hook {HOOK} returned no BackendSpec"
    if hasattr(loaded, HOOK):
        return f"the function {HOOK} of {module} lacks the decorator @hookimpl of hhplug"
    if marked:
        return f"hhplug has no hook {marked[0]!r}. Did you mean {HOOK!r}?"
    near = get_close_matches(HOOK, dir(loaded), n=1, cutoff=0.8)
    if near:
        return (
            f"{module} has no hook {HOOK} but {near[0]!r}, without the decorator @hookimpl. "
            f"Did you mean {HOOK!r}?"
        )
    return f"{module} has no function {HOOK} with the decorator @hookimpl"
