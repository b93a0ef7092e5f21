"""Programs kept in files, so that a later process finds a membrane lowered."""

import pickle
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path

from platformdirs import user_cache_dir

from hhplug._version import __version__
from hhplug.files import replacing
from hhplug.lowering.program import Program

CHECKSUM_BYTES = 32  # at the beginning of a file; the rest is the pickled program
FOLDER = Path(user_cache_dir("hhplug")) / "programs"


def kept(key: str, make: Callable[[], Program]) -> Program:
    """The program of a key, which is made if no file has it.

    The key must hold all that the program depends on but this package's source. A file that cannot
    be read or written, or that is damaged, is no error: the program is made again.
    """
    file = FOLDER / sha256(f"{_source()} {key}".encode()).hexdigest()
    try:
        content = file.read_bytes()
        checksum, pickled = content[:CHECKSUM_BYTES], content[CHECKSUM_BYTES:]
        if sha256(pickled).digest() == checksum:  # one changed bit may be another coefficient
            program = pickle.loads(pickled)
            if isinstance(program, Program):
                return program
    except Exception:  # whatever a file of other versions of Python raises
        pass
    program = make()
    try:
        FOLDER.mkdir(parents=True, exist_ok=True)
        pickled = pickle.dumps(program)
        with replacing(file) as part:
            part.write(sha256(pickled).digest() + pickled)
    except OSError:
        pass
    return program


@cache
def _source() -> str:
    """A hash of the version and of the source that makes programs."""
    hhplug = Path(__file__).parents[1]
    files = [hhplug / "validity.py"]
    files += [file for part in ("lowering", "membranes") for file in (hhplug / part).glob("*.py")]
    digest = sha256(__version__.encode())
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()
