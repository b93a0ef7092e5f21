"""
Resonance
=========

The squid's resting membrane is not a simple leaky capacitor. Its K current opens with a delay and
works against each change of V, so that the membrane resonates: it answers most strongly to currents
of a certain frequency. Mauro et al. (*J. Gen. Physiol.* 55 (1970), 497–523) measured this in squid
axons. The answer to a small sinusoidal current is the impedance of the membrane.
"""

# %%
# Impedance
# ---------
# Each axon receives a sine of its own frequency, small enough that the membrane is linear. V is
# measured in the last second, when the transient is over. Its amplitude divided by that of the
# current is the impedance: mV / (µA/cm²) is kΩ·cm².

import matplotlib.pyplot as plt
import numpy as np

from hhplug import Simulator, Stimulus, membranes

frequency = np.geomspace(2.0, 500.0, 150)  # Hz
amplitude = 0.1  # µA/cm²
sim = Simulator("numba", dtype="float64")
sine = Stimulus.sine(amplitude, frequency=frequency)
result = sim.run(T=1500.0, dt=0.02, stimulus=sine, record_every=10, initial_state="rest")

steady = result.time >= 500.0  # ms
time, V = result.time[steady], result.V[steady]

# %%
# The complex amplitude at the sine's own frequency is found by least squares, with a constant for
# the resting potential. The current of a step is held at its value in the middle of the step.


def complex_amplitude(time, V, frequency):
    """Return A of V ≈ constant + Re(A · e^(iωt)), for one frequency in Hz and times in ms."""
    phase = 2e-3 * np.pi * frequency * time
    columns = np.stack([np.ones_like(phase), np.cos(phase), np.sin(phase)], axis=1)
    _, real, minus_imaginary = np.linalg.lstsq(columns, V, rcond=None)[0]
    return real - 1j * minus_imaginary


response = np.array([complex_amplitude(time, V[:, i], f) for i, f in enumerate(frequency)])
impedance = response / (-1j * amplitude)  # the current is Re(−iA · e^(iωt))

# %%
# The theory
# ----------
# Linearising the equations at rest gives the impedance as a formula (Koch, *Biophysics of
# Computation*, Oxford University Press 1999, chapter 10). With the Jacobian J of dV/dt and the
# gates' derivatives at rest, :math:`Z(\omega) = C_m^{-1} [(i \omega - J)^{-1}]_{VV}`. The
# derivatives of a membrane are ``membrane.equations.derivative``, and J is found by differences.

squid = membranes.squid
values = dict(squid.equations.defaults)
rest = sim.run(T=0.02, dt=0.02, initial_state="rest", record=()).final_state[:, :1]
jacobian = np.empty((4, 4))
for i in range(4):
    nudge = np.zeros((4, 1))
    nudge[i] = 1e-6
    ahead, behind = (
        squid.equations.derivative(rest + sign * nudge, np.zeros(1), values) for sign in (1, -1)
    )
    jacobian[:, i] = ((ahead - behind) / 2e-6)[:, 0]  # per ms
omega = 2e-3 * np.pi * frequency  # rad/ms
theory = np.array([np.linalg.inv(1j * w * np.eye(4) - jacobian)[0, 0] for w in omega])

peak = frequency[np.abs(impedance).argmax()]
error = np.abs(impedance - theory).max() / np.abs(theory).max()
print(f"resonance at {peak:.0f} Hz, {np.abs(impedance).max():.2f} kΩ·cm²")
print(f"impedance at 2 Hz: {np.abs(impedance[0]):.2f} kΩ·cm²")
print(f"largest deviation from the linear theory: {error:.1e} of the peak")

figure, (top, bottom) = plt.subplots(2, sharex=True, figsize=(7, 5.5), layout="constrained")
top.loglog(frequency, np.abs(impedance), ".", label="simulated")
top.loglog(frequency, np.abs(theory), "k-", lw=0.8, label="linear theory")
top.set_ylabel("impedance (kΩ·cm²)")
top.legend()
bottom.semilogx(frequency, np.degrees(np.angle(impedance)), ".")
bottom.semilogx(frequency, np.degrees(np.angle(theory)), "k-", lw=0.8)
bottom.set(xlabel="frequency (Hz)", ylabel="phase (degrees)")

# %%
# Below the resonance V leads the current, as in an inductor: the delayed K current is why.
#
# Which sines make it fire
# ------------------------
# Near its resonance the axon also needs the least current to fire. Each point of this picture is
# one of 3,600 axons, for 300 ms.

frequencies = np.geomspace(5.0, 300.0, 60)  # Hz
amplitudes = np.linspace(0.5, 12.0, 60)  # µA/cm²
f, a = (values.ravel() for values in np.meshgrid(frequencies, amplitudes))
driven = sim.run(
    T=300.0, dt=0.02, stimulus=Stimulus.sine(a, frequency=f), record=(), initial_state="rest"
)
rate = driven.spikes.firing_rate(100.0, 300.0, method="count").reshape(60, 60)

figure, ax = plt.subplots(layout="constrained")
drawn = ax.pcolormesh(frequencies, amplitudes, rate, cmap="viridis")
ax.set(xscale="log", xlabel="frequency (Hz)", ylabel="amplitude (µA/cm²)")
figure.colorbar(drawn, label="spikes per second")
plt.show()
