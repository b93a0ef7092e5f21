"""The programs beside Python's that asv's pages are shown with."""

import shutil

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


class ProgramMissing(Exception):
    """No such program is on the path; the message says how to install it."""


def chromium() -> str:
    return _path_of_first(CHROMIUM)


def npm() -> str:
    return _path_of_first(("npm",))


def _path_of_first(names: tuple[str, ...]) -> str:
    found = filter(None, map(shutil.which, names))
    path = next(found, None)
    if path is None:
        names_read = " or ".join(names)
        raise ProgramMissing(f"{names_read} is not on the path. Fix: apt-get install {names[0]}")
    return path
