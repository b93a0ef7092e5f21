"""The arrays of a result: what a run recorded, and which neurons became invalid."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hhplug.results.spikes import Spikes
from hhplug.validity import Invalid


class Outcome(NamedTuple):
    """The samples, spikes, spike counts and invalid neurons of a run."""

    samples: Mapping[str, Any]
    """Variable → array (n_samples, n_recorded).

    These are NumPy arrays, arrays on the backend's device, or arrays that are read from files when
    they are used. The latter have a shape and a dtype, and NumPy can index and convert them.
    """

    spikes: Spikes | None  # None unless spike times were kept
    spike_count: NDArray[np.int64] | None  # (n,); None if spikes were off
    invalid: Invalid  # those of the runs that this one continues too
    features: Mapping[str, NDArray[np.float64]] = {}  # by name, (n,) each; never changed
