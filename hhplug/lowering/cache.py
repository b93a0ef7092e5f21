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

FOLDER = Path(user_cache_dir("hhplug")) / "programs"


def kept(key: str, make: Callable[[], Program]) -> Program:
    """The program of a key, which is made if no file has it.

    The key must hold all that the program depends on but this package's source. A file that cannot
    be read or written is no error: the program is made again.
    """
    file = FOLDER / sha256(f"{_source()} {key}".encode()).hexdigest()
    try:
        program = pickle.loads(file.read_bytes())
        if isinstance(program, Program):
            return program
    except Exception:  # whatever a damaged file raises
        pass
    program = make()
    try:
        FOLDER.mkdir(parents=True, exist_ok=True)
        with replacing(file) as part:
            part.write(pickle.dumps(program))
    except OSError:
        pass
    return program


@cache
def _source() -> str:
    """A hash of the version and of the source that makes programs."""
    package = Path(__file__).parent
    files = [*package.glob("*.py"), *(package.parent / "membranes").glob("*.py")]
    digest = sha256(__version__.encode())
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()
