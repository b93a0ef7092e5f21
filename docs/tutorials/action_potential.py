"""
The action potential and its gates
==================================

A squid giant axon receives a short current and answers with an action potential. This tutorial
looks at what happens in its membrane: the gates, the currents through the channels, and why the
potential rises and falls.

The equations are those of Hodgkin & Huxley, *J. Physiol.* 117 (1952), 500–544, with voltages
counted from the outside and the axon at rest at −65 mV:

.. math::

   C_m \\frac{dV}{dt} = I_\\mathrm{ext} - g_\\mathrm{Na} m^3 h (V - E_\\mathrm{Na})
       - g_\\mathrm{K} n^4 (V - E_\\mathrm{K}) - g_\\mathrm{L} (V - E_\\mathrm{L})

Each gate m, h and n is a number between 0 (shut) and 1 (open) that follows its steady state with
a time constant, and both depend on V.
"""

# %%
# The gates at rest
# -----------------
# ``membranes.squid`` is the description of this membrane. Its picture shows the steady state and
# the time constant of each gate. The Na activation m is fast. The Na inactivation h and the K
# activation n are about ten times as slow, and that delay makes the action potential.

import matplotlib.pyplot as plt
import numpy as np

from hhplug import Simulator, Stimulus, membranes

membranes.squid.plot()

# %%
# One action potential
# --------------------
# A pulse of 1 ms and 15 µA/cm² charges the membrane by about 15 mV. ``initial_state="rest"``
# begins at the resting potential, and ``record_all=True`` records the gates beside V.

sim = Simulator("numba", dtype="float64")
pulse = Stimulus.step(15.0, start=2.0, stop=3.0)  # µA/cm², ms
result = sim.run(T=20.0, dt=0.01, stimulus=pulse, record_all=True, initial_state="rest")

print(result)
print(f"resting potential {result.V[0, 0]:.2f} mV")
print(f"peak {result.V.max():.1f} mV, undershoot {result.V.min():.1f} mV")

# %%
# ``result.currents()`` computes the current through each channel at each sample, positive
# outward. The axes below share the time.

figure, (top, middle, bottom) = plt.subplots(3, sharex=True, figsize=(7, 7), layout="constrained")
top.plot(result.time, result.V)
top.set_ylabel("V (mV)")
for gate in "mhn":
    middle.plot(result.time, result[gate], label=gate)
middle.set_ylabel("open fraction of gates")
middle.legend()
for channel, current in result.currents().items():
    bottom.plot(result.time, current, label=channel)
bottom.set(xlabel="time (ms)", ylabel="current (µA/cm²)")
bottom.legend()

# %%
# The pulse depolarises the membrane, m follows within a fraction of a millisecond, and the inward
# Na current depolarises it further, towards E_Na at 50 mV. Meanwhile h shuts and n opens. The
# outward K current brings V back and, because n is slow to shut, below the resting potential.
#
# The phase plane
# ---------------
# Rates of change say the same. During the upstroke dV/dt reaches hundreds of mV/ms, and the
# trajectory returns to its beginning: the action potential is one loop. The two jumps at the left
# are the start and the end of the pulse.

rise = np.gradient(result.V[:, 0], result.time)  # mV/ms
print(f"fastest rise {rise.max():.0f} mV/ms, fastest fall {rise.min():.0f} mV/ms")

figure, ax = plt.subplots(layout="constrained")
ax.plot(result.V[:, 0], rise)
ax.set(xlabel="V (mV)", ylabel="dV/dt (mV/ms)")

# %%
# All or none
# -----------
# A population shows the threshold: one axon for each amplitude of the pulse. A little more current
# decides between a small local response and a full action potential.

amplitude = np.linspace(0.0, 15.0, 61)  # µA/cm²
pulses = Stimulus.step(amplitude, start=2.0, stop=3.0)
many = sim.run(T=15.0, dt=0.01, stimulus=pulses, initial_state="rest")
peak = many.V.max(axis=0)
print(f"the first axon that fires receives {amplitude[many.spike_count > 0].min():.2f} µA/cm²")

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
left.plot(many.time, many.V[:, ::4], lw=0.8)
left.set(xlabel="time (ms)", ylabel="V (mV)")
right.plot(amplitude, peak, ".")
right.set(xlabel="amplitude of the pulse of 1 ms (µA/cm²)", ylabel="highest V (mV)")
plt.show()
