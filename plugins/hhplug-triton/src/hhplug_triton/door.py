"""The way in: PyTorch is imported beside two things that would else wait for it.

To name a cached kernel Triton hashes all of itself, 400 MB, once in every process; a CUDA context
takes as long again. Both leave Python to the import meanwhile.
"""

from threading import Thread

from triton.runtime import cache

from hhplug.backend import Backend
from hhplug.device import cuda_driver
from hhplug_triton.probe import interpreted


def open_backend(device: int | None = None) -> Backend:
    """A TritonBackend."""
    # Triton's own affair: where the function is gone, Triton does without our help.
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
