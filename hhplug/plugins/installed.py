"""Find the plugins that are installed by the metadata of distributions. Nothing is imported.

Every distribution is read separately, so that one whose metadata is damaged doesn't hide the rest.
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, DistributionFinder, EntryPoint
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlparse

from hhplug.errors import BackendUnavailable
from hhplug.versions import canonical_name, is_later

GROUP = "hhplug"


class Plugin(NamedTuple):
    """An entry point of the group `hhplug`, and the distribution that has it."""

    name: str
    distribution: str
    version: str
    value: str  # "module" or "module:attribute"
    mistake: BackendUnavailable | None = None  # in its metadata, so that it cannot be loaded
    editable: str = ""  # the folder that an editable install points to

    @property
    def source(self) -> str:
        return f"{self.distribution} {self.version}".strip()

    @property
    def module(self) -> str:
        return self.value.partition(":")[0].strip()

    def load(self) -> Any:
        """Import what the entry point names."""
        return EntryPoint(self.name, self.value, GROUP).load()


def installed() -> list[Plugin]:
    """The plugins of all distributions, in order of the distributions' names."""
    found: dict[str, _Found] = {}
    leftovers: dict[str, _Found] = {}
    for distribution in _distributions():
        points = _entry_points(distribution)
        if points is None or points:
            new = _Found(distribution, points)
            chosen = leftovers if new.folder.name.startswith("~") else found
            chosen[new.key] = new.or_newer(chosen.get(new.key))
    plugins = [plugin for one in found.values() for plugin in one.plugins()]
    for key, one in leftovers.items():
        if key not in found:
            plugins += one.remains()
    return sorted(plugins, key=lambda plugin: (plugin.distribution, plugin.version, plugin.name))


def _distributions() -> Iterator[Distribution]:
    """All distributions, also those after a finder that fails."""
    for finder in list(sys.meta_path):
        try:
            find = getattr(finder, "find_distributions", None)
            yield from find(DistributionFinder.Context()) if find else ()
        except Exception:  # a finder that some library installed
            continue


def _entry_points(distribution: Distribution) -> list[tuple[str, str]] | None:
    """The name and the value of each entry point of hhplug's group; None if they can't be read."""
    try:
        text = distribution.read_text("entry_points.txt") or ""
    except UnicodeDecodeError as error:
        return None if f"[{GROUP}]".encode() in error.object else []
    except Exception:  # nothing says that it has to do with hhplug
        return []
    points, section = [], ""
    for line in map(str.strip, text.removeprefix("\ufeff").splitlines()):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1].strip()
        elif section == GROUP and line and not line.startswith(("#", ";")):
            name, _, value = map(str.strip, line.partition("="))
            points.append((name, value))
    return list(dict.fromkeys(points))


class _Found:
    """A distribution with entry points of hhplug's group, as far as its metadata can be read."""

    def __init__(self, distribution: Distribution, points: list[tuple[str, str]] | None):
        self._distribution, self._points = distribution, points
        # "…/hhplug_numba-0.1.0.dist-info"; other finders may not have the path.
        self.folder = Path(str(getattr(distribution, "_path", "")))
        name, _, version = self.folder.stem.partition("-")
        try:
            metadata = distribution.metadata
            name, version = metadata["Name"] or name, metadata["Version"] or version
        except Exception:  # the file is missing, or isn't UTF-8
            pass
        self.name, self.version = str(name or "a distribution without a name"), str(version)
        self.key = canonical_name(self.name)

    def or_newer(self, other: "_Found | None") -> "_Found":
        """Of two with one name the first on sys.path; in one folder the one of later version."""
        if other is None:
            return self
        newer = is_later(self.version, other.version)
        return self if newer and self.folder.parent == other.folder.parent else other

    def plugins(self) -> list[Plugin]:
        if self._points is None:
            return [self._mistaken("", "", "its entry_points.txt isn't UTF-8", "reinstall it")]
        return [self._plugin(name, value) for name, value in self._points]

    def remains(self) -> list[Plugin]:
        """The plugins of what an interrupted upgrade left behind, which cannot be loaded."""
        reason = f"{self.folder.name} is left from an upgrade that was interrupted"
        fix = f"delete {self.folder}, and install {self.name} again"
        mistake = BackendUnavailable("leftover", reason, fix)
        names = [name for name, _ in self._points or [] if name] or [self.name]
        return [Plugin(name, self.name, self.version, "", mistake) for name in names]

    def _plugin(self, name: str, value: str) -> Plugin:
        fix = f"correct it in the pyproject.toml of {self.name}, or pip uninstall {self.name}"
        if not name:
            reason = f"its entry point '= {value}' in the group {GROUP} has no name"
            return self._mistaken(name, value, reason, fix)
        if not re.fullmatch(r"[\w.]+\s*(:\s*[\w.]+\s*)?(\[.*\])?", value):
            wanted = "'module' or 'module:attribute'"
            reason = f"its entry point {name!r} must name {wanted}, got {value!r}"
            return self._mistaken(name, value, reason, fix)
        return Plugin(name, self.name, self.version, value, editable=self._editable())

    def _mistaken(self, name: str, value: str, reason: str, fix: str) -> Plugin:
        source = f"{self.name} {self.version}".strip()
        mistake = BackendUnavailable("bad_metadata", f"{source}: {reason}", fix)
        return Plugin(name or self.name, self.name, self.version, value, mistake)

    def _editable(self) -> str:
        try:
            origin = json.loads(self._distribution.read_text("direct_url.json") or "{}")
            if not origin["dir_info"]["editable"]:
                return ""
            return _folder_of(origin["url"])
        except Exception:  # most distributions come from an index
            return ""


def _folder_of(url: str) -> str:
    """The path in a URL file:///…; urllib.request, which has this too, takes 8 ms to import."""
    path = unquote(urlparse(url).path)
    return str(Path(path.removeprefix("/") if os.name == "nt" else path))  # /C:/… on Windows
