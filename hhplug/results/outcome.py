"""The arrays of a result: what a run recorded."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hhplug.results.spikes import Spikes


class Outcome(NamedTuple):
    """What a run recorded."""

    samples: Mapping[str, Any]
    """Variable → array (n_samples, n_recorded).

    The arrays are of NumPy, or on the backend's device, or are read when they are used: then they
    have a shape, a dtype, and NumPy's indexing and conversion.
    """

    spikes: Spikes | None  # None unless spike times were kept
    spike_count: NDArray[np.int64] | None  # (n,); None if spikes were off
