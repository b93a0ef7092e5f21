"""Load the plugins of others in child processes, before a listing loads them in this one.

A plugin that hangs, crashes or ends its process while it is loaded would take the listing and the
user's session with it.
"""

import os
from collections.abc import Iterable

from hhplug.errors import BackendUnavailable
from hhplug.plugins import loading, probes
from hhplug.plugins.installed import Plugin

BEGUN = "loading the plugin"  # the child has imported hhplug, which may take long, and goes on


def load(value: str) -> None:
    """Load the plugin that an entry point names, in a child process."""
    os.write(2, f"{BEGUN}\n".encode())
    loading.offers(Plugin(value, "", "", value))


def harmful(plugins: Iterable[Plugin]) -> dict[Plugin, BackendUnavailable]:
    """The plugins that can't be loaded without harm, and why.

    All together are given the time of probes. Where no child process can be started, none is
    harmful.
    """
    asked = {plugin: f"{__name__}:load {''.join(plugin.value.split())}" for plugin in plugins}
    answers = probes.answers(asked.values())
    found = {}
    for plugin, probe in asked.items():
        problem = answers[probe].unavailable
        detail = problem.detail if problem else ""
        if problem and BEGUN in detail and problem.code in ("probe_timeout", "probe_crashed"):
            found[plugin] = _refusal(plugin, problem)
    return found


def _refusal(plugin: Plugin, problem: BackendUnavailable) -> BackendUnavailable:
    where = f"({plugin.module} of {plugin.source})"
    detail = problem.detail.partition(BEGUN)[2].strip()
    fix = f"upgrade {plugin.distribution}, or pip uninstall {plugin.distribution}"
    if problem.code == "probe_timeout":
        reason = f"importing the plugin didn't end within {probes.TIMEOUT:g} s {where}"
        return BackendUnavailable("load_timeout", reason, fix, detail=detail)
    reason = f"{problem.reason.replace('the probe', 'importing the plugin')} {where}"
    return BackendUnavailable("load_crashed", reason, fix, detail=detail)
