"""Check a spec without importing its backend: the contract's version and the packages it needs."""

import sys
from importlib.metadata import PackageNotFoundError, version

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

from hhplug._version import __version__
from hhplug.backend import API
from hhplug.plugins.entry import Entry


def checked(entry: Entry) -> Entry:
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
