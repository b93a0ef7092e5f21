"""Finds the programs, besides Python, that the tests of asv's pages need."""

import shutil

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


class ProgramMissing(Exception):
    """The program is not on the path; the message says how to install it."""


def chromium() -> str:
    return _path_of_first(CHROMIUM)


def npm() -> str:
    return _path_of_first(("npm",))


def _path_of_first(names: tuple[str, ...]) -> str:
    for name in names:
        if path := shutil.which(name):
            return path
    any_of_them = " or ".join(names)
    raise ProgramMissing(f"{any_of_them} is not on the path. Fix: apt-get install {names[0]}")
