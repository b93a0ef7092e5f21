"""Whether CUDA can be used here: asked of the driver itself, without PyCUDA."""

import ctypes
import os
import shutil
import sys
from pathlib import Path

from hhplug import BackendUnavailable

DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE


def probe() -> str:
    """The GPUs, or BackendUnavailable."""
    found = devices()
    compiler()
    return ", ".join(found)


def devices() -> list[str]:
    """The names of the GPUs that CUDA shows, in its order."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1", "NoDevFiles"):
        raise BackendUnavailable(
            "devices_hidden",
            f"CUDA_VISIBLE_DEVICES={visible!r} hides every GPU",
            "unset CUDA_VISIBLE_DEVICES, or name a GPU: CUDA_VISIBLE_DEVICES=0",
        )
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError as error:
        raise BackendUnavailable(
            "no_driver", f"{DRIVER} not found", "install the NVIDIA driver", detail=str(error)
        ) from error
    count = ctypes.c_int()
    status = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if status == NO_DEVICE or (status == 0 and count.value == 0):
        raise BackendUnavailable(
            "no_device", "the driver finds no GPU", "check nvidia-smi; use another backend"
        )
    if status:
        raise BackendUnavailable(
            "driver_failed",
            f"the NVIDIA driver answers with error {status}",
            "check nvidia-smi; the driver may be older than the kernel module, or a reboot is due",
        )
    return [_name(driver, index) for index in range(count.value)]


def _name(driver: ctypes.CDLL, index: int) -> str:
    device, name = ctypes.c_int(), ctypes.create_string_buffer(256)
    driver.cuDeviceGet(ctypes.byref(device), index)
    driver.cuDeviceGetName(name, len(name), device)
    return name.value.decode(errors="replace")


def compiler() -> str:
    """The path of nvcc."""
    homes = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"]
    folders = [str(Path(home) / "bin") for home in homes if home]
    found = shutil.which("nvcc") or shutil.which("nvcc", path=os.pathsep.join(folders))
    if not found:
        raise BackendUnavailable(
            "no_compiler",
            "nvcc is neither on PATH nor in CUDA_HOME, and the kernel is compiled at its first use",
            "install the CUDA toolkit, or set CUDA_HOME to where it is",
        )
    return found
