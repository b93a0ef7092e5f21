"""The sums of features that a kernel computes: their arrays, and copies to and from the host."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hhplug.device.transfers import Copy
from hhplug.features.definitions import GROUPS, IN_DTYPE, ONSET_SLOPE, STRETCH, groups_of, sums_of
from hhplug.problem import SUMS, Problem
from hhplug.threads import of_parts

if TYPE_CHECKING:
    from hhplug.device.session import DeviceSession

DOUBLE = np.dtype(np.float64)
NEVER = 2**31 - 1


class Sampled(NamedTuple):
    """Which steps of a launch have a sample in the features' window."""

    first: int
    """The launch's step whose sample is the window's first. It is negative if that was before, and
    then not below −STRETCH; NEVER if no step is in the window."""

    last: int
    """The launch's last step whose sample is in the window; −1 if there is none."""


class DeviceFeatures:
    """The sums of a problem's features on a device.

    The session has two arrays of them, each with the sums in the order of GROUPS:

    "sums_in_dtype", (sums, N): those of IN_DTYPE, in the run's dtype;
    "sums", (sums, N): the others, in float64.

    A kernel sets all of them at the window's first sample.
    """

    def __init__(self, problem: Problem):
        self.problem = problem
        names = tuple(sums_of(problem.features))
        self._in_dtype = tuple(name for name in names if name in IN_DTYPE)
        self._others = tuple(name for name in names if name not in IN_DTYPE)
        self.groups = groups_of(problem.features)
        self.onset_rise = ONSET_SLOPE * problem.dt  # mV: of V in a step at an onset

    def group_bits(self) -> int:
        """A bit for each group of features that is asked for: 1 for the first of GROUPS."""
        return sum(1 << bit for bit, group in enumerate(GROUPS) if group in self.groups)

    def shapes(self) -> Mapping[str, tuple[int, np.dtype]]:
        """The number of elements and the type of each array."""
        n, real = self.problem.n_neurons, np.dtype(self.problem.dtype)
        return {
            "sums_in_dtype": (len(self._in_dtype) * n, real),
            "sums": (len(self._others) * n, DOUBLE),
        }

    def upload(self, session: "DeviceSession") -> None:
        """Upload the sums of the run that this one continues, if there is one."""
        carried = self.problem.initial.carry.get(SUMS)
        if carried is None:
            return
        rows = dict(zip(sums_of(self.problem.features), carried, strict=True))
        in_dtype = [rows[name] for name in self._in_dtype]
        session.upload(session.arrays["sums_in_dtype"], *in_dtype)
        others = [rows[name] for name in self._others]
        session.upload(session.arrays["sums"], *others, dtype=DOUBLE)

    def sampled(self, first_step: int, n_steps: int) -> Sampled:
        """Which of the steps from `first_step` on are sampled."""
        begin, end = (step - first_step for step in self.problem.window_steps)
        last = min(end, n_steps) - 1
        if last < max(begin, 0):
            return Sampled(NEVER, -1)
        return Sampled(max(begin, -STRETCH), last)

    def carry(self, session: "DeviceSession", step: int) -> dict[str, NDArray[np.float64]]:
        """What the carry of the state before a step has, all of whose earlier steps are done."""
        starts, n = sums_of(self.problem.features), self.problem.n_neurons
        new = session.results.empty
        rows = new((len(starts), n), DOUBLE)
        if step <= self.problem.window_steps[0]:
            rows[:] = np.array(list(starts.values()))[:, np.newaxis]
            return {SUMS: rows}
        place = {name: rows[row] for row, name in enumerate(starts)}
        in_dtype = new((len(self._in_dtype), n), session.dtype)
        copies = [Copy(in_dtype, session.arrays["sums_in_dtype"])]
        others = session.arrays["sums"]
        copies += [Copy(place[name], others[k * n :]) for k, name in enumerate(self._others)]
        session.device.transfers.to_host(session.stream.record(), copies)

        def widen(neurons: slice) -> None:
            for name, values in zip(self._in_dtype, in_dtype, strict=True):
                place[name][neurons] = values[neurons]

        of_parts(widen, n, len(in_dtype))
        return {SUMS: rows}
