"""The checkout that the benchmarks stand in."""

import subprocess
from pathlib import Path

TOP = Path(__file__).parents[1]


def commit_hash(revision: str, top: Path = TOP) -> str:
    """The whole hash of a revision, as git takes it.

    Raises LookupError where git knows no such commit.
    """
    parse = ["git", "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"]
    found = subprocess.run(parse, cwd=top, capture_output=True, text=True)
    if found.returncode:
        raise LookupError(f"git knows no commit {revision!r} in {top}")
    return found.stdout.strip()
