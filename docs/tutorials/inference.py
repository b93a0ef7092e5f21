"""
Simulation-based inference of conductances
==========================================

A fit answers with one set of conductances. But several sets may explain a recording equally well
(Prinz, Bucher & Marder, *Nat. Neurosci.* 7 (2004), 1345–1352), and noise hides small differences.
Simulation-based inference answers with all of them: with a *posterior*, the probability of each
set of conductances given what was measured. It needs no formula for that probability, only
simulations: it draws parameters from a prior, simulates each draw, and trains a neural network to
tell from the features of a simulation how probable each set of parameters is (Gonçalves et al.,
*eLife* 9 (2020), e56261).

The network and its training are those of the package `sbi <https://sbi.readthedocs.io>`_, which
``pip install sbi`` installs together with PyTorch. ``FeatureSimulator`` is the simulator that it
asks for: a function that takes a tensor of parameters and returns a tensor of features.
"""

# %%
# The simulator
# -------------
# The neuron is the cortical neuron RS under a step of current, and its own noise makes each
# simulation different. Six features describe the train and its action potentials, and no trace is
# kept.

import warnings

import matplotlib.pyplot as plt
import numpy as np
import torch
from sbi.inference import NPE
from sbi.utils import BoxUniform

from hhplug import FeatureSimulator, Simulator, Stimulus, membranes

names = ("g_Na", "g_K", "g_M", "g_L")
features = ("spike_count", "V_mean", "V_std", "ap_amplitude", "ap_width", "ahp_depth")
noise = Stimulus.ornstein_uhlenbeck(mean=0.0, sigma=0.3, tau=2.0, seed=1)  # µA/cm², ms
neuron = Simulator("numba", membrane=membranes.RS)
firing = FeatureSimulator(
    neuron,
    names,
    T=320.0,
    features=features,
    stimulus=Stimulus.step(2.5, start=20.0, stop=320.0) + noise,
    window=(20.0, 320.0),
)

# %%
# The prior is uniform in a box around the values of the library. Three thousand draws from it are
# one population. The neurons without an action potential have NaN for its features, and are left
# out. That does no harm, since none of them could be the neuron that was measured.

low, high = torch.tensor([30.0, 3.0, 0.03, 0.04]), torch.tensor([90.0, 9.0, 0.2, 0.15])  # mS/cm²
prior = BoxUniform(low, high)
torch.manual_seed(0)
torch.set_num_threads(1)  # the networks are small
draws = prior.sample((3000,))
simulated = firing(draws)
fires = torch.isfinite(simulated).all(dim=1)
print(f"features of the draws: {tuple(simulated.shape)}; {int(fires.sum())} of the neurons fire")

# %%
# The measurement is one more simulation, so that the answer is known.

truth = torch.tensor([60.0, 6.5, 0.12, 0.08])  # mS/cm²
measured = firing(truth)
for name, value in zip(features, measured, strict=True):
    print(f"{name:13} {value:7.2f}")

# %%
# The posterior
# -------------
# The network is a masked autoregressive flow, the default of ``sbi``. This page takes few draws and
# a short training, so that the site is built quickly; the last section shows what that costs.


def learned(features_of_draws):
    """Return the posterior that a network learns from the draws that fire."""
    inference = NPE(prior, show_progress_bars=False)
    inference.append_simulations(draws[fires], features_of_draws[fires])
    inference.train(training_batch_size=200, learning_rate=2e-3, stop_after_epochs=15)
    return inference.build_posterior()


posterior = learned(simulated)

# %%
# Samples of the posterior are sets of conductances that could have given the measurement.


def sampled(posterior, measured):
    """Return 2,000 samples, and print the mean and the standard deviation of each conductance."""
    samples = posterior.sample((2000,), x=measured, show_progress_bars=False)
    print("       true   posterior (mS/cm²)")
    mean, deviation = samples.mean(dim=0), samples.std(dim=0)
    for i, name in enumerate(names):
        print(f"{name:5} {truth[i]:5.2f}   {mean[i]:6.3f} ± {deviation[i]:.3f}")
    return samples.numpy()


first = sampled(posterior, measured)
print(f"correlation of g_M and g_L: {np.corrcoef(first[:, 2], first[:, 3])[0, 1]:.2f}")

# %%
# g_Na and g_K are known to a few percent. g_M and g_L are not, and the correlation says why: more M
# current and less leak give the same train. A fit would have returned one point of this ridge, and
# nothing would have told that it is one of many.
#
# An experiment that tells them apart
# -----------------------------------
# The posterior suggests the next experiment. The channels of the M current are shut below −60 mV,
# so a current that holds the neuron below rest measures the leak alone. A second simulator of the
# same draws adds the mean V at −1 µA/cm², and the network learns from seven features.

holding = FeatureSimulator(
    neuron,
    names,
    T=200.0,
    features=("V_mean",),
    stimulus=Stimulus.constant(-1.0) + noise,
    window=(100.0, 200.0),
)
both = learned(torch.cat([simulated, holding(draws)], dim=1))

# %%
measured_twice = torch.cat([measured, holding(truth)])
second = sampled(both, measured_twice)

figure, axes = plt.subplots(4, 4, figsize=(8, 8), sharex="col", layout="constrained")
for (row, column), ax in np.ndenumerate(axes):
    if column > row:
        ax.axis("off")
        continue
    for samples, colour in ((first, "C0"), (second, "C1")):
        if row == column:
            ax.hist(samples[:, row], 30, density=True, histtype="step", color=colour)
        else:
            ax.plot(samples[::4, column], samples[::4, row], ".", ms=1.5, color=colour)
    ax.locator_params(nbins=2)
    ax.tick_params(labelsize="small")
    if row == column:
        ax.axvline(truth[row], color="k", lw=0.8)
        ax.set_yticks([])
    else:
        ax.plot(truth[column], truth[row], "k+", ms=9)
    if column == 0 and row > 0:
        ax.set_ylabel(f"{names[row]} (mS/cm²)")
    if row == 3:
        ax.set_xlabel(f"{names[column]} (mS/cm²)")
for label, colour in (("the train", "C0"), ("the train and a holding current", "C1")):
    axes[0, 3].plot([], [], color=colour, label=label)
axes[0, 3].legend(title="posterior from", loc="upper right")

# %%
# Can the posterior be trusted?
# -----------------------------
# Two checks. First, a posterior's samples, simulated, must look like the measurement. Here are the
# traces of eight of them, with the noise that each simulation draws anew.

n = 8
values = dict(zip(names, np.vstack([truth, second[:n]]).T, strict=True))
drawn = Stimulus.ornstein_uhlenbeck(mean=0.0, sigma=np.full(n + 1, 0.3), tau=2.0, seed=7)
traces = Simulator("numba", membrane=membranes.RS, parameters=values).run(
    T=320.0, dt=0.025, stimulus=Stimulus.step(2.5, start=20.0, stop=320.0) + drawn, record_every=4
)
figure, (top, bottom) = plt.subplots(2, sharex=True, figsize=(8, 5), layout="constrained")
top.plot(traces.time, traces.V[:, 0], color="k", lw=0.8)
top.set(title="the true conductances", ylabel="V (mV)")
bottom.plot(traces.time, traces.V[:, 1:], color="C1", lw=0.5)
bottom.set(title=f"{n} samples of the posterior", xlabel="time (ms)", ylabel="V (mV)")

# %%
# Second, the truth must lie within the posterior's intervals as often as they say. New draws from
# the prior are simulated, and each conductance should lie within its central 80 % interval in 80 %
# of them.

others = prior.sample((300,))
theirs = torch.cat([firing(others), holding(others)], dim=1)
firing_ones = torch.isfinite(theirs).all(dim=1)
others, theirs = others[firing_ones], theirs[firing_ones]
with warnings.catch_warnings():
    # Where most samples lie outside the prior, drawing them again takes hours. sbi warns of it.
    warnings.filterwarnings("ignore", message=".*lie outside the prior")
    found = both.sample_batched(
        (200,),
        x=theirs,
        show_progress_bars=False,
        max_sampling_batch_size=200,
        reject_outside_prior=False,
    )  # (samples, draws, names)
lower, upper = torch.quantile(found, torch.tensor([0.1, 0.9]), dim=0)
inside = ((lower < others) & (others < upper)).float().mean(dim=0)
for name, share in zip(names, inside, strict=True):
    print(f"{name:5} within its 80 % interval in {share:.0%} of {len(others)} neurons")

# %%
# Some samples lie outside the prior; they are counted as they are. With some 250 neurons, chance
# alone moves such a share by 5 points either way. A share above that means intervals that are wider
# than they need be: the network has not learned all that the features tell. A share below it would
# mean that the posterior claims too much. More draws and a longer training help against both.

plt.show()
