"""
A membrane of your own
======================

A membrane is described by its channels, and each channel by its gates. hhplug makes the code of
every backend from this description. This tutorial adds an M current, a slow K current that opens
near the threshold, to the interneuron of Wang & Buzsáki (*J. Neurosci.* 16 (1996), 6402–6413), and
shows what such a current does: the neuron adapts.
"""

# %%
# An M current in ten lines
# -------------------------
# The gate p is that of Yamada, Koch & Adams (in *Methods in Neuronal Modeling*, MIT Press 1989), as
# Pospischil et al. (*Biol. Cybern.* 99 (2008), 427–441) use it. ``inf`` is its steady state and
# ``tau`` its time constant in ms, both as text. ``E="E_K"`` shares the K channel's reversal
# potential, and the number ``g`` becomes the parameter g_M. ``Parameter`` names a constant and its
# unit.

import matplotlib.pyplot as plt
import numpy as np

from hhplug import Channel, Gate, Parameter, Simulator, Stimulus, membranes

adapting = membranes.WB.replace(
    "adapting interneuron",
    M=Channel(
        "p",
        g=0.5,  # mS/cm²
        E="E_K",
        p=Gate(
            inf="1 / (1 + exp(-(V + 35) / 10))",
            tau="tau_max / (3.3 * exp((V + 35) / 20) + exp(-(V + 35) / 20))",
        ),
    ),
    tau_max=Parameter(400.0, "ms"),
)

# %%
# ``print`` shows what hhplug has understood, as a paper would print it. A mistake in an expression
# is refused here, and the message points at the character.

print(adapting)

# %%
# Adaptation
# ----------
# g_M is a parameter like any other: it can differ between neurons. The four neurons of this run
# have between none and 0.6 mS/cm² of it, and all receive 3 µA/cm².

g_M = np.array([0.0, 0.2, 0.4, 0.6])  # mS/cm²
sim = Simulator("numba", dtype="float64", membrane=adapting, parameters={"g_M": g_M})
step = Stimulus.step(3.0, start=50.0, stop=450.0)  # µA/cm², ms
result = sim.run(T=500.0, dt=0.02, stimulus=step, record=("V", "p"), initial_state="rest")

figure, axes = plt.subplots(4, sharex=True, sharey=True, figsize=(8, 6), layout="constrained")
for i, ax in enumerate(axes):
    ax.plot(result.time, result.V[:, i], lw=0.7)
    ax.set_title(f"g_M = {g_M[i]:g} mS/cm², {result.spike_count[i]} spikes", fontsize="medium")
figure.supylabel("V (mV)")
axes[-1].set_xlabel("time (ms)")
for i in range(len(g_M)):
    rates = 1e3 / np.diff(result.spikes.time[result.spikes.neuron == i])
    print(f"g_M {g_M[i]:.1f} mS/cm²: {rates[0]:.0f} Hz at first, {rates[-1]:.0f} Hz at the end")

# %%
# The current through the new channel is ``result.currents("M")``, positive outward. It grows with
# each spike as p opens, and what remains of the injected current makes the neuron fire more slowly.

figure, (top, bottom) = plt.subplots(2, sharex=True, figsize=(8, 4.5), layout="constrained")
top.plot(result.time, result["p"])
top.set(ylabel="open fraction p", ylim=(0.0, 0.9))
top.legend([f"g_M = {g:g} mS/cm²" for g in g_M], loc="upper center", ncols=4, fontsize="small")
bottom.plot(result.time, result.currents("M"), lw=0.7)
bottom.set(xlabel="time (ms)", ylabel="M current (µA/cm²)")

# %%
# A cortical neuron
# -----------------
# The library has the regular-spiking neuron RS, which has the same current. Its rate
# falls within the first hundreds of milliseconds. Without M it stays as it was at first.

current = Stimulus.step(3.0, start=50.0, stop=950.0)  # µA/cm²
for neuron in (membranes.RS, membranes.RS.replace("RS without M", M=None)):
    cortical = Simulator("numba", membrane=neuron)
    run = cortical.run(T=1000.0, dt=0.02, stimulus=current, record=(), initial_state="rest")
    rates = 1e3 / np.diff(run.spikes.time)
    print(f"{neuron.name}: {rates[0]:.0f} Hz at first, {rates[-1]:.0f} Hz at the end")

plt.show()
