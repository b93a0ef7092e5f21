"""Compile `kernel.cpp` at its first use, or find the library in the user's cache."""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from platformdirs import user_cache_dir

from hhplug import BackendUnavailable

SOURCE = Path(__file__).with_name("kernel.cpp")
# Contraction would round a step otherwise in one place of the code than in another.
OPTIONS = ["-std=c++17", "-O2", "-ffp-contract=off", "-fPIC", "-shared"]


@cache
def library() -> ctypes.CDLL:
    """Return the compiled kernel. Raises BackendUnavailable with the code no_compiler."""
    if shutil.which("g++") is None:
        raise BackendUnavailable("no_compiler", "g++ is not on PATH", "install g++")
    compiler = subprocess.run(["g++", "--version"], capture_output=True, check=True).stdout
    key = hashlib.sha256(SOURCE.read_bytes() + compiler)
    key.update(" ".join([*OPTIONS, platform.machine()]).encode())
    kept = Path(user_cache_dir("hhplug")) / f"cpp-{key.hexdigest()[:32]}.so"
    with suppress(OSError):
        return ctypes.CDLL(str(kept))
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "kernel.so"
        subprocess.run(["g++", *OPTIONS, "-o", str(built), str(SOURCE)], check=True)
        with suppress(OSError):  # nothing can be written there
            kept.parent.mkdir(parents=True, exist_ok=True)
            partial = kept.with_suffix(f".{os.getpid()}")
            shutil.copy(built, partial)
            partial.replace(kept)
        return ctypes.CDLL(str(built))
