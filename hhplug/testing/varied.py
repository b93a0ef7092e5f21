"""Problems in which everything that a problem can differ in is varied, by a covering array."""

import tempfile
from functools import cache
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from hhplug.currents.stimulus import Stimulus
from hhplug.membranes.description import CONDUCTANCE
from hhplug.membranes.squid import squid
from hhplug.problem import DType, Method, Problem
from hhplug.testing.covering import Factors, Row, covering_array
from hhplug.testing.membranes import MEMBRANES

# ms; neither a whole part of one ms nor whole µs. Most firing neurons spike within 20 steps.
DT = 0.03137
LONG, SHORT = 23, 4  # steps of a problem, by the horizon
LARGE = 16_384  # neurons, from which on problems have SHORT steps
SELDOM = 70_000  # record_every that doesn't fit 16 bits
LATE = 61_357 * SELDOM - 2  # a step that doesn't fit 32 bits
WAVEFORMS = 70  # of "many waveforms"
INTEGERS = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]  # types of "integer array"
SHORT_BLOCKS = {"23": "4", "1": "1", "4": "2", "7 1 5": "2 1", "22": "3"}

FACTORS: Factors = {
    "neurons": [
        "1", "31", "32", "33", "63", "64", "65", "128", "255", "256", "257", "1024", "1025",
        "16384",  # a multiple of every usual group
        "67200",  # the same for groups of 3 · 2^k, 5 · 2^k and 7 · 2^k; another variant on GPUs
    ],
    "current": [
        "none", "held", "three waveforms", "many waveforms", "array of time", "float32 array",
        "float64 array", "integer array", "strided array", "byte-swapped array", "array in a file",
    ],
    "C_m": ["uniform", "per neuron"],
    "parameters": ["uniform", "per neuron", "some per neuron, some zero"],
    "activity": ["silent", "firing"],
    "validity": ["all valid", "some invalid"],
    "spikes": ["times", "counts", "off"],
    "threshold": ["0.0", "-70.3", "12.5"],
    "record": ["one", "two", "all", ""],
    "record_every": ["1", "3", "7", str(SELDOM)],
    "record_neurons": ["all", "reordered", "one"],
    "blocks": ["23", "1", "4", "7 1 5", "22"],
    "start_step": ["0", "7", str(LATE)],
}  # fmt: skip

# Noise that a backend may compute itself, in place of the other currents.
NOISES = ["noise alike", "noise per neuron", "white noise"]

# The variants that backends compile are choices of these.
TRIPLES = [
    ("current", "record", "spikes"),
    ("record_neurons", "record_every", "blocks"),
    ("current", "C_m", "parameters"),
]
# Of a short horizon, which has few problems.
PAIRS = [("record_neurons", "blocks"), ("C_m", "parameters"), ("activity", "validity")]


@cache
def rows(
    short: bool, any_membrane: bool = False, methods: tuple[Method, ...] = ("rk4",)
) -> list[Row]:
    """The problems, small populations first: every pair of levels, or for short every level once.

    Every level of the other factors occurs with a noise. any_membrane: the membrane is varied too,
    for a backend that computes any. methods: those of the backend, which are varied if there are
    several.
    """
    factors = dict(FACTORS)
    if any_membrane:
        factors["membrane"] = list(MEMBRANES)
    if len(methods) > 1:
        factors["method"] = list(methods)
    with_noise = factors | {"current": NOISES}
    if short:
        found = covering_array(factors | {"current": [*FACTORS["current"], *NOISES]}, 1, PAIRS)
    else:
        found = covering_array(factors, 2, TRIPLES) + covering_array(with_noise, 1)
    return sorted(found, key=lambda row: int(row["neurons"]))


def described(row: Row) -> str:
    """A row as one line, for example for a failure."""
    return ", ".join(f"{name}: {level or 'nothing'}" for name, level in row.items())


class Varied:
    """The problem of one row.

    lengths: of its blocks, in steps, repeated until the run ends.
    """

    def __init__(self, row: Row, dtype: DType, short: bool):
        self.row, self.n, blocks = row, int(row["neurons"]), row["blocks"]
        short = short or self.n >= LARGE
        self.n_steps = SHORT if short else LONG
        self.lengths = [int(n) for n in (SHORT_BLOCKS[blocks] if short else blocks).split()]
        self.membrane = MEMBRANES[row.get("membrane", squid.name)]
        self._rng = np.random.default_rng([1952, crc32(described(row).encode())])
        self._firing = row["activity"] == "firing"
        self._start = int(row["start_step"])
        self.problem = Problem(
            self.n_steps * DT,
            DT,
            batch_size=self.n,
            stimulus=self._stimulus(),
            membrane=self.membrane,
            parameters=self._parameters(),
            dtype=dtype,
            record=self._record(),
            record_every=int(row["record_every"]),
            record_neurons=self._recorded(),
            spikes=row["spikes"],  # type: ignore[arg-type]
            spike_threshold=float(row["threshold"]),
            initial_state=self._state(),
            start_step=self._start,
            method=row.get("method", "rk4"),  # type: ignore[arg-type]
        )

    def _drawn(self, low: float, high: float) -> NDArray[np.float64]:
        return self._rng.uniform(low, high, self.n)

    def _record(self) -> tuple[str, ...]:
        states = self.membrane.states
        count = {"one": 1, "two": 2, "all": len(states), "": 0}[self.row["record"]]
        if count == 1 and self._rng.integers(2):
            return ("V",)
        return tuple(map(str, self._rng.permutation(states)[:count]))

    def _parameters(self) -> dict[str, Any]:
        drawn = {
            "C_m": self._drawn(0.8, 1.2),
            "g_Na": self._drawn(90.0, 150.0),
            "g_K": self._drawn(30.0, 42.0),
            "g_L": self._drawn(0.2, 0.4),
            "E_Na": self._drawn(45.0, 55.0),
            "E_K": self._drawn(-80.0, -74.0),
            "E_L": self._drawn(-60.0, -50.0),
        }
        if self.membrane is not squid:
            drawn = {
                name: parameter.value * self._drawn(0.95, 1.05)
                for name, parameter in self.membrane.parameters.items()
            }
        chosen = self.row["parameters"]
        per_neuron = dict.fromkeys(drawn, chosen == "per neuron")
        if chosen not in ("uniform", "per neuron"):
            known = self.membrane.parameters
            conductances = [name for name in drawn if known[name].unit == CONDUCTANCE]
            drawn[self._rng.choice(conductances)][::3] = 0.0
            per_neuron = {name: bool(self._rng.integers(2)) for name in drawn}
        per_neuron["C_m"] = self.row["C_m"] == "per neuron"
        return {name: drawn[name] if per_neuron[name] else float(drawn[name][0]) for name in drawn}

    def _state(self) -> NDArray[np.float64]:
        state = self._valid_state()
        if self.row["validity"] == "some invalid":
            # Few, since rounding may leave a neuron that only just passes the limit on either side.
            chosen = np.arange(2 if self.n > 1 else 0, self.n, max(5, self.n // 40))
            if self.n > 1:  # this may be the only one that is recorded
                chosen = chosen[chosen != self.n // 2]
            if self._firing:  # A strong Na current passes the limit when m has opened.
                m_open = np.linspace(0.2, 1.0, len(chosen))
                some = {"V": -10.0, "m": m_open, "h": 1.0, "n": 0.6}
                for name, row in zip(self.membrane.states, state, strict=True):
                    row[chosen] = some.get(name, row[chosen])
                chosen = chosen[:1]
            elif self.n >= 64:  # a whole group too, which a kernel might leave out
                state[-1, : 64 if self.n >= 128 else 32] = np.nan
            state[-1, chosen] = np.nan
        return state

    def _valid_state(self) -> NDArray[np.float64]:
        equations = self.membrane.equations
        if not self._firing:
            return equations.settled(self._drawn(-75.0, -66.0), equations.defaults)
        if self.membrane is squid:
            gates = self._drawn(0.0, 0.5), self._drawn(0.2, 0.7), self._drawn(0.2, 0.6)
            return np.stack([self._drawn(-80.0, 10.0), *gates])
        rest = equations.pools_at_rest(equations.defaults)
        others = [
            rest[name] * self._drawn(1.0, 5.0) if name in rest else self._drawn(0.05, 0.6)
            for name in equations.states[1:]
        ]
        return np.stack([self._drawn(-80.0, 10.0), *others])

    def _recorded(self) -> list[int] | None:
        some = [self.n - 1, 0, self.n // 2, self.n // 3]
        if self._rng.integers(2):  # more than a group of threads has
            some += self._rng.permutation(self.n)[: self.n // 2].tolist()
        return {
            "all": None,
            "reordered": list(dict.fromkeys(some)),
            "one": [self.n // 2],
        }[self.row["record_neurons"]]

    def _amplitude(self) -> NDArray[np.float64]:
        return self._drawn(-5.0, 40.0) if self._firing else self._drawn(-5.0, 0.0)

    def _stimulus(self) -> Any:
        kind, begin = self.row["current"], self._start * DT
        scale = 1.0 if self._firing else -0.1
        if kind == "none":
            return None
        if kind == "held":
            alike = self.row["C_m"] == "per neuron"
            return Stimulus.constant(7.0 * scale if alike else self._amplitude())
        if kind == "noise alike":
            return Stimulus.ornstein_uhlenbeck(4.0 * scale, 2.0, tau=0.1, seed=1952)
        if kind == "noise per neuron":
            noise = self._amplitude(), self._drawn(0.0, 2.0), self._drawn(0.01, 1.0)
            return Stimulus.ornstein_uhlenbeck(*noise, seed=2**64 - 1952) + Stimulus.ramp(
                self._amplitude(), 3.0 * scale, begin + 0.04, begin + 0.4
            )
        if kind == "white noise":
            return Stimulus.white_noise(self._drawn(0.0, 0.5), seed=1952)
        if kind == "three waveforms":
            return (
                Stimulus.step(self._amplitude(), start=begin + 0.06, stop=begin + 0.3)
                + Stimulus.constant(4.0 * scale)
                + Stimulus.ramp(self._amplitude(), 3.0 * scale, begin + 0.04, begin + 0.4)
            )
        if kind == "many waveforms":
            first = [i % 20 for i in range(WAVEFORMS - 1)]
            end = [i % 20 + 1 + i // 20 for i in range(WAVEFORMS - 1)]  # no two are alike
            waves = [
                Stimulus.step(0.5 * scale, start=begin + i * DT, stop=begin + j * DT)
                for i, j in zip(first, end, strict=True)
            ]
            return sum(waves) + Stimulus.constant(self._amplitude())  # the last counts most
        if kind == "array of time":
            return self._rows(np.float64)[:, 0].copy()
        return self._array(kind.removesuffix(" array"))

    def _rows(self, dtype: Any) -> NDArray[Any]:
        low, high = (-5.0, 40.0) if self._firing else (-5.0, 0.0)
        return self._rng.uniform(low, high, (self.n_steps, self.n)).astype(dtype)

    def _array(self, kind: str) -> NDArray[Any]:
        if kind in ("float32", "float64"):
            return self._rows(kind)
        if kind == "integer":
            dtype, rows = np.dtype(self._rng.choice(INTEGERS)), self._rows(np.float64)
            return (rows if dtype.kind == "i" else np.abs(rows)).astype(dtype)
        if kind == "strided":
            return np.repeat(self._rows(np.float64), 2, axis=1)[::-1, 1::2]
        if kind == "byte-swapped":
            return self._rows(np.float64).astype(np.dtype(np.float64).newbyteorder())
        rows = self._rows(np.float32)
        with tempfile.TemporaryFile() as file:
            mapped = np.memmap(file, np.float32, "w+", shape=rows.shape)
        mapped[:] = rows
        return mapped
