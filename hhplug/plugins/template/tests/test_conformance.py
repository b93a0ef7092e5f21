"""Everything that hhplug asks of a backend."""

from hhplug.testing import BackendSuite


class TestMychip(BackendSuite):
    backend = "mychip"
