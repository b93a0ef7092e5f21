"""Write a new plugin, a copy of the one in `hhplug/plugins/template` under another name."""

import json
import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from hhplug.backend import API, BackendSpec
from hhplug.errors import InvalidInput
from hhplug.plugins import discovery

TEMPLATE = Path(__file__).with_name("template")
WORKFLOW = Path(".github/workflows/ci.yml")
FROM_INDEX = "HHPLUG: hhplug[testing]"


def new_backend(name: str, dest: Path) -> Path:
    """Write the folder `hhplug-NAME` into dest and return its path.

    Raises InvalidInput if the name is invalid or taken, the folder exists, or dest doesn't.
    """
    _check(name)
    folder = dest / f"hhplug-{name}"
    if not dest.is_dir():
        raise InvalidInput(f"no folder {dest} to write {folder.name} into")
    if folder.exists():
        raise InvalidInput(f"{folder} exists already; remove it, or choose another name")
    for source in sorted(TEMPLATE.rglob("*")):
        if source.is_file() and "__pycache__" not in source.parts:  # pip compiles the template
            path = source.relative_to(TEMPLATE)
            text = _renamed(source.read_text(encoding="utf-8"), name)
            if path == WORKFLOW:
                text = text.replace(FROM_INDEX, FROM_INDEX + _repository())
            target = folder / _renamed(path.as_posix(), name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8", newline="\n")
    return folder


def _repository() -> str:
    """The end of a requirement that names the repository and commit that pip installed hhplug from.

    It is empty if hhplug comes from elsewhere, or from a repository on this computer. pip keeps the
    origin in direct_url.json (PEP 610).
    """
    try:
        origin = json.loads(distribution("hhplug").read_text("direct_url.json") or "{}")
    except PackageNotFoundError:  # hhplug runs without being installed
        return ""
    if "vcs_info" not in origin or origin["url"].startswith("file:"):
        return ""
    return " @ {vcs}+{url}@{commit_id}".format(url=origin["url"], **origin["vcs_info"])


def _check(name: str) -> None:
    # This raises InvalidInput for an invalid name.
    BackendSpec(name=name, factory="a:b", api=API, summary="")
    if not name[-1].isalnum():
        raise InvalidInput(f"a distribution's name cannot end in {name[-1]!r}, got {name!r}")
    for entry in discovery.known():
        if _module(entry.name) == _module(name):
            raise InvalidInput(
                f"the name {entry.name!r} is taken by {entry.source}; choose another name"
            )


def _module(name: str) -> str:
    return f"hhplug_{name.replace('-', '_')}"


def _renamed(text: str, name: str) -> str:
    """The text with the template's name replaced, in the forms of a module, a class and a word."""
    words = {
        "hhplug_mychip": _module(name),
        "Mychip": "".join(part.capitalize() for part in re.split("[-_]+", name)),
        "mychip": name,
    }
    return re.sub("|".join(words), lambda found: words[found[0]], text)
