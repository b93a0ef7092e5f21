"""Names and versions of distributions, and what a requirement asks of them.

Plain ones are read here, because `packaging` takes 15 ms to import, and a process has its first
result in 270 ms. It is imported for anything else.
"""

import re

PLAIN_REQUIREMENT = re.compile(r"(\w|\w[\w.-]*\w)>=(\d+(?:\.\d+)*)", re.ASCII)
PLAIN_VERSION = re.compile(r"\d+(\.\d+)*", re.ASCII)


def canonical_name(name: str) -> str:
    """The spelling that all equal names of a distribution have in common (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def numbers(version: str) -> tuple[int, ...] | None:
    """The numbers of a plain version such as 2.10, without zeros at the end; None for any other."""
    if not PLAIN_VERSION.fullmatch(version):
        return None
    found = [int(number) for number in version.split(".")]
    while found and not found[-1]:
        found.pop()
    return tuple(found)


def least_version(requirement: str) -> tuple[str, str] | None:
    """The name and the version of a plain requirement NAME>=VERSION; None for any other."""
    plain = PLAIN_REQUIREMENT.fullmatch(requirement)
    return (plain[1], plain[2]) if plain else None


def mistake_in(requirement: str) -> str:
    """What is wrong with a requirement, or "" if nothing is."""
    if least_version(requirement):
        return ""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        Requirement(requirement)
    except InvalidRequirement as error:
        return str(error)
    return ""


def is_later(version: str, other: str) -> bool:
    """Whether a version is later than another. One that isn't a version is earlier than any."""
    ours, theirs = numbers(version), numbers(other)
    if ours is not None and theirs is not None:
        return ours > theirs
    from packaging.version import InvalidVersion, Version

    def parsed(text: str) -> Version:
        try:
            return Version(text)
        except InvalidVersion:
            return Version("0")

    return parsed(version) > parsed(other)
