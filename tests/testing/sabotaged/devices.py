"""Faults of a backend that has several devices."""

import numpy as np

from hhplug import BackendUnavailable
from sabotaged.changes import with_fields
from sabotaged.faultless import Faultless


class AnotherCodeForAMissingDevice(Faultless):
    def __init__(self, device: int | None = None):
        super().__init__()
        if device not in (None, 0):
            raise BackendUnavailable("no_device", f"there is no device {device}", "use device=0")


class NoiseNumberedOnEachDevice(Faultless):
    """The neurons of each device have the noise of the first neurons."""

    def understood(self, problem):
        return with_fields(problem, _ids=None)


class RowsApartLost(Faultless):
    """Samples are written to a copy if their rows lie apart."""

    def read(self, session, steps, out):
        samples = {name: np.ascontiguousarray(array) for name, array in out.samples.items()}
        out.samples, given = samples, out.samples
        super().read(session, steps, out)
        out.samples = given


class StateApartLost(Faultless):
    """The state is written to a copy if its rows lie apart."""

    def prepare(self, problem, max_steps):
        session = super().prepare(problem, max_steps)
        write = session.end_into
        session.end_into = lambda arrays: write(
            arrays._replace(variables=np.ascontiguousarray(arrays.variables))
        )
        return session
