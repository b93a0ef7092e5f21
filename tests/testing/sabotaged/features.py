"""Faults of features: of samples that a backend gives to the sums, and of sums of its own."""

from dataclasses import replace

import numpy as np

from hhplug.backend import Recorded
from hhplug.features.sums import FeatureSums
from hhplug.problem import SUMS
from hhplug.reference import ReferenceBlock
from sabotaged.faultless import Faultless


class WrongSamples(Faultless):
    """The sums are given what `changed` makes of the first step and the samples of a step."""

    def changed(self, k, V, session):
        raise NotImplementedError

    def read(self, session, steps, out):
        sums = out.features
        if sums is not None:
            backend, take = self, sums.samples

            class Changed:
                def samples(self, k, V):
                    take(*backend.changed(k, V, session))

            out.features = Changed()
        super().read(session, steps, out)
        out.features = sums


class SamplesOfTheNextStep(WrongSamples):
    def changed(self, k, V, session):  # noqa: ARG002
        return k - 1, V


class SamplesShiftedBy65(WrongSamples):
    def changed(self, k, V, session):  # noqa: ARG002
        return k, (V + 65.0) / 1.0000001 - 65.0


class NeuronsBackward(WrongSamples):
    def changed(self, k, V, session):  # noqa: ARG002
        return k, V[:, ::-1]


class FeaturesOf64Lanes(WrongSamples):
    def changed(self, k, V, session):  # noqa: ARG002
        return k, np.where(np.arange(V.shape[1]) < 64, V, -65.0)


class FeaturesOnlyWhereNothingIsRecorded(Faultless):
    def read(self, session, steps, out):
        if out.samples:
            out = replace(out, features=None)
        super().read(session, steps, out)


class ComputesSums(Faultless):
    """The faultless backend, which computes the sums of features itself."""

    def prepare(self, problem, max_steps):
        session = super().prepare(problem, max_steps)
        if problem.features:
            session.sums = self.sums(problem, problem.window_steps, self.carried(problem))
        return session

    def carried(self, problem):
        return problem.initial.carry.get(SUMS)

    def sums(self, problem, window, rows):
        rows = None if rows is None else rows.copy()
        about = problem.n_neurons, problem.spike_threshold, problem.dt, rows
        return FeatureSums(problem.features, window, *about)

    def read(self, session, steps, out):
        problem = session.problem
        if not problem.features:
            super().read(session, steps, out)
            return
        count = np.zeros(problem.n_neurons, np.int64)
        timed = Recorded(problem.with_spikes("times"), out.samples, count, features=session.sums)
        ReferenceBlock(session, steps.start, len(steps)).read(timed)
        session.sums.spikes(timed.spikes)
        out.invalid += timed.invalid
        if problem.spikes != "off":
            out.spike_count += count
        if problem.spikes == "times":
            out.spikes += timed.spikes

    def carry(self, session):
        return {SUMS: session.sums.rows.copy()} if session.problem.features else {}


class SumsBegunAnewInEveryBlock(ComputesSums):
    def read(self, session, steps, out):
        problem = session.problem
        if problem.features:
            first, end = problem.window_steps
            session.sums = self.sums(problem, (max(first, steps.start), end), None)
        super().read(session, steps, out)


class CarriedSumsForgotten(ComputesSums):
    def carried(self, problem):  # noqa: ARG002
        return None


class WindowThatEndsWithTheRun(ComputesSums):
    def sums(self, problem, window, rows):
        return super().sums(problem, (window[0], problem.end_step), rows)


class SumsThatAreZeroWhereUndefined(ComputesSums):
    def carry(self, session):
        return {name: np.nan_to_num(rows) for name, rows in super().carry(session).items()}


class SumsOfSquaresRoundedOtherwise(ComputesSums):
    """By the last bit, as by a fused multiplication and addition."""

    def carry(self, session):
        carry = super().carry(session)
        if "V_std" in session.problem.features:
            squares = carry[SUMS][2]
            squares[:] = np.nextafter(squares, np.inf)
        return carry


class SumsLeftOut(ComputesSums):
    def carry(self, session):  # noqa: ARG002
        return {}
