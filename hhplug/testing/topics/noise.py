"""Tests of noise that a backend computes itself."""

import numpy as np
import pytest

from hhplug.currents.stimulus import Stimulus
from hhplug.problem import Problem
from hhplug.testing.kit import Kit, assert_equal, assert_same

N, START, DT = 37, 6, 0.02  # the four steps of a counter end after the second step
# Numbers of more than 32 bits, in no order.
NUMBERS = np.random.default_rng(1952).permutation(N) * (2**32 + 3) + 1
PROCESSES = {
    # With τ far below dt, the process is the deviate itself.
    "deviates": Stimulus.ornstein_uhlenbeck(1.0, 1.0, tau=1e-6, seed=1952),
    "alike": Stimulus.ornstein_uhlenbeck(1.0, 1.0, tau=0.5, seed=2**64 - 1952),
    "per neuron": Stimulus.ornstein_uhlenbeck(1.0, 1.0, tau=np.geomspace(0.01, 9, N), seed=1952),
}


class NoiseTests:
    @pytest.mark.kit_level(2)
    @pytest.mark.parametrize("process", PROCESSES)
    def test_noise_that_a_backend_computes_is_the_core_s_bit_for_bit(self, kit: Kit, process):
        kit.needs("noise", kit.spec.capabilities.noise)
        n_steps = kit.steps(14, 3)
        problem = Problem(
            n_steps * DT,
            DT,
            batch_size=N,
            stimulus=PROCESSES[process],
            dtype=kit.dtype,
            record=(),
            start_step=START,
        ).as_part(NUMBERS, None)
        whole = kit.run_in_blocks(problem, [n_steps])
        for name, x in problem.current.carry(problem.end_step).items():
            what = f"{name} that the state carries after {n_steps} steps from step {START} on"
            assert_equal(whole.final.carry[name], x, what)
        blocks = [1, 2, 5]
        assert_same(kit.run_in_blocks(problem, blocks), whole, f"the run in blocks of {blocks}")
