"""How much memory this process holds, without what it could give back."""

import ctypes
import gc
import sys

import psutil


def resident_memory() -> int:
    """Bytes of this process that are in memory, after garbage and freed memory are given back."""
    gc.collect()
    if sys.platform == "linux":  # glibc may keep freed memory
        getattr(ctypes.CDLL(None), "malloc_trim", int)(0)
    return psutil.Process().memory_info().rss
