"""What a session copies to the host beside samples: spikes in no order, and its state."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hhplug.device.interface import Event, PlacedSpikes
from hhplug.device.launch import SpikeRoom
from hhplug.device.transfers import Copy
from hhplug.state import State

if TYPE_CHECKING:
    from hhplug.device.session import DeviceSession

INT = np.dtype(np.int32)


class SpikesOnHost:
    """Neuron, step of the launch, and fraction of `total` spikes, once the `copies` are made."""

    def __init__(self, session: "DeviceSession", spikes: SpikeRoom | PlacedSpikes, total: int):
        self.neuron, self.step = np.empty((2, total), INT)
        self.fraction = np.empty(total, session.dtype)
        self.copies = [
            Copy(self.neuron, spikes.neuron),
            Copy(self.step, spikes.step),
            Copy(self.fraction, spikes.fraction),
        ]


def spikes_on_host(
    session: "DeviceSession", spikes: SpikeRoom, ready: Event, total: int, first_step: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Neuron, step and fraction of the spikes of a launch that began with a step, after `ready`."""
    found = SpikesOnHost(session, spikes, total)
    session.device.transfers.to_host(ready, found.copies)
    return found.neuron, found.step + np.int64(first_step), found.fraction


class StateOnHost:
    """The state of a session, once its `copies` are made.

    variables: (n_states, n) in the run's dtype, filled by the copies.
    """

    def __init__(self, session: "DeviceSession", variables: NDArray[Any]):
        self._session, self.variables = session, variables
        on_device, size, noise = session.arrays["state"], variables.size, session.noise
        n_noisy = session.problem.n_neurons if noise else 0
        self._x = session.results.empty((n_noisy,), session.dtype)
        self.copies = [Copy(variables, on_device)]
        if noise:
            self.copies.append(Copy(self._x, on_device[size:]))

    def state(self, step: int, known_finite: bool) -> State:
        """The state before a step, all of whose earlier steps are done."""
        session = self._session
        carry = session.noise.carry(self._x) if session.noise else {}
        if session.features:
            carry = {**carry, **session.features.carry(session, step)}
        return State(self.variables, carry, known_finite)
