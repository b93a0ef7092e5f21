"""The git checkout that contains the benchmarks."""

import subprocess
from pathlib import Path

TOP = Path(__file__).parents[2]


def commit_hash(revision: str, top: Path = TOP) -> str:
    """Return the full hash of a git revision.

    Raises LookupError if git knows no such commit.
    """
    parse = ["git", "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"]
    found = subprocess.run(parse, cwd=top, capture_output=True, text=True)
    if found.returncode:
        raise LookupError(f"git knows no commit {revision!r} in {top}")
    return found.stdout.strip()
