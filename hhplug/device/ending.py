"""The end of a session's run: its state and its spikes come home."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hhplug.backend import EndArrays, OrderedSpikes, new_time_arrays
from hhplug.device.downloads import StateOnHost
from hhplug.device.interface import Stream
from hhplug.device.transfers import Begun
from hhplug.state import State

if TYPE_CHECKING:
    from hhplug.device.session import DeviceSession


class Ending:
    """Brings home the state and the spikes of a session. Calls are made within device.current()."""

    def __init__(self, session: "DeviceSession"):
        self._session = session
        self._state: tuple[StateOnHost, Begun] | None = None  # that is on its way
        self._spikes: OrderedSpikes | None = None

    def begin_state(self, variables: NDArray[Any] | None = None) -> None:
        """Begin to bring home the state after all steps that are enqueued, unless that is begun.

        variables: where it goes; None for a new array.

        The block that ends the run calls this before it waits for these steps, so that the copy is
        made while their spikes are put in order.
        """
        if self._state:
            return
        session = self._session
        if variables is None:
            shape = len(session.program.states), session.problem.n_neurons
            variables = session.results.empty(shape, session.dtype)
        on_host = StateOnHost(session, variables)
        self._state = on_host, session.begin_home(on_host.copies)

    def arrays(self) -> EndArrays:
        """New arrays for the spikes, and those of the state."""
        session, problem = self._session, self._session.problem
        new = session.results.empty
        self.begin_state()
        assert self._state
        variables = self._state[0].variables
        if not session.store:
            return EndArrays(variables)
        times = partial(new_time_arrays, session.results) if problem.spikes == "times" else None
        return EndArrays(variables, new((problem.n_neurons,), np.int64), times)

    def begin(self, arrays: EndArrays) -> Callable[[], State]:
        """Begin to fill these arrays. The function that is returned waits until they are full."""
        session = self._session
        self.begin_state(arrays.variables)
        assert self._state
        on_host, begun = self._state
        if session.store:
            wait = session.store.begin_home(arrays, begun)
        else:
            wait = partial(session.finish_home, [begun])
        self.hold(session.stream)  # not before: the spikes are put in order meanwhile
        self._state = None

        def finish() -> State:
            self._spikes = wait()
            return session.state_of(on_host)

        return finish

    def take_spikes(self) -> OrderedSpikes:
        """The spikes of all blocks. It is called once, after the state is home."""
        spikes, self._spikes = self._spikes, None
        assert spikes, "state() comes before"
        return spikes

    def hold(self, stream: Stream) -> None:
        """Make a stream wait for the state, if it is on its way."""
        if self._state and (done := self._state[1].done):
            stream.wait(done)
