"""Fixtures that several test files share."""

from pathlib import Path

import numpy as np
import pytest
from plugin_factory import plugins as plugins

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def brian2():
    """What Brian2 computed; data/README.md says how."""
    with np.load(DATA / "brian2_constant_current.npz") as stored:
        return dict(stored)
