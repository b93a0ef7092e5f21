"""Faults of the noise that a backend computes itself."""

from copy import copy
from dataclasses import dataclass, replace

import numpy as np

from hhplug.currents.noise import Draws
from sabotaged.faultless import ComputesNoise


class WrongNoise(ComputesNoise):
    """The noise is that which `changed` returns; first is the first step of a block."""

    def changed(self, noise, first):
        raise NotImplementedError

    def process(self, noise, steps, start_step):
        return super().process(self.changed(copy(noise), int(steps[0])), steps, start_step)


class NoiseByPosition(WrongNoise):
    """The counter has the neuron's position instead of its number."""

    def changed(self, noise, first):  # noqa: ARG002
        noise._draws = replace(noise._draws, neurons=np.arange(len(noise.neurons)))
        return noise


class HighWordOfTheNumberLost(WrongNoise):
    def changed(self, noise, first):  # noqa: ARG002
        noise._draws = replace(noise._draws, neurons=noise.neurons & 0xFFFFFFFF)
        return noise


class HighWordOfTheSeedLost(WrongNoise):
    def changed(self, noise, first):  # noqa: ARG002
        noise._draws = replace(noise._draws, seed=noise.seed & 0xFFFFFFFF)
        return noise


@dataclass(frozen=True, eq=False)
class LateDraws(Draws):
    late: int = 0

    def at(self, steps):
        return super().at(steps - self.late)


class FoursOfTheBlock(WrongNoise):
    """A counter serves the first four steps of a block, wherever the block begins."""

    def changed(self, noise, first):
        draws = noise._draws
        noise._draws = LateDraws(draws.seed, draws.stream, draws.neurons, first % 4)
        return noise


class ProcessLostAtABlocksEnd(WrongNoise):
    """Each block begins with a new value of the process."""

    def changed(self, noise, first):
        dt, dtype, _ = noise._run
        noise._run = dt, dtype, first
        return noise


class TauOfNeuron0(WrongNoise):
    def changed(self, noise, first):  # noqa: ARG002
        noise._term = replace(noise._term, tau=float(np.ravel(noise._term.tau)[0]))
        return noise


class ProcessNotHandedOn(ComputesNoise):
    """The carry of the state doesn't have the process."""

    def carry(self, session):  # noqa: ARG002
        return {}
