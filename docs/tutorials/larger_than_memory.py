"""
A recording larger than memory
==============================

A thousand neurons, recorded every 0.1 ms for a minute, are 2.4 GB; a million are more than any
memory. A run can write what it records to a folder while it goes on, a *store*, whose size doesn't
change the memory that the run needs. The store can be read while most of it stays on disk, and a
run that was broken off goes on from it.

The stores of this page are small, so that it is built in seconds. What is done to them is the same
for large ones. They need Zarr and xarray, which ``pip install '.[store]'`` installs in a checkout.
"""

# %%
# A run to a store
# ----------------
# Five thousand axons receive the same sine, and each of them noise of its own. ``store=`` names the
# folder.

import signal
import tempfile
import tracemalloc
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import hhplug
from hhplug import Simulator, Stimulus

n = 5000
sine = Stimulus.sine(4.0, frequency=40.0, offset=4.0)  # µA/cm², Hz
noise = Stimulus.ornstein_uhlenbeck(mean=0.0, sigma=np.full(n, 2.0), tau=3.0, seed=1)
sim = Simulator("numba")
folder = Path(tempfile.mkdtemp())


def run(progress=None):
    return sim.run(
        T=2000.0,
        dt=0.02,
        stimulus=sine + noise,
        record_every=5,
        store=folder / "run.zarr",
        progress=progress,
    )


# %%
# Long runs are broken off: by Ctrl-C, a full disk, or the end of their time in a queue. Here the
# function that is told the progress sends Ctrl-C once, when half of the run is done.

sent = []


def impatient(fraction):
    if fraction > 0.5 and not sent:
        sent.append(fraction)
        signal.raise_signal(signal.SIGINT)


tracemalloc.start()
try:
    run(progress=impatient)
except KeyboardInterrupt as stop:
    print(str(stop).replace(str(folder), "…"))

# %%
# The same call goes on from what is committed.

result = run()
_, peak = tracemalloc.get_traced_memory()
tracemalloc.stop()

files = [file for file in (folder / "run.zarr").rglob("*") if file.is_file()]
print(result)
print(f"V: {np.prod(result.V.shape) * 4e-6:.0f} MB")
print(f"on disk: {sum(file.stat().st_size for file in files) * 1e-6:.0f} MB, with the spikes")
print(f"memory that the run took: {peak * 1e-6:.0f} MB")

# %%
# V is cut into pieces of some time and some neurons, which are compressed, and only a few pieces
# are in memory at any time. A run of an hour would need as much memory as this one.
#
# Reading a part
# --------------
# ``hhplug.open_result`` returns a Result whose samples are read when they are used. What a Result
# has works on it: spikes, firing rates, pictures. An index reads the pieces that have it.

stored = hhplug.open_result(folder / "run.zarr")
trace = stored.V[:, 1234]  # one neuron, all times
moment = stored.V[5000]  # all neurons, one time
print(f"V of one neuron: {trace.shape}, of one time: {moment.shape}")

mean, spread = np.empty((2, len(stored.time)))
for begin in range(0, len(stored.time), 1000):
    part = stored.V[begin : begin + 1000]  # 20 MB at a time
    mean[begin : begin + 1000] = part.mean(axis=1)
    spread[begin : begin + 1000] = part.std(axis=1)

shown = stored.time < 200.0  # ms
spikes = stored.spikes
few = (spikes.neuron < 100) & (spikes.time < 200.0)
figure, (top, middle, bottom) = plt.subplots(3, sharex=True, figsize=(8, 7), layout="constrained")
top.plot(stored.time[shown], trace[shown], lw=0.8)
top.set_ylabel("V of neuron 1234 (mV)")
middle.plot(spikes.time[few], spikes.neuron[few], "k|", ms=3)
middle.set_ylabel("neuron")
bottom.plot(stored.time[shown], mean[shown])
bottom.fill_between(
    stored.time[shown], (mean - spread)[shown], (mean + spread)[shown], color="C0", alpha=0.3, lw=0
)
bottom.set(xlabel="time (ms)", ylabel="V, mean ± SD\nof the population (mV)")

# %%
# The axons answer to the sine together: the mean V of the population swings with it, although the
# noise decides who fires in which cycle.
#
# The same store in xarray
# ------------------------
# A store is a Zarr group with labels and units, which programs in other languages read too.
# ``to_xarray`` opens it without reading it.

dataset = stored.to_xarray()
shown_now = dataset.V.sel(neuron=1234, time=slice(100.0, 101.0))
print(shown_now.astype("float64").round(1).to_series().to_string())

# %%
# The same bits
# -------------
# A run that was broken off ends bit for bit as one that wasn't. Nor does a neuron depend on its
# neighbours, so one of them is enough to see that: ``take`` is the problem of some of the neurons,
# and this run of neuron 1234 alone, in memory, was never broken off.

alone = hhplug.simulate(result.problem.take([1234]), "numba")
print(f"the same V: {np.array_equal(alone.V[:, 0], trace)}")
print(f"the same spikes: {np.array_equal(alone.spikes.time, spikes.time[spikes.neuron == 1234])}")

# %%
# :doc:`/scale` says when a run is committed, what a store is safe against, and how many machines
# write one store together; :doc:`the next tutorial </gallery/many_machines>` does that with Dask.

plt.show()
