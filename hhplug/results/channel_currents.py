"""The current through each channel, computed from what a run recorded."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hhplug import checks
from hhplug.errors import NotRecorded

if TYPE_CHECKING:
    from hhplug.results.result import Result


def currents(result: "Result", channel: str | None = None) -> dict[str, NDArray[np.float64]]:
    """The current of each channel, or of one, at each sample: `Result.currents` documents it."""
    equations = result.membrane.equations
    channels = tuple(equations.reading.channels)
    chosen = channels if channel is None else (checks.choice("channel", channel, channels),)
    needed = {state for name in chosen for state in equations.needed_for_current(name)}
    missing = [state for state in result.membrane.states if state in needed - {*result.samples}]
    if missing:
        what = f"the current of {channel} needs" if channel else "the currents of all channels need"
        wanted = (*result.samples, *missing)
        raise NotRecorded(
            f"{what} {', '.join(missing)}, which the run didn't record; run with record={wanted}"
        )
    on_host = result.on_host().samples
    state = {name: np.asarray(on_host[name], np.float64) for name in needed}
    parameters = result.parameters.take(result.neurons)
    with np.errstate(all="ignore"):  # for neurons that became NaN or infinite
        return {name: equations.current(name, state, parameters) for name in chosen}
