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


def spikes_on_host(
    session: "DeviceSession", spikes: SpikeRoom | PlacedSpikes, ready: Event, total: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Copies of neuron, step of the launch, and fraction of `total` spikes, after `ready`."""
    neuron, step = np.empty((2, total), INT)
    fraction = np.empty(total, session.dtype)
    copies = (neuron, spikes.neuron), (step, spikes.step), (fraction, spikes.fraction)
    session.device.transfers.to_host(ready, [Copy(*copy) for copy in copies])
    return neuron, step, fraction


class StateOnHost:
    """The state of a session, once its `copies` are made.

    variables: (n_states, n) in the run's dtype, filled by the copies.
    """

    def __init__(self, session: "DeviceSession", variables: NDArray[Any]):
        self._session, self._variables = session, variables
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
        return State(self._variables, carry, known_finite)
