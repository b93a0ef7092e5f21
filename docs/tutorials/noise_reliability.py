"""
Noise and the reliability of spike times
========================================

Mainen & Sejnowski (*Science* 268 (1995), 1503–1506) injected the same current again and again into
cortical neurons. With a constant current, the spike times of the trials drifted apart. With a
current that fluctuated, the same fluctuation in every trial, they stayed together to a millisecond.
This tutorial repeats the experiment with a simulated cortical neuron.
"""

# %%
# The experiment
# --------------
# Every neuron of a population is a trial: it has the same parameters and its own intrinsic noise,
# an Ornstein-Uhlenbeck current of 0.3 µA/cm². ``Stimulus.ornstein_uhlenbeck`` draws each neuron's
# noise from the seed and the neuron's number.

import matplotlib.pyplot as plt
import numpy as np

from hhplug import Simulator, Stimulus, membranes

n = 50  # trials
T, dt = 1000.0, 0.02  # ms
sim = Simulator("numba", membrane=membranes.RS)
intrinsic = Stimulus.ornstein_uhlenbeck(mean=0.0, sigma=np.full(n, 0.3), tau=2.0, seed=1)
constant = Stimulus.constant(3.0)  # µA/cm²

# %%
# The fluctuating current must be the same in every trial. So it is drawn once, for one neuron, by
# ``sample``, and given back as a recorded waveform.

signal = Stimulus.ornstein_uhlenbeck(mean=3.0, sigma=2.0, tau=3.0, seed=2)  # µA/cm², ms
waveform = signal.sample(dt, round(T / dt))
frozen = Stimulus.recorded(waveform, dt=dt)

runs = {
    "constant current": sim.run(
        T, dt, stimulus=constant + intrinsic, record=("V",), record_neurons=[0], record_every=5
    ),
    "fluctuating current": sim.run(
        T, dt, stimulus=frozen + intrinsic, record=("V",), record_neurons=[0], record_every=5
    ),
}

figure, axes = plt.subplots(
    3, 2, sharex=True, figsize=(9, 6), height_ratios=(1, 1, 2), layout="constrained"
)
currents = (np.full_like(waveform, 3.0), waveform)
for column, (name, run) in enumerate(runs.items()):
    top, middle, bottom = axes[:, column]
    top.plot(np.arange(len(waveform)) * dt, currents[column], lw=0.7)
    top.set(title=name, ylim=(waveform.min(), waveform.max()))
    middle.plot(run.time, run.V[:, 0], lw=0.7)
    run.plot_raster(ax=bottom)
axes[0, 0].set_ylabel("current (µA/cm²)")
axes[1, 0].set_ylabel("V of trial 0 (mV)")

# %%
# Reliability as a number
# -----------------------
# A usual measure correlates the trials (Schreiber et al., *Neurocomputing* 52–54 (2003), 925–931).
# Each spike train is smoothed by a Gaussian of 3 ms, and the mean is taken over all pairs of trials
# of the normalised products. It is 1 if all trials are alike.

width = 3.0  # ms
grid = np.arange(0.0, T, 1.0)  # ms


def reliability(spikes):
    """Return the mean correlation of the smoothed trains of all pairs of trials, 0 to 1."""
    trains = np.zeros((n, len(grid)))
    for trial in range(n):
        times = spikes.time[spikes.neuron == trial]
        trains[trial] = np.exp(-((grid[:, np.newaxis] - times) ** 2) / (2 * width**2)).sum(axis=1)
    trains /= np.linalg.norm(trains, axis=1, keepdims=True)
    return (trains @ trains.T)[np.triu_indices(n, 1)].mean()


for name, run in runs.items():
    rate = run.spike_count.mean() / (T * 1e-3)
    print(f"{name}: {rate:.0f} Hz, reliability {reliability(run.spikes):.2f}")

# %%
# How strong must the fluctuation be? The same waveform, scaled about its mean for each value of
# sigma, shows it.

sigmas = np.array([0.0, 0.25, 0.5, 1.0, 1.5, 2.0])  # µA/cm²
found = []
for sigma in sigmas:
    scaled = Stimulus.recorded(3.0 + (waveform - 3.0) * sigma / 2.0, dt=dt)
    run = sim.run(T, dt, stimulus=scaled + intrinsic, record=())
    found.append(reliability(run.spikes))

figure, ax = plt.subplots(layout="constrained")
ax.plot(sigmas, found, "o-")
ax.set(
    xlabel="standard deviation of the fluctuating current (µA/cm²)",
    ylabel="reliability",
    ylim=(0.0, 1.0),
)
plt.show()
