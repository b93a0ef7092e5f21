"""The factory of the backend, which overlaps the import of PyTorch with two slow calls.

Triton hashes its own 400 MB once per process to find a cached kernel, and the creation of a CUDA
context takes as long again. Neither holds the interpreter's lock, so that PyTorch is imported at
the same time.
"""

from threading import Thread

from triton.runtime import cache

from hhplug.backend import Backend
from hhplug.device import cuda_driver
from hhplug_triton.probe import interpreted


def open_backend(device: int | None = None) -> Backend:
    """Return a TritonBackend. device: index of the device. Raises BackendUnavailable."""
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
