"""The kit, on every backend that HHPLUG_TEST_BACKENDS names."""

from inspect import unwrap

import pytest
from under_test import NAMES

from hhplug.testing import BackendSuite, accuracy, runs

pytestmark = pytest.mark.usefixtures("reference_runs")

MANY = 1_100_003  # neurons, more than 2^20
ON_CPU = ("reference", "numpy", "numba")


class OnCpu:
    """A test of every kernel launch's thread blocks needs millions of neurons; a CPU has none."""

    @pytest.fixture(autouse=True)
    def neurons(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("hhplug.testing.topics.populations.MILLIONS", MANY)


class Short(OnCpu):
    """The reference counts nothing in a block, and its traces are compared with its own.

    64 spikes of a neuron in a block, 5 ms and 20 ms therefore show what a thousand, 50 ms and
    200 ms would.
    """

    @pytest.fixture(autouse=True)
    def steps(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def a_tenth(T, *arguments, **changes):
            return accuracy.accuracy_problem(T / 10.0, *arguments, **changes)

        monkeypatch.setattr("hhplug.testing.topics.spikes.LONGEST_BLOCK", 2**12)
        for module in ("runs", "topics.numerics"):
            monkeypatch.setattr(f"hhplug.testing.{module}.accuracy_problem", a_tenth)
        for name in ("trace", "trains"):  # not those that other backends are compared with
            monkeypatch.setattr(runs, name, unwrap(getattr(runs, name)))


for name in NAMES:
    sizes = (Short,) if name == "reference" else (OnCpu,) if name in ON_CPU else ()
    globals()[f"Test{name.title()}"] = type(
        f"Test{name.title()}", (*sizes, BackendSuite), {"backend": name}
    )
del BackendSuite  # a class without a backend
