"""Faults that use the current of another time or of another neuron."""

import numpy as np

from hhplug.currents.current import ArrayCurrent
from sabotaged.changes import with_fields, with_rows
from sabotaged.faultless import Faultless


class Float32Clock(Faultless):
    """Time is summed by t += dt in float32; array currents are not affected."""

    def understood(self, problem):
        dt, start = problem.dt, problem.start_step

        def drifting(first, count):
            t = np.float32(start * dt)
            for k in range(start, first + count):
                if k >= first:
                    step = np.array([t / dt])
                    waves = [w for term in problem.stimulus.terms for w in term.waveforms(step, dt)]
                    yield sum(map(np.multiply, problem.current.gain, waves), np.zeros(1))
                t += np.float32(dt)

        return problem if isinstance(problem.stimulus, np.ndarray) else with_rows(problem, drifting)


class StepCountOf32Bits(Faultless):
    """The step count becomes negative after 2³¹ steps; array currents are not affected."""

    def understood(self, problem):
        rows = problem.current.rows
        if isinstance(problem.stimulus, np.ndarray):
            return problem
        return with_rows(problem, lambda first, n: rows(int(np.int64(first).astype(np.int32)), n))


class RowsOfABlockReversed(Faultless):
    """The rows of an array current are reversed in each block."""

    def understood(self, problem):
        rows = problem.current.rows
        if not isinstance(problem.stimulus, np.ndarray):
            return problem
        return with_rows(problem, lambda first, count: list(rows(first, count))[::-1])


class ByteOrderIgnored(Faultless):
    """The bytes of an array current are copied without its byte order."""

    def understood(self, problem):
        array = problem.stimulus
        if not isinstance(array, np.ndarray):
            return problem
        native = array.view(array.dtype.newbyteorder("="))
        return with_fields(problem, current=ArrayCurrent(native, problem.start_step))


class StridesIgnored(Faultless):
    """An array current is read as if its memory were contiguous."""

    def understood(self, problem):
        array = problem.stimulus
        if not isinstance(array, np.ndarray) or array.base is None or min(array.strides) < 0:
            return problem
        contiguous = np.frombuffer(array.base, array.dtype, array.size).reshape(array.shape)
        return with_fields(problem, current=ArrayCurrent(contiguous, problem.start_step))


class RowsOfTheNextNeuron(Faultless):
    """The columns of an array current are off by one."""

    def understood(self, problem):
        rows = problem.current.rows
        if np.ndim(problem.stimulus) != 2:
            return problem
        return with_rows(problem, lambda *span: (np.roll(row, 1) for row in rows(*span)))


class ArrayKeptFromRunToRun(Faultless):
    """An array current is uploaded once, however often it is given."""

    def __init__(self, device=None):
        super().__init__(device)
        self._kept = None, None

    def understood(self, problem):
        array, start = problem.stimulus, problem.start_step
        if not isinstance(array, np.ndarray):
            return problem
        given, uploaded = self._kept
        if given is None or given.ctypes.data != array.ctypes.data or given.shape != array.shape:
            uploaded = array.astype(np.float64).reshape(len(array), -1)
            self._kept = array, uploaded
        return with_rows(
            problem, lambda first, count: iter(uploaded[first - start : first - start + count])
        )
