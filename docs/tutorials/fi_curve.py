"""
The F-I curve and the two classes of excitability
=================================================

The F-I curve is the firing rate of a neuron as a function of a constant current. Hodgkin
(*J. Physiol.* 107 (1948), 165–181) found two kinds in crab axons. A neuron of class 1 can fire as
slowly as one likes. One of class 2 begins to fire at a rate well above zero. The squid axon is of
class 2, and the interneuron of Wang & Buzsáki (*J. Neurosci.* 16 (1996), 6402–6413) is of class 1.

A curve is one simulation, because each neuron of a population can have a current of its own.
"""

# %%
# The squid axon
# --------------
# Four hundred axons receive constant currents from 0 to 20 µA/cm² for 500 ms. Near the onset of
# firing an axon needs hundreds of milliseconds to settle, so the rate is measured from 250 ms on,
# from the intervals between spikes.

import matplotlib.pyplot as plt
import numpy as np

from hhplug import Simulator, Stimulus, membranes

current = np.linspace(0.0, 20.0, 401)  # µA/cm²
squid = Simulator("numba", dtype="float64").run(
    T=500.0, dt=0.02, stimulus=Stimulus.constant(current), record_every=5
)
rate = squid.firing_rate(start=250.0, stop=500.0)  # Hz

onset = current[rate > 0].min()
print(f"the lowest current that keeps the axon firing: {onset:.2f} µA/cm²")
print(f"its rate there: {rate[rate > 0][0]:.1f} Hz")
squid.plot(neurons=[120, 124, 126, 200])

# %%
# Two states at one current
# -------------------------
# At the onset the axon is bistable: from about 6.3 to 9.8 µA/cm² it either rests or fires, and
# where it begins decides (Rinzel, *Fed. Proc.* 37 (1978), 2793–2802). A slow ramp of current up
# and down again shows both. On the way up the axon rests, even some way beyond 9.8 µA/cm², because
# the oscillation takes time to grow from nothing. On the way down it goes on firing until 6.3.

up = Stimulus.ramp(0.0, 20.0, start=0.0, stop=2000.0)  # µA/cm², ms
down = Stimulus.ramp(20.0, 0.0, start=2000.0, stop=4000.0)
ramp = Simulator("numba", dtype="float64").run(
    T=4000.0, dt=0.02, stimulus=up + down, record=(), initial_state="rest"
)
spikes = ramp.spikes.time
rising = spikes < 2000.0
current_at = np.where(rising, spikes, 4000.0 - spikes) / 100.0  # µA/cm²
interval = np.diff(spikes)
print(f"on the way up firing begins at {current_at[0]:.1f} µA/cm²")
print(f"on the way down it ends at {current_at[-1]:.1f} µA/cm²")

figure, ax = plt.subplots(layout="constrained")
ax.plot(current, rate, color="0.7", label="constant current")
for way, marker, label in ((rising, "C1o", "ramp upwards"), (~rising, "C0.", "ramp downwards")):
    ax.plot(current_at[1:][way[1:]], 1e3 / interval[way[1:]], marker, mfc="none", label=label)
ax.set(xlabel="current (µA/cm²)", ylabel="firing rate (Hz)", xlim=(3.0, 20.0))
ax.legend()

# %%
# An interneuron of class 1
# -------------------------
# The same sweep for the Wang-Buzsáki interneuron. Its rate grows from zero like the square root of
# the current above the onset, as is usual for a saddle-node bifurcation on an invariant circle
# (Izhikevich, *Dynamical Systems in Neuroscience*, MIT Press 2007, chapter 6).

small = np.linspace(0.0, 1.0, 201)  # µA/cm²
interneuron = Simulator("numba", dtype="float64", membrane=membranes.WB).run(
    T=2000.0, dt=0.02, stimulus=Stimulus.constant(small), record=()
)
slow = interneuron.firing_rate(start=500.0, stop=2000.0, method="isi")

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
left.plot(current, rate, ".", ms=3)
left.set(title="squid axon, class 2", xlabel="current (µA/cm²)", ylabel="firing rate (Hz)")
right.plot(small, slow, ".", ms=3)
right.set(title="Wang-Buzsáki interneuron, class 1", xlabel="current (µA/cm²)")
print(f"the interneuron's lowest rate in this sweep: {slow[slow > 0].min():.1f} Hz")
plt.show()
