"""A fault that a backend may have, and the tests of the suite that detect it."""

from dataclasses import dataclass, field
from typing import Any

from hhplug.testing import BackendSuite


@dataclass(frozen=True)
class Fault:
    """A class of `sabotaged`, or a wrong BackendSpec of the faultless backend."""

    name: str
    fails: tuple[str, ...]  # tests that must detect it
    passes: tuple[str, ...]  # tests of other topics, which must pass
    horizon: str = "short"
    raises: str = ""  # the error of the run, if it raises one
    spec: dict[str, Any] = field(default_factory=dict)
    says: str = ""  # a part of each test's first message

    def __str__(self) -> str:
        return self.name

    @property
    def factory(self) -> str:
        """Its path: `sabotaged` has a module for each topic, here that of the test."""
        if self.name.islower():
            return "sabotaged.faultless:Faultless"
        topic = getattr(BackendSuite, self.fails[0]).__module__.rpartition(".")[2]
        return f"sabotaged.{topic}:{self.name}"
