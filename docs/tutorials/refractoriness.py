"""
Refractory period and anodal break
==================================

After an action potential an axon can't fire again for a while, because h has shut the Na channels
and n holds the K channels open. The same two gates explain a surprise: an axon fires when a
hyperpolarising current *ends*. Hodgkin & Huxley (*J. Physiol.* 117 (1952), 500–544) computed both
by hand, in their figures 20 and 22.
"""

# %%
# The second pulse
# ----------------
# Each axon of a population receives a first pulse of 1 ms that makes it fire, and a second one,
# later by its own interval and of its own strength. A grid of intervals and strengths is one run.

import matplotlib.pyplot as plt
import numpy as np

from hhplug import Simulator, Stimulus

interval = np.linspace(2.0, 25.0, 93)  # ms from the first to the second pulse
strength = np.linspace(0.0, 60.0, 241)  # µA/cm²
grid = np.meshgrid(interval, strength)
delay, second = (values.ravel() for values in grid)

sim = Simulator("numba", dtype="float64")
first = Stimulus.step(20.0, start=5.0, stop=6.0)
probe = Stimulus.step(second, start=5.0 + delay, stop=6.0 + delay)
pairs = sim.run(T=50.0, dt=0.01, stimulus=first + probe, record=(), initial_state="rest")
fired = (pairs.spike_count >= 2).reshape(grid[0].shape)

# %%
# A spike here is an upward crossing of 0 mV, so that small graded responses don't count. The
# weakest second pulse that makes the axon fire again is the threshold at that interval. Without a
# first pulse it is the dashed line.

weakest = np.where(fired.any(axis=0), strength[fired.argmax(axis=0)], np.nan)
alone = sim.run(
    T=20.0,
    stimulus=Stimulus.step(strength, start=5.0, stop=6.0),
    record=(),
    initial_state="rest",
)
usual = strength[alone.spike_count > 0].min()
possible = interval[~np.isnan(weakest)]
print(f"threshold of a rested axon: {usual:.1f} µA/cm²")
print(f"shortest interval at which a pulse of 60 µA/cm² or less fires it: {possible.min():.2f} ms")
print(
    f"lowest threshold: {np.nanmin(weakest):.1f} µA/cm² at {interval[np.nanargmin(weakest)]:.1f} ms"
)

figure, ax = plt.subplots(layout="constrained")
ax.plot(interval, weakest)
ax.axhline(usual, ls="--", color="0.5")
ax.set(
    xlabel="interval between the pulses (ms)",
    ylabel="threshold of the second pulse (µA/cm²)",
    ylim=(0.0, None),
)

# %%
# To the left of the curve the axon is refractory: first absolutely, as far as these pulses go, then
# relatively, since a stronger pulse is needed. Later, the threshold falls *below* that of a rested
# axon. The squid's membrane rings after a spike, and a pulse that arrives on the rising side of the
# swing needs less.
#
# Anodal break
# ------------
# Now a current of −10 µA/cm² holds each axon below its resting potential for a time of its own.
# Meanwhile h opens further than at rest and n shuts. When the current ends, V returns to rest
# within the time constant of the membrane, before h and n do, and the axon fires.

duration = np.array([1.0, 3.0, 5.0, 10.0, 30.0])  # ms
hold = Stimulus.step(-10.0, start=5.0, stop=5.0 + duration)
released = sim.run(T=60.0, dt=0.01, stimulus=hold, record_all=True, initial_state="rest")
for time, count in zip(duration, released.spike_count, strict=True):
    print(f"after {time:4.0f} ms at −10 µA/cm²: {count} spike{'s' if count != 1 else ''}")

figure, (top, bottom) = plt.subplots(2, sharex=True, figsize=(7, 5), layout="constrained")
for i, time in enumerate(duration):
    top.plot(released.time, released.V[:, i], label=f"{time:g} ms")
top.set_ylabel("V (mV)")
top.legend(title="hyperpolarised for")
bottom.plot(released.time, released.h[:, -1], label="h")
bottom.plot(released.time, released.n[:, -1], label="n")
bottom.set(xlabel="time (ms)", ylabel="gates, held for 30 ms")
bottom.legend()
plt.show()
