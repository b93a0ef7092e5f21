"""Faults that make the core break its promises to users."""

import numpy as np

from sabotaged.faultless import Faultless


class EveryDeviceTaken(Faultless):
    def __init__(self, device: int | None = None):  # noqa: ARG002
        super().__init__()


class NaNThatIsHidden(Faultless):
    def read(self, session, steps, out):
        super().read(session, steps, out)
        out.invalid.clear()

    def state(self, session):
        return np.nan_to_num(session.now)
