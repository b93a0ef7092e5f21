"""What a session uploads before its first launch, of what is not on the device already."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hhplug.device.inputs import Input
from hhplug.device.kept import Allocation
from hhplug.device.transfers import SMALL

if TYPE_CHECKING:
    from hhplug.device.session import DeviceSession

SPREAD = 2**13  # neurons of a uniform initial state that are uploaded, and copied on the device


Sources = dict[str, tuple[Any, ...]]
"""Name of an input that was uploaded → `Input.sources`."""


def upload_all(session: "DeviceSession", given: Allocation, inputs: Mapping[str, Input]) -> Sources:
    """Upload the inputs that `given` doesn't hold, the initial state, and the features' sums."""
    uploaded: Sources = {}
    for name, each in inputs.items():
        if each.size and not given.holds(name, each.sources):
            given.contents.pop(name, None)  # until the upload is known to be done
            session.upload(given.arrays[name], *each.rows(), dtype=each.dtype)
            uploaded[name] = each.sources
    _upload_state(session)
    if session.features:
        session.features.upload(session)
    return uploaded


def _upload_state(session: "DeviceSession") -> None:
    """Upload the initial state; a state that is the same for all neurons is spread there."""
    n, variables, process = session.problem.n_neurons, *_initial(session)
    size = variables.size + sum(row.size for row in process)
    if size * session.dtype.itemsize <= SMALL or variables.strides[1]:
        session.upload(session.arrays["state"], variables, *process)
        return
    for k, row in enumerate([*variables, *process]):
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


def _initial(session: "DeviceSession") -> tuple[NDArray[Any], list[NDArray[Any]]]:
    """The states, (n_states, N), and the process x, which the kernel sets where a run begins."""
    variables = session.problem.initial_state
    if not session.noise:
        return variables, []
    carried = session.noise.carried
    x = np.broadcast_to(0.0, session.problem.n_neurons) if carried is None else carried
    return variables, [x]
