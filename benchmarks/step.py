"""The time of a neuron-step of backends and peers, by precision and number of neurons."""

from statistics import median
from typing import ClassVar

from hhplug.problem import Method

from .clock import clock
from .contestants import BACKENDS, PEERS
from .inputs import DTYPES, SIZES
from .runs import timed_runs


class Step:
    """The runs count spikes and record nothing. Backends, but not peers, vary the parameters."""

    method: ClassVar[Method] = "rk4"
    params = (BACKENDS + PEERS, DTYPES, SIZES)
    param_names = ("backend", "dtype", "neurons")
    version = "1"
    timeout = 300
    timer = clock
    number, repeat, rounds, warmup_time = 1, 6, 2, 0

    def setup(self, name: str, dtype: str, n: int) -> None:
        timed_runs(name, dtype, n, method=self.method)

    def time_million_neuron_steps(self, name: str, dtype: str, n: int) -> None:
        clock.add(timed_runs(name, dtype, n, method=self.method).seconds_per_step() / n * 1e6)


class StiffStep(Step):
    """The same by method="stiff", at the same dt, which no peer has."""

    method: ClassVar[Method] = "stiff"
    params = (BACKENDS, DTYPES, SIZES)


class OverPeer:
    """The time of a step over that of a peer, in float32, measured in turn in one process."""

    params = (BACKENDS, PEERS, (10_000,))
    param_names = ("backend", "peer", "neurons")
    unit = "of the peer's time"
    version = "1"
    timeout = 300
    TURNS = 5

    def setup(self, name: str, peer: str, n: int) -> None:
        timed_runs(name, "float32", n)
        timed_runs(peer, "float32", n)

    def track_time_over_peer(self, name: str, peer: str, n: int) -> float:
        ours, theirs = timed_runs(name, "float32", n), timed_runs(peer, "float32", n)
        times = [(ours.seconds_per_step(), theirs.seconds_per_step()) for _ in range(self.TURNS)]
        return median(mine for mine, _ in times) / median(other for _, other in times)
