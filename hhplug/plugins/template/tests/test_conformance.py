"""The tests that every backend of hhplug must pass."""

from hhplug.testing import BackendSuite


class TestMychip(BackendSuite):
    backend = "mychip"
