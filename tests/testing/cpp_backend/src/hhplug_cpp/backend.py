"""The cpp backend: `kernel.cpp`, called through ctypes."""

import ctypes
from ctypes import c_double, c_int64, c_void_p
from typing import Any

import numpy as np

from hhplug.backend import Backend, Block, Recorded, Session
from hhplug.machine import cpu_name
from hhplug.problem import Problem
from hhplug.state import State
from hhplug.validity import VALID
from hhplug_cpp.library import library

PIECE = 2**20  # most values of the current, and most steps of neurons, in one call


class Work(ctypes.Structure):  # mirrored by Work in kernel.cpp
    _fields_ = [
        *((name, c_int64) for name in ("n", "first", "count", "record_every", "n_recorded")),
        ("current_stride", c_int64), ("dt", c_double), ("threshold", c_double),
        ("state", c_void_p), ("parameters", c_void_p * 7), ("strides", c_int64 * 7),
        ("current", c_void_p), ("recorded", c_void_p), ("samples", c_void_p * 4),
        *((f"spike_{name}", c_void_p) for name in ("count", "neuron", "step", "fraction")),
        ("first_invalid", c_void_p),
    ]  # fmt: skip


class CppBackend(Backend):
    def __init__(self, device: int | None = None):  # noqa: ARG002
        self.device, self.library = cpu_name(), library()

    def prepare(self, problem: Problem, max_steps: int) -> Session:  # noqa: ARG002
        return CppSession(problem, getattr(self.library, f"run_{problem.dtype}"))


class CppSession(Session):
    def __init__(self, problem: Problem, run: Any):
        self.problem, self.run, self.step = problem, run, problem.start_step
        # The block changes the state in place, so it must not be the problem's.
        self.now = np.array(problem.initial_state, problem.dtype, order="C")
        self.parameters = [
            np.atleast_1d(np.asarray(value, problem.dtype)) for value in problem.parameters.values()
        ]
        self.recorded = np.ascontiguousarray(problem.neurons)
        self.first_invalid = np.full(problem.n_neurons, VALID)

    def advance(self, n_steps: int) -> Block:
        self.step += n_steps
        return CppBlock(self, range(self.step - n_steps, self.step))

    def state(self) -> State:
        return State(self.now.copy())


class CppBlock(Block):
    def __init__(self, session: CppSession, steps: range):
        self.session, self.steps = session, steps

    def read(self, out: Recorded) -> None:
        n, row = self.session.problem.n_neurons, 0
        most = max(1, PIECE // n)
        for first in range(self.steps.start, self.steps.stop, most):
            row += self._compute(first, min(most, self.steps.stop - first), row, out)

    def _compute(self, first: int, count: int, row: int, out: Recorded) -> int:
        """Compute some steps, the first sample of which is a row; return how many samples."""
        session, problem = self.session, self.session.problem
        current = np.stack(list(problem.current.rows(first, count))).astype(problem.dtype)
        timed = problem.spikes == "times"
        room = problem.n_neurons * (count // 2 + 1) if timed else 0  # a spike takes two steps
        neuron, step, fraction = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room)
        samples = [out.samples[name][row:] if name in out.samples else None for name in "Vmhn"]
        work = Work(
            problem.n_neurons, first, count, problem.record_every, problem.n_recorded,
            current.shape[1] > 1, problem.dt, problem.spike_threshold, session.now.ctypes.data,
            (c_void_p * 7)(*(value.ctypes.data for value in session.parameters)),
            (c_int64 * 7)(*(len(value) > 1 for value in session.parameters)),
            current.ctypes.data, session.recorded.ctypes.data,
            (c_void_p * 4)(*(None if rows is None else rows.ctypes.data for rows in samples)),
            None if problem.spikes == "off" else out.spike_count.ctypes.data,
            *(array.ctypes.data if timed else None for array in (neuron, step, fraction)),
            session.first_invalid.ctypes.data,
        )  # fmt: skip
        session.run.restype = c_int64
        found = session.run(ctypes.byref(work))
        if timed:
            out.add_spikes(neuron[:found].copy(), step[:found].copy(), fraction[:found].copy())
        invalid = np.flatnonzero(session.first_invalid != VALID)
        if invalid.size:
            out.add_invalid(invalid, session.first_invalid[invalid])
        return len(problem.sample_steps(first, count))
