"""Checks whether CUDA can be used here, by calls of the driver without PyCUDA."""

import os
import shutil
from pathlib import Path

from hhplug import BackendUnavailable
from hhplug.device.cuda_driver import check_context, devices, present


def probe() -> str:
    """Return the names of the GPUs.

    Raises BackendUnavailable if the backend cannot run here. It says whether there is a GPU.
    """
    try:
        found = devices()
        check_context()
        compiler()
    except BackendUnavailable as problem:
        problem.device = present()
        raise
    return ", ".join(found)


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
