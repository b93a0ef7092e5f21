"""
Fitting conductances by CMA-ES
==============================

Which conductances does a neuron have whose spikes were recorded? The covariance matrix adaptation
evolution strategy (Hansen, `arXiv:1604.00772 <https://arxiv.org/abs/1604.00772>`_) needs no
gradients: it draws candidates from a normal distribution, compares their errors, and moves and
reshapes the distribution. All candidates of a generation are one population, and so one run. Here a
generation has ten thousand candidates, which take a second and a half on two cores of a CPU. An
H100 takes 3 ms for 10,000 squid axons and 5,000 steps, :doc:`as measured </speed>`, and a step of
one axon takes no less.

The strategy is that of the package ``cma``, by its author, which ``pip install cma`` installs.
"""

# %%
# The recording
# -------------
# The recording to explain is a simulated one, so that the answer is known: an RS neuron with
# conductances of its own and three steps of current. Noise of 0.5 mV is added to V as by an
# amplifier.

import warnings

import cma
import matplotlib.pyplot as plt
import numpy as np

from hhplug import Simulator, Stimulus, membranes

names = ["g_Na", "g_K", "g_M", "g_L"]
truth = np.array([60.0, 6.5, 0.12, 0.08])  # mS/cm²
T, dt, every = 200.0, 0.025, 8  # ms, ms, steps between samples
steps = (
    Stimulus.step(1.0, start=10.0, stop=60.0)
    + Stimulus.step(2.5, start=75.0, stop=125.0)
    + Stimulus.step(-1.0, start=140.0, stop=190.0)
)


def simulated(candidates):
    """Return the run of one neuron for each candidate, a row of conductances in mS/cm²."""
    parameters = dict(zip(names, np.transpose(candidates), strict=True))
    sim = Simulator("numba", membrane=membranes.RS, parameters=parameters)
    return sim.run(T, dt, stimulus=steps, record_every=every, initial_state="rest")


target = simulated(np.array([truth]))
noise = np.random.default_rng(0).normal(0.0, 0.5, len(target.time))  # mV
recording = target.V[:, 0] + noise

# %%
# The error
# ---------
# The mean squared difference of two spiking traces is a poor error, because two spikes that miss
# each other by a millisecond cost as much as two that are absent. Smoothing V by a Gaussian of 5 ms
# helps: spikes that are near each other then overlap. The error is the root of the mean squared
# difference of the smoothed traces, in mV, and infinite for candidates that became invalid.

kernel = np.exp(-((np.arange(-20.0, 20.1, dt * every) / 5.0) ** 2) / 2.0)
kernel /= kernel.sum()
spectrum = np.fft.rfft(kernel, len(recording), axis=0)[:, np.newaxis]


def smoothed(V):
    """Return each trace of (time, neuron) after the Gaussian; the ends wrap around."""
    return np.fft.irfft(np.fft.rfft(V, axis=0) * spectrum, len(V), axis=0)


wanted = smoothed(recording[:, np.newaxis])


def error(candidates):
    """Return the error of each candidate, mV."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*became invalid")  # the error is infinite
        run = simulated(candidates)
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.sqrt(np.mean((smoothed(run.V) - wanted) ** 2, axis=0))
    return np.where(run.valid, difference, np.inf)


# %%
# The search
# ----------
# The search runs over the logarithms of the conductances, so that all are positive and a step is a
# factor. It begins at the values of the library, which are off by up to 40 %, with a standard
# deviation of a factor of 1.5.

start = np.log([membranes.RS.parameters[name].value for name in names])
options = {"popsize": 10_000, "seed": 1, "verbose": -9, "maxiter": 12}
strategy = cma.CMAEvolutionStrategy(start, np.log(1.5), options)
best, middle = [], []
while not strategy.stop():
    logarithms = strategy.ask()
    errors = error(np.exp(logarithms))
    strategy.tell(logarithms, list(errors))
    best.append(errors.min())
    middle.append(np.exp(strategy.mean))
fitted = np.exp(strategy.result.xbest)

print("           true    start   fitted  (mS/cm²)")
for name, *values in zip(names, truth, np.exp(start), fitted, strict=True):
    print(f"{name:7}" + "".join(f"{value:9.3g}" for value in values))
print(f"error {best[-1]:.3f} mV; that of the true values {error(np.array([truth]))[0]:.3f} mV")

# %%
# The first picture shows the smallest error of each generation, and the middle of the distribution
# relative to the true values. The second compares the traces.

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
left.semilogy(best)
left.set(xlabel="generation", ylabel="smallest error (mV)")
right.plot(np.array(middle) / truth, label=names)
right.axhline(1.0, color="0.7", zorder=0)
right.set(xlabel="generation", ylabel="fitted / true")
right.legend()

figure, ax = plt.subplots(figsize=(9, 3.5), layout="constrained")
traces = simulated(np.stack([np.exp(start), fitted]))
ax.plot(target.time, recording, color="0.6", lw=2.0, label="recording")
ax.plot(target.time, traces.V[:, 0], lw=0.8, label="start")
ax.plot(target.time, traces.V[:, 1], lw=0.8, label="fitted")
ax.set(xlabel="time (ms)", ylabel="V (mV)")
ax.legend(loc="upper left")
plt.show()
