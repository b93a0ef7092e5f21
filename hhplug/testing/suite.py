"""The suite: one class of all topics, and its subclass for the backend of --hhplug-backend."""

from typing import Any, ClassVar

import pytest

from hhplug.backend import Capabilities
from hhplug.plugins import discovery
from hhplug.testing.kit import Kit
from hhplug.testing.plugin import HORIZON, NAME, rules
from hhplug.testing.topics.currents import CurrentTests
from hhplug.testing.topics.devices import DeviceTests
from hhplug.testing.topics.features import FeatureTests
from hhplug.testing.topics.methods import MethodTests
from hhplug.testing.topics.noise import NoiseTests
from hhplug.testing.topics.numerics import NumericsTests
from hhplug.testing.topics.populations import PopulationTests
from hhplug.testing.topics.process import ProcessTests
from hhplug.testing.topics.promises import PromiseTests
from hhplug.testing.topics.recording import RecordingTests
from hhplug.testing.topics.sessions import SessionTests
from hhplug.testing.topics.side_by_side import SideBySideTests
from hhplug.testing.topics.spec import SpecTests
from hhplug.testing.topics.spikes import SpikeTests
from hhplug.testing.topics.validity import ValidityTests
from hhplug.testing.topics.varied import VariedTests
from hhplug.testing.varied import rows

# From simple to hard, in the order in which they run.
TOPICS = (
    SpecTests,
    PromiseTests,
    VariedTests,
    PopulationTests,
    CurrentTests,
    NoiseTests,
    FeatureTests,
    RecordingTests,
    SpikeTests,
    ValidityTests,
    SessionTests,
    SideBySideTests,
    DeviceTests,
    ProcessTests,
    NumericsTests,
    MethodTests,
)


FIXED = {"kit", "hhplug_suite", "pytest_generate_tests", "_name"}


# A neuron of a wrong backend may become invalid; what fails is the test's own assertion.
@pytest.mark.filterwarnings("ignore:.* neurons became invalid:RuntimeWarning")
# Pytest begins with the tests of the last base class.
class BackendSuite(*reversed(TOPICS)):
    """All tests of the kit. A subclass names its backend, `backend = "mine"`, and may add tests."""

    backend: ClassVar[str] = ""
    hhplug_suite: ClassVar[bool] = True  # the pytest plugin looks for this attribute

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        before = cls.__mro__[: cls.__mro__.index(BackendSuite)]
        theirs = {name for base in before for name in vars(base)}
        ours = FIXED | {name for name in dir(BackendSuite) if name.startswith("test_")}
        changed = sorted(theirs & ours)
        if changed:
            raise TypeError(f"{cls.__name__} overrides {', '.join(changed)} of the suite")

    @pytest.fixture
    def kit(self, request: pytest.FixtureRequest, dtype: Any) -> Kit:
        """The backend at one of the precisions that it declares."""
        name = self._name(request.config)
        short = request.config.getoption(HORIZON) == "short"
        return Kit(name, dtype, short, rules(request.config).budget(name))

    @classmethod
    def _name(cls, config: pytest.Config) -> str:
        name = cls.backend or config.getoption(NAME)
        if not name:
            raise pytest.UsageError(f"name the backend to test: {NAME}=NAME")
        return name

    @classmethod
    def pytest_generate_tests(cls, metafunc: pytest.Metafunc) -> None:
        if "kit" in metafunc.fixturenames:
            spec = discovery.entry(cls._name(metafunc.config)).spec
            dtypes = spec.capabilities.dtypes if spec else ("float64",)
            precision = metafunc.definition.get_closest_marker("precision")
            if precision and precision.args[0] in dtypes:
                dtypes = precision.args
            elif precision or metafunc.definition.get_closest_marker("one_precision"):
                dtypes = dtypes[:1]
            metafunc.parametrize("dtype", dtypes, scope="class")
        if "row" in metafunc.fixturenames:
            spec = discovery.entry(cls._name(metafunc.config)).spec
            capabilities = spec.capabilities if spec else Capabilities()
            short = metafunc.config.getoption(HORIZON) == "short"
            any_membrane = capabilities.membranes == "any"
            metafunc.parametrize("row", rows(short, any_membrane, capabilities.methods))


class TestBackend(BackendSuite):
    """The suite for `pytest --pyargs hhplug.testing.suite --hhplug-backend=NAME`."""
