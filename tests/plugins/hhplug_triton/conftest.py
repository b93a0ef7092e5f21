"""The results of triton_cases in Triton's interpreter, which several files test."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import triton
import triton_cases

TESTS = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def interpreter(tmp_path_factory):
    """The folder with the results of triton_cases, run in a new process in Triton's interpreter."""
    if triton.__version__.startswith("3.6.") and np.lib.NumpyVersion(np.__version__) >= "2.4.0":
        pytest.skip("the interpreter of Triton 3.6 needs a NumPy before 2.4")
    folder = tmp_path_factory.mktemp("interpreter")
    paths = [str(TESTS), os.environ.get("PYTHONPATH", "")]
    environment = {"TRITON_INTERPRET": "1", "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    subprocess.run(
        [sys.executable, triton_cases.__file__, str(folder)],
        env=os.environ | environment,
        check=True,
    )
    return folder
