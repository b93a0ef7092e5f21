"""Faults of the samples that a backend gives to the features' sums."""

from dataclasses import replace

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


class FeaturesOnlyWhereNothingIsRecorded(Faultless):
    def read(self, session, steps, out):
        if out.samples:
            out = replace(out, features=None)
        super().read(session, steps, out)
