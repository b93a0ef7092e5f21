"""What the benchmarks compare: an entry in CONTESTANTS for each backend and each peer.

An entry is all that a backend or a peer needs to be measured, and to be shown in the tables and
pictures. Only append to them, because results of different years are compared.
"""

import os
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import NamedTuple

from . import peers

ALSO = "HHPLUG_BENCH_BACKENDS"  # comma-separated names of installed backends without an entry


class Work(NamedTuple):
    """The largest run of a contestant; it took about 0.2 s on the first machines.

    On a GPU it takes a second, because the fixed cost of millions of neurons varies by 0.05 s.
    """

    neuron_steps: int
    steps: int
    neurons: int


@dataclass(frozen=True)
class Contestant:
    """A backend of hhplug or a peer, and what the benchmarks must know of it."""

    name: str
    _: KW_ONLY
    what: str = ""  # a description for the tables
    color: str = "C6"  # of its curves in the pictures, in matplotlib's notation
    peer: peers.MakePeer | None = None  # makes the peer; None for a backend
    on_gpu: bool = False  # whether it computes on a GPU if there is one
    compiles: bool = False  # whether its first result with empty caches is measured
    whole_calls: bool = True  # whether it is fast enough for the benchmark of whole calls
    work: Work | Callable[[], Work] | None = None  # if None, trial runs find how much it can do


def _work_of_jax() -> Work:
    if peers.jax_has_a_gpu():
        return Work(4 * 10**10, 5000, 8 * 10**6)
    return Work(10**7, 1256, 10**6)


CONTESTANTS = (
    Contestant(
        "reference",
        what="the paper's equations in float64, to compare with",
        color="0.2",
        whole_calls=False,
        work=Work(10**6, 1256, 10_000),
    ),
    Contestant(
        "numpy",
        what="in-place NumPy on groups of neurons that fit the cache",
        color="C0",
        work=Work(5 * 10**6, 1256, 10**6),
    ),
    Contestant(
        "numba",
        what="loops that LLVM vectorises, on all cores",
        color="C2",
        compiles=True,
        work=Work(10**8, 20_008, 10**6),
    ),
    Contestant(
        "triton",
        what="Triton kernels on PyTorch tensors",
        color="C1",
        on_gpu=True,
        compiles=True,
        work=Work(17 * 10**10, 100_000, 8 * 10**6),
    ),
    Contestant(
        "pycuda",
        what="a CUDA C kernel that keeps neurons in registers",
        color="C3",
        on_gpu=True,
        compiles=True,
        work=Work(17 * 10**10, 100_000, 8 * 10**6),
    ),
    Contestant(
        "peer-textbook",
        what="peer: NumPy as a textbook writes it",
        color="0.6",
        peer=peers.textbook,
        work=Work(10**6, 1256, 10_000),
    ),
    Contestant(
        "peer-jax",
        what="peer: a jitted JAX `scan`",
        color="C4",
        peer=peers.jax_scan,
        on_gpu=True,
        work=_work_of_jax,
    ),
    Contestant(
        "peer-launches",
        what="peer: CuPy, a kernel launch each step",
        color="C5",
        peer=peers.one_launch_per_step,
        on_gpu=True,
        work=Work(4 * 10**10, 5000, 8 * 10**6),
    ),
)


def names_in(variable: str) -> list[str]:
    """Return the comma-separated names in an environment variable."""
    return [name for text in os.environ.get(variable, "").split(",") if (name := text.strip())]


# asv identifies results by these names.
ENTRIES = {entry.name: entry for entry in CONTESTANTS}
ENTRIES |= {name: Contestant(name) for name in names_in(ALSO) if name not in ENTRIES}
BACKENDS = tuple(name for name, entry in ENTRIES.items() if not entry.peer)
PEERS = tuple(name for name, entry in ENTRIES.items() if entry.peer)
ON_GPU = tuple(name for name in BACKENDS if ENTRIES[name].on_gpu)
COMPILED = tuple(name for name in BACKENDS if ENTRIES[name].compiles)
