"""
Features instead of traces
==========================

A sweep of a million neurons doesn't need a million traces, but a few numbers of each neuron: how
often it fires, how wide its action potentials are, how deep V falls after them. hhplug computes
such features while a run goes on, and keeps no trace. Their definitions follow those of the
Electrophys Feature Extraction Library, `eFEL <https://efel.readthedocs.io>`_;
:doc:`the guide </guide/features>` has them all, and says where the two libraries differ.

This tutorial draws the features on an action potential, then uses them to see what temperature
does to an axon, and what two conductances do to its action potential.
"""

# %%
# The features of an action potential
# -----------------------------------
# ``features=`` names what to compute, and ``window=`` the time in ms that counts. This run also
# records V, so that the features can be drawn on it.

import matplotlib.pyplot as plt
import numpy as np

from hhplug import Simulator, Stimulus, membranes

sim = Simulator("numba", dtype="float64")
wanted = ("spike_count", "latency", "ap_amplitude", "ap_width", "ahp_depth")
step = Stimulus.step(10.0, start=5.0, stop=20.0)  # µA/cm², ms
result = sim.run(
    T=20.0, dt=0.01, stimulus=step, initial_state="rest", features=wanted, window=(5.0, 20.0)
)
units = {"spike_count": "", "latency": "ms", "ap_width": "ms"}
for name, (value,) in result.features.items():
    print(f"{name:13} {value:6.2f} {units.get(name, 'mV')}")

# %%
# The width and the latency begin where V crosses the spike threshold, 0 mV unless
# ``spike_threshold`` says otherwise. The onset is where V begins to rise by 10 mV/ms, the
# definition of eFEL. The amplitude is counted from the onset up, and the depth of the
# afterhyperpolarisation (AHP) from the onset down. A few lines of NumPy find the same numbers in
# the trace.

time, V = result.time, result.V[:, 0]
up = np.flatnonzero((V[:-1] < 0.0) & (V[1:] >= 0.0))[0]  # the last sample below the threshold
down = up + np.flatnonzero(V[up + 1 :] < 0.0)[0]
slow = np.flatnonzero(np.diff(V[: up + 1]) / 0.01 < 10.0)[-1]  # the last slow step before it
onset, peak, trough = slow + 1, up + V[up:down].argmax(), down + V[down:].argmin()
assert np.isclose(result.features["ap_amplitude"][0], V[peak] - V[onset])
assert np.isclose(result.features["ahp_depth"][0], V[onset] - V[trough])

figure, ax = plt.subplots(figsize=(8, 5), layout="constrained")
ax.plot(time, V, color="k", lw=1.0)
ax.plot(time[[onset, peak, trough]], V[[onset, peak, trough]], "o", color="C3")
ax.axvline(5.0, color="0.8", zorder=0)
for name, i, side in (("onset", onset, 0.4), ("peak", peak, 0.4), ("trough", trough, 0.0)):
    ax.annotate(name, (time[i], V[i]), (time[i] + side, V[i] - 7.0), color="C3")
arrow = {"arrowstyle": "<->", "color": "C0", "shrinkA": 0.0, "shrinkB": 0.0}
middle = (time[up] + time[down]) / 2.0
lines = {
    "latency": ((5.0, 0.0), (time[up], 0.0), (5.3, 3.0)),
    "ap_width": ((time[up], 0.0), (time[down], 0.0), (time[down] + 0.2, 3.0)),
    "ap_amplitude": ((middle, V[onset]), (middle, V[peak]), (middle + 0.1, -47.0)),
    "ahp_depth": ((time[trough], V[onset]), (time[trough], V[trough]), (time[trough] + 0.2, -68.0)),
}
for name, (begin, end, text) in lines.items():
    ax.annotate("", end, begin, arrowprops=arrow)
    ax.text(*text, name, color="C0", rotation=90.0 if begin[0] == middle else 0.0)
ax.plot([time[onset], time[trough]], [V[onset]] * 2, ":", color="0.6", zorder=0)
ax.set(xlabel="time (ms)", ylabel="V (mV)", ylim=(-85.0, 50.0))

# %%
# Temperature
# -----------
# Hodgkin & Katz (*J. Physiol.* 109 (1949), 240–249) warmed a squid axon. Its action potential
# became much shorter and a little smaller, and in the heat it failed. In
# the equations all rates grow by a factor of 3 for every 10 °C, and ``membrane.at(celsius=…)`` is
# the membrane at another temperature. Each of these runs is one axon under a short pulse.

celsius = np.arange(2.0, 34.1, 4.0)
pulse = Stimulus.step(100.0, start=1.0, stop=1.2)  # µA/cm², ms
height, width = np.full((2, len(celsius)), np.nan)
for i, degrees in enumerate(celsius):
    axon = Simulator("reference", membrane=membranes.squid.at(celsius=degrees))
    run = axon.run(
        T=10.0,
        dt=0.02,
        stimulus=pulse,
        initial_state="rest",
        record=(),
        features=("V_max", "ap_width"),
    )
    height[i], width[i] = run.features["V_max"][0], run.features["ap_width"][0]
print(f"width at 6 °C {width[1]:.2f} ms, at 26 °C {width[6]:.2f} ms")
print(f"an axon at {celsius[-1]:.0f} °C has the width {width[-1]}")

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
left.semilogy(celsius, width, "o-")
left.semilogy(
    celsius, width[1] * 3.0 ** ((6.0 - celsius) / 10.0), ":", color="0.5", label="Q10 = 3"
)
left.set(xlabel="temperature (°C)", ylabel="width of the action potential (ms)")
left.legend()
right.plot(celsius, height, "o-")
right.axhline(0.0, color="0.8", zorder=0)
right.set(xlabel="temperature (°C)", ylabel="highest V (mV)")

# %%
# In the cold the width follows the rates. When it is warm, the gates are so fast that K channels
# open before V has risen all the way, and the action potential also becomes smaller. In the last
# axon V doesn't reach the threshold: it has no complete action potential, and a feature that a
# neuron doesn't have is NaN.
#
# Two conductances
# ----------------
# How do Na and K channels shape an action potential? A grid of 60 by 60 densities is one
# population. Nothing is recorded, and the window leaves out the first 20 ms, which are unlike the
# rest of a train.

g_Na, g_K = np.linspace(60.0, 240.0, 60), np.linspace(10.0, 70.0, 60)  # mS/cm²
columns, rows = (values.ravel() for values in np.meshgrid(g_Na, g_K))
grid = Simulator("numba", parameters={"g_Na": columns, "g_K": rows})
shown = {
    "spike_count": "spikes in 100 ms",
    "ap_amplitude": "amplitude (mV)",
    "ap_width": "width (ms)",
    "ahp_depth": "depth of the AHP (mV)",
}
train = grid.run(
    T=120.0,
    dt=0.02,
    stimulus=Stimulus.constant(15.0),
    record=(),
    features=tuple(shown),
    window=(20.0, 120.0),
)
kept = sum(train.features[name].nbytes for name in shown)
print(f"features: {kept / 1e3:.0f} kB; V of every step would be {3600 * 6000 * 4 / 1e6:.0f} MB")

figure, axes = plt.subplots(2, 2, figsize=(9, 7), sharex=True, sharey=True, layout="constrained")
for ax, (name, label) in zip(axes.flat, shown.items(), strict=True):
    drawn = ax.pcolormesh(g_Na, g_K, train.features[name].reshape(60, 60))
    figure.colorbar(drawn, ax=ax, label=label)
figure.supxlabel("g_Na (mS/cm²)")
figure.supylabel("g_K (mS/cm²)")

# %%
# White is NaN: these axons don't fire after the first 20 ms. Next to them the axons have so many K
# channels for their Na channels that their action potentials are small and short. The lines in the
# last map come from the window: it ends within the last AHP of these axons, before its lowest
# point, and a trough is the lowest sample up to the end of the window.
#
# A fit compares such numbers with those of a recording, and so does :doc:`the next tutorial
# </gallery/inference>`, which asks which conductances could have given them.

plt.show()
