"""Faults that show in some combination of sizes, currents, parameters, recording and blocks."""

from dataclasses import replace

import numpy as np

from hhplug.backend import OrderedSpikes, Recorded
from hhplug.membranes import squid
from hhplug.membranes.parameters import ParameterValues
from sabotaged.changes import nudged, with_fields, with_rows
from sabotaged.faultless import ComputesNoise, Faultless, FaultySession


class LastFullGroupOf64Lost(Faultless):
    """Where the population is a multiple of 64, its last group of 64 lanes isn't computed."""

    group = 64

    def read(self, session, steps, out):
        before = session.now
        super().read(session, steps, out)
        if session.problem.n_neurons % self.group == 0:
            session.now[:, -self.group :] = before[:, -self.group :]


class LastFullGroupOf256Lost(LastFullGroupOf64Lost):
    group = 256


class ArrayCurrentNotOverC_m(Faultless):
    def understood(self, problem):
        rows, C_m = problem.current.rows, problem.parameters["C_m"]
        if not problem.current.array:
            return problem
        return with_rows(problem, lambda *span: (row * C_m for row in rows(*span)))


class WaveformsFaulty(Faultless):
    """The current is summed anew, with the gains that `gains` returns."""

    def gains(self, gain, C_m):
        raise NotImplementedError

    def understood(self, problem):
        current = problem.current.separable
        if current is None:
            return problem
        gain = self.gains(current.gain.copy(), problem.parameters["C_m"])

        def rows(first, count):
            for waveform in current.waveform(first, count):
                yield sum(map(np.multiply, gain, waveform), np.zeros(1))

        return with_rows(problem, rows)


class GainOfTheSecondWaveformNotOverC_m(WaveformsFaulty):
    def gains(self, gain, C_m):
        return [g * C_m if j == 1 else g for j, g in enumerate(gain)]


class NinthWaveformIgnored(WaveformsFaulty):
    def gains(self, gain, C_m):  # noqa: ARG002
        return gain[:8]


class RecordOrderLostInTheSecondBlock(Faultless):
    def read(self, session, steps, out):
        problem = session.problem
        if problem.record_neurons is not None and steps.start > problem.start_step:
            chosen = np.sort(problem.record_neurons)
            session.problem = with_fields(problem, record_neurons=chosen, neurons=chosen)
        super().read(session, steps, out)
        session.problem = problem


class OneVariantRoundsOtherwise(Faultless):
    """The variant of an array current without spike times rounds otherwise."""

    def read(self, session, steps, out):
        super().read(session, steps, out)
        if session.problem.current.array and session.problem.spikes == "counts":
            session.now = nudged(session.now)


class LastRowWrittenPastItsEnd(Faultless):
    """Each block writes one row of samples too many."""

    def read(self, session, steps, out):
        super().read(session, steps, out)
        for samples in out.samples.values():
            if samples.base is not None and len(samples) and samples.base.ndim == 2:
                row = (samples.ctypes.data - samples.base.ctypes.data) // samples.strides[0]
                samples.base[row + len(samples) :][:1] = 0.0


class SamplesOneStepLate(Faultless):
    """A block's samples are those of the steps before; the first is repeated."""

    def read(self, session, steps, out):
        exact = {name: np.empty_like(samples) for name, samples in out.samples.items()}
        super().read(
            session, steps, Recorded(out.problem, exact, out.spike_count, out.spikes, out.invalid)
        )
        for name, samples in exact.items():
            late = np.concatenate([getattr(session, "last", exact)[name][-1:], samples])
            out.samples[name][:] = late[: len(samples)]
        if all(map(len, exact.values())):
            session.last = exact


class ParametersUsedAsRoom(Faultless):
    """The parameters of the problem are overwritten after they have been read."""

    def read(self, session, steps, out):
        super().read(session, steps, out)
        for value in session.problem.parameters.values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = True
                value[:] = 1.0
                value.flags.writeable = False


class DefaultsOfOtherMembranes(Faultless):
    """The parameters that the squid doesn't have are the membrane's defaults."""

    def understood(self, problem):
        defaults = problem.membrane.equations.defaults
        known = {
            name: value for name, value in problem.parameters.items() if name in squid.parameters
        }
        return with_fields(
            problem, parameters=ParameterValues(problem.membrane, {**defaults, **known})
        )


class PoolsAtRest(Faultless):
    """Concentrations don't change."""

    def read(self, session, steps, out):
        pools = [
            row
            for row, name in enumerate(session.problem.membrane.states)
            if name in session.problem.membrane.reading.pools
        ]
        before = session.now[pools].copy()
        super().read(session, steps, out)
        session.now[pools] = before


class SigmaOfNeuron0(ComputesNoise):
    def sigma(self, noise):
        return float(np.ravel(noise.sigma)[0])


class NoiseWithoutC_m(ComputesNoise):
    """The noise isn't divided by C_m."""

    def understood(self, problem):
        self._C_m = problem.parameters["C_m"]
        return super().understood(problem)

    def sigma(self, noise):
        return noise.sigma * self._C_m


class LastGroupOf2048Lost(LastFullGroupOf64Lost):
    group = 2048


class SomePerNeuronParametersOfNeuron0(Faultless):
    """Where only some parameters are per neuron, all are those of the first neuron."""

    def understood(self, problem):
        alike = [np.ndim(value) == 0 for name, value in problem.parameters.items() if name != "C_m"]
        if all(alike) or not any(alike):
            return problem
        first = {name: float(np.ravel(value)[0]) for name, value in problem.parameters.items()}
        return with_fields(problem, parameters=ParameterValues(problem.membrane, first))


class DividedByAConductance(Faultless):
    """Potentials are kept as currents g · E, and divided by g again."""

    def understood(self, problem):
        values = dict(problem.parameters)
        with np.errstate(invalid="ignore"):
            values["E_K"] = np.multiply(values["g_K"], values["E_K"]) / values["g_K"]
            values["E_Na"] = np.multiply(values["g_Na"], values["E_Na"]) / values["g_Na"]
            values["E_L"] = np.multiply(values["g_L"], values["E_L"]) / values["g_L"]
        values = {n: value if np.ndim(value) else float(value) for n, value in values.items()}
        return with_fields(problem, parameters=ParameterValues(problem.membrane, values))


class StepsOfUint32(Faultless):
    """The current is that of a step counted in 32 bits without a sign."""

    def understood(self, problem):
        current = problem.current
        if not current.separable:
            return problem
        return with_rows(problem, lambda first, count: current.rows(first % 2**32, count))


class WholeStepsOfAMs(Faultless):
    """Time is counted in steps of a whole part of one ms."""

    def understood(self, problem):
        rows, late = problem.current.rows, 1.0 / (int(1.0 / problem.dt + 1e-9) * problem.dt)
        if not problem.current.separable:
            return problem

        def late_rows(first, count):
            for k in range(first, first + count):
                yield from rows(round(k * late), 1)

        return with_rows(problem, late_rows)


class InvalidBelow64Alone(Faultless):
    def read(self, session, steps, out):
        super().read(session, steps, out)
        out.invalid[:] = [(neuron[neuron < 64], step[neuron < 64]) for neuron, step in out.invalid]


class MembranesByName(Faultless):
    """The membrane is the first one of its name."""

    def __init__(self, device=None):
        super().__init__(device)
        self._known = {}

    def understood(self, problem):
        known = self._known.setdefault(problem.membrane.name, problem.membrane)
        return with_fields(problem, membrane=known)


class OrderedSpikesTimedFromTheRun(Faultless):
    """The spikes that come at the end are timed from the run's first step."""

    def prepare(self, problem, max_steps):  # noqa: ARG002
        return OrderingSession(self, problem)

    def read(self, session, steps, out):
        if session.problem.ordered_spikes:
            counts = np.zeros_like(out.spike_count)
            out = Recorded(out.problem, out.samples, counts, [], out.invalid)
            session.kept.append(out)
        super().read(session, steps, out)


class OrderingSession(FaultySession):
    def ordered_spikes(self):
        problem = self.problem
        spikes = [spike for block in self.kept for spike in block.spikes]
        counts = sum(block.spike_count for block in self.kept)
        if problem.spikes == "counts":
            return OrderedSpikes(counts, None)
        empty = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
        neuron, step, fraction = map(np.concatenate, zip(empty, *spikes, strict=True))
        time = (step - problem.start_step + fraction) * problem.dt
        order = np.lexsort((time, neuron))
        return OrderedSpikes(counts, (neuron[order], time[order]))


class DtOfHundredths(Faultless):
    """dt is rounded to hundredths of one ms."""

    def understood(self, problem):
        return with_fields(problem, dt=round(problem.dt, 2) or problem.dt)


class VariantsByWhatIsRecorded(Faultless):
    """A variant is kept for each set of recorded variables, with the order of the first run."""

    def __init__(self, device=None):
        super().__init__(device)
        self._variants = {}

    def read(self, session, steps, out):
        order = self._variants.setdefault(frozenset(out.samples), tuple(out.samples))
        samples = dict(zip(order, out.samples.values(), strict=True))
        super().read(session, steps, replace(out, samples=samples))


class RoomFor32Recorded(Faultless):
    """Where neurons are chosen, columns beyond the 32nd are those of the 32nd."""

    def understood(self, problem):
        if problem.record_neurons is None:
            return problem
        chosen = np.asarray(problem.neurons)
        chosen = chosen[np.minimum(np.arange(chosen.size), 31)]
        return with_fields(problem, record_neurons=chosen, neurons=chosen)


class RoomFor16Waveforms(WaveformsFaulty):
    def gains(self, gain, C_m):  # noqa: ARG002
        return gain[:16]


class LargestC_mForAUniformCurrent(WaveformsFaulty):
    """A gain that is the same for all neurons is divided by one C_m."""

    def gains(self, gain, C_m):
        return gain if gain.shape[1] > 1 else gain * C_m / np.max(C_m)


class RecordEveryOf16Bits(Faultless):
    def understood(self, problem):
        return with_fields(problem, record_every=problem.record_every & 0xFFFF)


class StopsWhenAllAreNaN(Faultless):
    """A block of which no neuron is finite isn't computed."""

    def read(self, session, steps, out):
        if np.isfinite(session.now).all(axis=0).any():
            super().read(session, steps, out)


class GroupOf32NaNsLeftOut(Faultless):
    """A whole group of neurons that aren't finite isn't computed, and its samples are zeros."""

    def read(self, session, steps, out):
        n = session.problem.n_neurons
        nan = ~np.isfinite(session.now).all(axis=0)
        left_out = np.logical_and.reduceat(nan, np.arange(0, n, 32)).repeat(32)[:n]
        before = session.now
        super().read(session, steps, out)
        session.now[:, left_out] = before[:, left_out]
        for samples in out.samples.values():
            samples[:, left_out[session.problem.neurons]] = 0.0


class SomePerNeuronRoundsOtherwise(Faultless):
    """Where some parameters are per neuron, 1 / C_m is rounded before it is multiplied."""

    def understood(self, problem):
        alike = [np.ndim(value) == 0 for value in problem.parameters.values()]
        if not any(alike) or all(alike):
            return problem
        values = {**problem.parameters, "C_m": np.nextafter(problem.parameters["C_m"], 9.0)}
        return with_fields(problem, parameters=ParameterValues(problem.membrane, values))


class LastGroupOf96Lost(LastFullGroupOf64Lost):
    group = 96


class GateRecordedAloneIsTheNext(Faultless):
    """Where one gate alone is recorded, it is the one after it."""

    def read(self, session, steps, out):
        names = session.problem.membrane.states
        if len(out.samples) == 1 and "V" not in out.samples:
            ((name, array),) = out.samples.items()
            out = replace(out, samples={names[names.index(name) - 1] or "V": array})
        super().read(session, steps, out)


class IntegersWithASign(Faultless):
    """Bytes of integers without a sign are taken for those with one."""

    def understood(self, problem):
        array, start = problem.stimulus, problem.start_step
        if not isinstance(array, np.ndarray) or array.dtype.kind != "u":
            return problem
        signed = -array.astype(np.float64).reshape(len(array), -1)
        return with_rows(
            problem, lambda first, count: iter(signed[first - start : first - start + count])
        )
