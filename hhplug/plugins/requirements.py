"""Check a spec without importing its backend: the contract's version and the packages it needs."""

import re
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from hhplug._version import __version__
from hhplug.backend import API
from hhplug.plugins.entry import Entry
from hhplug.versions import is_later, least_version, numbers

if TYPE_CHECKING:
    from packaging.requirements import Requirement

VERSION_OF_CONTRACT = re.compile(r"\d+\.\d+", re.ASCII)


def checked(entry: Entry) -> Entry:
    """The entry, unavailable if its contract version or its requirements aren't satisfied."""
    spec = entry.spec
    if spec is None:
        return entry
    if not _is_compatible(spec.api):
        newer = "hhplug" if is_later(spec.api, API) else entry.distribution
        return entry.failed(
            "api_mismatch",
            f"{entry.source} is written for version {spec.api} of the backend contract, "
            f"this hhplug has {API}",
            f"upgrade {newer}",
        )
    unclear = [text for text in spec.requires if not _clearly_satisfied(text)]
    return _lacking(entry, unclear, spec.install_hint) if unclear else entry


def _clearly_satisfied(text: str) -> bool:
    """Whether a plain requirement is satisfied by a plain version."""
    plain = least_version(text)
    if plain is None:
        return False
    name, least = plain
    try:
        installed = numbers(_installed(name))
    except Exception:  # it isn't installed, or its metadata is damaged
        return False
    return installed is not None and installed >= (numbers(least) or ())


def _lacking(entry: Entry, requirements: Iterable[str], install_hint: str) -> Entry:
    """The entry, unavailable if one of its requirements isn't satisfied."""
    from packaging.requirements import Requirement

    for requirement in map(Requirement, requirements):
        if requirement.marker and not requirement.marker.evaluate():
            continue
        fix = install_hint or f"pip install '{requirement}'"
        try:
            installed = _installed(requirement.name)
        except PackageNotFoundError:
            reason, fix = absent(requirement.name, fix)
            return entry.failed("missing_package", reason, fix)
        except Exception as error:  # its metadata is damaged
            reason = f"the version of {requirement.name} cannot be read: {error}"
            return entry.failed("wrong_version", reason, f"reinstall {requirement.name}")
        if not _satisfies(requirement, installed):
            reason = f"{requirement} is needed, {requirement.name} {installed} is installed"
            return entry.failed("wrong_version", reason, fix)
    return entry


def absent(distribution: str, fix: str) -> tuple[str, str]:
    """The reason and the fix where a distribution's metadata isn't found.

    fix: what to do where this Python isn't a frozen application.
    """
    if not getattr(sys, "frozen", False):
        return f"{distribution} is not installed", fix
    module = distribution.replace("-", "_")
    return (
        f"this frozen application has no metadata of {distribution}",
        f"build it with PyInstaller's options --copy-metadata {distribution} "
        f"--collect-all {module}, or the like",
    )


def _installed(distribution: str) -> str:
    """The version of a distribution. hhplug itself may run without metadata."""
    return __version__ if distribution == "hhplug" else version(distribution)


def _satisfies(requirement: "Requirement", installed: str) -> bool:
    try:
        return requirement.specifier.contains(installed, prereleases=True)
    except (ValueError, TypeError):  # an invalid version, or None
        return False


def _is_compatible(api: str) -> bool:
    """Whether this contract version has the major of ours and no later minor."""
    if not VERSION_OF_CONTRACT.fullmatch(api):
        return False
    theirs, ours = (tuple(map(int, version.split("."))) for version in (api, API))
    return theirs[0] == ours[0] and theirs[1] <= ours[1]
