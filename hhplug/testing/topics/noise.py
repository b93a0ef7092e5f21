"""Tests of noise that a backend computes itself."""

import numpy as np
import pytest

from hhplug.currents.stimulus import Stimulus
from hhplug.problem import Problem
from hhplug.testing.kit import Kit, assert_equal, assert_same

N, STEPS, START, DT = 37, 14, 6, 0.02  # the four steps of a counter don't end where blocks end
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
        problem = Problem(
            STEPS * DT,
            DT,
            batch_size=N,
            stimulus=PROCESSES[process],
            dtype=kit.dtype,
            record=(),
            start_step=START,
        ).as_part(NUMBERS, None)
        whole = kit.run_in_blocks(problem, [STEPS])
        for steps in (1, 2, 7, STEPS):  # by the end, an error in any step is seen
            done = problem.shortened(steps)
            ours = whole if steps == STEPS else kit.run_in_blocks(done, [steps])
            for name, x in done.current.carry(done.end_step).items():
                what = f"{name} that the state carries after {steps} steps from step {START} on"
                assert_equal(ours.final.carry[name], x, what)
        blocks = [3, 1, 5]
        assert_same(kit.run_in_blocks(problem, blocks), whole, f"the run in blocks of {blocks}")
