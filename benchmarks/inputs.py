"""Inputs of the benchmarks: sizes and a population.

Only append to them, because results of different years are compared.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug import HHParameters, Stimulus

DTYPES = ("float32", "float64")
SIZES = (1, 100, 10_000, 1_000_000, 8_000_000)  # neurons
DT = 0.01  # ms

# Steps of a run. No neuron spikes near the end, where rounding could move a spike out of the run.
LENGTHS = (5, 20, 80, 325, 1256, 5000, 20_008, 100_000)

CALL = (10_000, 5000)  # neurons, steps of a whole call
CALLS = {10_000: 5000, 1_000_000: 1000, 8_000_000: 1000}  # neurons → steps of calls over steps
TRACE_STEPS = 5000  # steps of the accuracy benchmark of V, 50 ms
TRAIN_STEPS = 20_008  # steps of that of spike times, 200 ms
COARSENESS = (0.04, 0.02, 0.01, 0.005)  # ms, the dt of the work-precision picture
EXACT_DT = 0.00125  # ms; at order 4, its error is below 1e-3 of theirs
EXACT_T = 10.0  # ms

CURRENTS = ("ornstein_uhlenbeck", "white_noise", "recorded")  # compared with a held current
CURRENT_SIZES = (10_000, 8_000_000)  # neurons with these
MEMBRANES = ("RS", "LTS")  # of the library, which are measured beside the squid
MEMBRANE_SIZES = (10_000, 8_000_000)  # neurons

_BASE: dict[str, Any] = json.loads(Path(__file__).with_name("population.json").read_text())
_OF_MEMBRANES: dict[str, Any] = json.loads(Path(__file__).with_name("membranes.json").read_text())


class Population:
    """n neurons, which repeat the same hundred; all fire, and each begins at a different phase.

    If varied, each of the hundred has its own g_Na and g_K, otherwise they have the model's.
    """

    lengths: tuple[int, ...] = LENGTHS
    values: Mapping[str, Any] = _BASE  # of the hundred, by the names of `row`

    def __init__(self, n: int, varied: bool = True):
        self.n, self._which = n, "varied" if varied else "default"

    def row(self, name: str) -> NDArray[np.float64]:
        """Return I_ext (µA/cm²), g_Na or g_K (mS/cm²), (n,), or "state" for V m h n, (4, n)."""
        values = np.array(self.values[name])
        return np.take(values, np.arange(self.n) % values.shape[-1], axis=-1)

    @property
    def model(self) -> dict[str, Any]:
        """The arguments of `Simulator` besides the backend and the precision."""
        return {"parameters": self.parameters}

    @property
    def initial_state(self) -> NDArray[np.float64] | None:
        return self.row("state")

    @property
    def stimulus(self) -> Stimulus:
        return Stimulus.constant(self.row("I_ext"))

    def current(self, kind: str) -> Stimulus:
        """Return a current so near the population's that its spike counts are the same.

        kind: "held" or one of CURRENTS. float32 tells the values of the recorded one apart.
        """
        if kind == "ornstein_uhlenbeck":
            return Stimulus.ornstein_uhlenbeck(self.row("I_ext"), 1e-6, tau=3.0, seed=1952)
        if kind == "white_noise":
            return self.stimulus + Stimulus.white_noise(1e-7, seed=1952)
        if kind == "recorded":
            samples = 1.0 + 1e-6 * np.sin(np.arange(LENGTHS[-1] // 10))
            return Stimulus.recorded(samples, 10 * DT, gain=self.row("I_ext"))
        return self.stimulus

    @property
    def parameters(self) -> HHParameters:
        if self._which == "default":
            return HHParameters()
        return HHParameters(g_Na=self.row("g_Na"), g_K=self.row("g_K"))

    def spike_count(self, steps: int) -> NDArray[np.int64]:
        """Return the reference's number of spikes of each neuron, (n,); steps is one of LENGTHS."""
        counts = np.array(_BASE["spike_count"][self._which][str(steps)])
        return counts[np.arange(self.n) % len(counts)]


class MembranePopulation(Population):
    """n neurons of a membrane of the library, which repeat the same hundred; all fire.

    Each of the hundred has its own g_M and V_T, and begins at −65 mV.

    spike_counts: the reference's number of spikes of the hundred, (100,), by the steps of a run.
    """

    lengths = LENGTHS[:-1]

    def __init__(self, name: str, n: int, spike_counts: Mapping[int, NDArray[np.int64]]):
        super().__init__(n)
        self.name, self.values, self._counts = name, _OF_MEMBRANES[name], spike_counts

    @property
    def model(self) -> dict[str, Any]:
        from hhplug import membranes  # which early commits don't have

        parameters = {name: self.row(name) for name in ("g_M", "V_T")}
        return {"parameters": parameters, "membrane": getattr(membranes, self.name)}

    @property
    def initial_state(self) -> None:
        return None

    def spike_count(self, steps: int) -> NDArray[np.int64]:
        return np.resize(self._counts[steps], self.n)
