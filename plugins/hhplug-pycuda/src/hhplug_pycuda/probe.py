"""Checks whether CUDA can be used here, by calls of the driver without PyCUDA."""

import os
import shutil
from pathlib import Path

from hhplug import BackendUnavailable
from hhplug.device.cuda_driver import check_context, devices

ABSENT = ("devices_hidden", "no_driver", "no_device")  # codes that say that there is no GPU


def probe() -> str:
    """Return the names of the GPUs.

    Raises BackendUnavailable if the backend cannot run here. It says whether there is a GPU.
    """
    found = "an NVIDIA GPU"  # unless the driver says that there is none
    try:
        found = ", ".join(devices())
        check_context()
        compiler()
    except BackendUnavailable as problem:
        # The library that CUDA's toolkit has in the driver's place answers with error 34.
        if problem.code not in ABSENT and not problem.reason.endswith("error 34"):
            problem.device = found
        raise
    return found


def compiler() -> str:
    """Return the path of nvcc. Raises BackendUnavailable with the code no_compiler."""
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
