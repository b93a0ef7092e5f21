"""
Strength and duration
=====================

A short pulse must be stronger than a long one to make an axon fire. The curve of the threshold
against the duration of the pulse is used to choose pulses of stimulators. Its two constants have
names of their own: the *rheobase* is the threshold of a very long pulse, and the *chronaxie* is the
duration at which the threshold is twice the rheobase (Lapicque, *J. Physiol. Pathol. Gén.* 9
(1907), 620–635).
"""

# %%
# Thresholds by bisection
# -----------------------
# Each axon of the population has a pulse of its own duration. All thresholds are bisected at once:
# a run tells which axons fired, and their intervals are halved. Twelve runs find each threshold to
# 1 part in 4,000 of the first interval.

import matplotlib.pyplot as plt
import numpy as np

from hhplug import Simulator, Stimulus

duration = np.geomspace(0.1, 50.0, 55).round(2)  # ms
sim = Simulator("numba", dtype="float64")


def fires(amplitude):
    """Return which axons fire an action potential by a pulse of this amplitude, µA/cm²."""
    pulse = Stimulus.step(amplitude, start=1.0, stop=1.0 + duration)
    run = sim.run(T=70.0, dt=0.01, stimulus=pulse, record=(), initial_state="rest")
    return run.spike_count > 0


below, above = np.zeros_like(duration), 20.0 / duration + 10.0
assert fires(above).all()
for _ in range(12):
    middle = (below + above) / 2.0
    fired = fires(middle)
    above = np.where(fired, middle, above)
    below = np.where(fired, below, middle)
threshold = above  # µA/cm²

# %%
# Two formulas
# ------------
# Weiss (*Arch. Ital. Biol.* 35 (1901), 413–446) found that the threshold charge grows linearly with
# the duration, so that the threshold is :math:`I = I_r (1 + t_c / t)` with the rheobase :math:`I_r`
# and the chronaxie :math:`t_c`. Lapicque derived :math:`I = I_r / (1 - e^{-t / \tau})` for a leaky
# capacitor with a fixed threshold, where :math:`t_c = \tau \ln 2`. Here the rheobase is the
# threshold of the longest pulse, and the chronaxie is read from the simulated curve.

rheobase = threshold[-1]
# The threshold falls with the duration, and np.interp wants rising values.
chronaxie = np.interp(2.0 * rheobase, threshold[::-1], duration[::-1])  # ms
weiss = rheobase * (1.0 + chronaxie / duration)
lapicque = rheobase / (1.0 - 2.0 ** (-duration / chronaxie))
print(f"rheobase {rheobase:.2f} µA/cm², chronaxie {chronaxie:.2f} ms")
print(f"charge of the shortest pulse at threshold: {threshold[0] * duration[0]:.2f} nC/cm²")

figure, ax = plt.subplots(layout="constrained")
ax.loglog(duration, threshold, ".", label="squid axon")
ax.loglog(duration, lapicque, "-", label="Lapicque")
ax.loglog(duration, weiss, "--", label="Weiss")
ax.plot(chronaxie, 2.0 * rheobase, "o", color="k", mfc="none", label="chronaxie")
ax.set(xlabel="duration of the pulse (ms)", ylabel="threshold (µA/cm²)")
ax.legend()

# %%
# Both formulas have the same limits by construction: the rheobase for long pulses, and a constant
# charge for short ones. The axon follows neither exactly. Its threshold isn't a fixed voltage,
# because m opens and h shuts during the pulse. Beyond some milliseconds the threshold hardly
# changes: an axon that hasn't fired by then won't, since h has shut in the meantime.

settled = duration[threshold < 1.01 * rheobase].min()
print(f"within 1 % of the rheobase from {settled:.0f} ms on")
plt.show()
