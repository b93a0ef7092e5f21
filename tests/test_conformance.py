"""The kit, on every backend that HHPLUG_TEST_BACKENDS names."""

from under_test import NAMES

from hhplug.testing import BackendSuite

for name in NAMES:
    globals()[f"Test{name.title()}"] = type(
        f"Test{name.title()}", (BackendSuite,), {"backend": name}
    )
del BackendSuite  # a class without a backend
