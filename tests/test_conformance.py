"""The kit, on every backend that HHPLUG_TEST_BACKENDS names."""

from inspect import unwrap

import pytest
from under_test import NAMES

from hhplug import testing
from hhplug.testing import accuracy, runs

pytestmark = pytest.mark.usefixtures("reference_runs")

MANY = 1_100_003  # neurons, more than 2^20
ON_CPU = ("reference", "numpy", "numba")


class WithFewerNeurons:
    """For backends on a CPU: the kit's 4,300,003 neurons are meant for a GPU's thread blocks."""

    @pytest.fixture(autouse=True)
    def fewer_neurons(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("hhplug.testing.topics.populations.MILLIONS", MANY)


class WithFewerSteps(WithFewerNeurons):
    """For the reference, whose long runs would be compared with the same runs of its own.

    Its traces last a tenth of the kit's. Its longest block has 64 spikes of each neuron, because it
    stores a step's spikes at once and has no room that a thousand could exceed.
    """

    @pytest.fixture(autouse=True)
    def fewer_steps(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def a_tenth(T, *arguments, **changes):
            return accuracy.accuracy_problem(T / 10.0, *arguments, **changes)

        monkeypatch.setattr("hhplug.testing.topics.spikes.LONGEST_BLOCK", 2**12)
        for module in ("runs", "topics.numerics"):
            monkeypatch.setattr(f"hhplug.testing.{module}.accuracy_problem", a_tenth)
        for name in ("trace", "trains"):  # whose caches are for other backends
            monkeypatch.setattr(runs, name, unwrap(getattr(runs, name)))


def bases_of(name: str) -> tuple[type, ...]:
    """Return what the class of a backend's tests is derived from."""
    if name == "reference":
        return WithFewerSteps, testing.BackendSuite
    return (WithFewerNeurons, testing.BackendSuite) if name in ON_CPU else (testing.BackendSuite,)


for name in NAMES:
    globals()[f"Test{name.title()}"] = type(
        f"Test{name.title()}", bases_of(name), {"backend": name}
    )
