"""The backends that every general test runs on: HHPLUG_TEST_BACKENDS, with commas between.

One that is named and cannot run here fails its tests; nothing is skipped.
"""

import os

import pytest

NAMES = os.environ.get("HHPLUG_TEST_BACKENDS", "reference,numpy").split(",")
PRECISIONS = {"reference": ("float64",)}

every_backend = pytest.mark.parametrize(
    ("backend", "dtype"),
    [(name, dtype) for name in NAMES for dtype in PRECISIONS.get(name, ("float32", "float64"))],
)
