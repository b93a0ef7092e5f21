"""What a session uploads before its first launch, of what is not on the device already."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hhplug.device.inputs import Input
from hhplug.device.kept import Allocation
from hhplug.device.transfers import SMALL

if TYPE_CHECKING:
    from hhplug.device.session import DeviceSession

SPREAD = 2**13  # neurons of a uniform initial state that are uploaded, and copied on the device


def upload_all(session: "DeviceSession", given: Allocation, inputs: Mapping[str, Input]) -> None:
    """Upload the inputs that `given` doesn't hold, the initial state, and the features' sums."""
    session.device.transfers.wait(session.stream.record())
    missing = {n: each for n, each in inputs.items() if not given.holds(n, each.sources)}
    given.contents.clear()  # until the uploads are known to be done
    for name, each in missing.items():
        if each.size:
            session.upload(given.arrays[name], *each.rows, dtype=each.dtype)
    _upload_state(session, [*session.problem.initial_state, *_process_of_noise(session)])
    if session.features:
        session.features.upload(session)


def _upload_state(session: "DeviceSession", rows: Sequence[NDArray[Any]]) -> None:
    """Upload the initial state; a state that is the same for all neurons is spread there."""
    n = session.problem.n_neurons
    if n * len(rows) * session.dtype.itemsize <= SMALL or rows[0].strides[0]:
        session.upload(session.arrays["state"], *rows)
        return
    for k, row in enumerate(rows):
        target = session.arrays["state"][k * n : (k + 1) * n]
        if row.strides[0]:
            session.upload(target, row)
            continue
        with np.errstate(over="ignore"):  # beyond float32 is infinite
            value = session.dtype.type(row[0])
        if session.stream.fill(target, value):
            continue
        done = min(n, SPREAD)
        session.upload(target[:done], row[:done])
        while done < n:
            more = min(done, n - done)
            session.stream.copy(target[done : done + more], target[:more])
            done += more


def _process_of_noise(session: "DeviceSession") -> list[NDArray[Any]]:
    """The row of the state with the process x, which the kernel sets where a run begins."""
    if not session.noise:
        return []
    carried = session.noise.carried
    return [np.broadcast_to(0.0, session.problem.n_neurons) if carried is None else carried]
