"""The factory of the backend, which overlaps the import of PyTorch with two slow calls.

Triton hashes its own 400 MB once per process to find a cached kernel, and the creation of a CUDA
context takes as long again. Neither holds the interpreter's lock, so that PyTorch is imported at
the same time.
"""

from functools import cache as once
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from threading import Thread

from triton import knobs
from triton.runtime import cache

from hhplug.backend import Backend
from hhplug.device import cuda_driver
from hhplug_triton.probe import interpreted


def open_backend(device: int | None = None) -> Backend:
    """Return a TritonBackend for the device of this index. Raises BackendUnavailable."""
    _find_a_cache_folder()
    # triton_key is internal to Triton; without it the hash is computed at the first launch.
    hashing = Thread(target=getattr(cache, "triton_key", bool), daemon=True)
    context = Thread(target=cuda_driver.retain_context, args=(device or 0,), daemon=True)
    if not interpreted():
        hashing.start()
        context.start()
    from hhplug_triton.backend import TritonBackend

    if not interpreted():
        hashing.join()
        context.join()
    return TritonBackend(device)


@once
def _find_a_cache_folder() -> TemporaryDirectory[str] | None:
    """Give Triton a folder of this process where its own cannot be written; it compiles in one."""
    try:
        folder = Path(knobs.cache.dir)
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
    except OSError:
        temporary = TemporaryDirectory(prefix="hhplug-triton-")
        knobs.cache.dir = temporary.name
        return temporary  # kept by the cache of this function until the process ends
    return None
