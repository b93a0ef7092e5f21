"""Faults of what is used before a run: the device's name and the probe."""

import os

from hhplug import BackendUnavailable
from sabotaged.faultless import Faultless


class NamelessDevice(Faultless):
    def __init__(self, device: int | None = None):
        super().__init__(device)
        self.device = " "


def probe_that_crashes() -> None:
    os._exit(3)


def probe_that_offers_no_fix() -> None:
    raise BackendUnavailable("busy", "the device is busy")
