"""Work begun before PyTorch is imported, and done beside it.

To name a cached kernel Triton hashes all of itself, 400 MB, once in every process: 0.4 s and more,
which a thread can spend while PyTorch is imported.
"""

from threading import Thread

from triton.runtime import cache

# The function is Triton's own affair; where it is gone, Triton does without our help.
_hashing = Thread(target=getattr(cache, "triton_key", bool), daemon=True)
_hashing.start()

wait = _hashing.join
