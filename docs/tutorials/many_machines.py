"""
A population on a Dask cluster
==============================

`Dask <https://docs.dask.org>`_ gives work to many machines: those of a SLURM or Kubernetes cluster,
of a cloud, or a workstation with several GPUs. ``hhplug.distributed.run`` cuts a population into
*shards*, and the workers of a Dask client compute them and write what is recorded to one store.
This page does that on one small machine, with a cluster of two workers. For another cluster only
the client changes. It needs Dask, Zarr and xarray, which ``pip install '.[distributed]'`` installs
in a checkout.

The experiment asks how many axons of a varied population fire without any stimulus.
"""

# %%
# The population
# --------------
# A large population isn't sent to the workers. Each of them makes the neurons of its shards itself,
# by a function from a slice of the neurons to the problem of these neurons. It must give a neuron
# the same values whatever the slice is. Here every neuron has a random number of its own for each
# parameter: the generator is advanced to the first neuron of the slice.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from distributed import Client

import hhplug.distributed
from hhplug import Problem

CV = 0.3  # standard deviation of each conductance over its mean


def conductance(mean, seed, neurons):
    """Return a conductance of each neuron of a slice, mS/cm², by a log-normal distribution."""
    bits = np.random.PCG64(seed)
    bits.advance(2 * neurons.start)  # two uniform numbers for each neuron
    first, second = np.random.Generator(bits).random((neurons.stop - neurons.start, 2)).T
    normal = np.sqrt(-2.0 * np.log1p(-first)) * np.cos(2.0 * np.pi * second)  # Box and Muller
    return mean * np.exp(np.sqrt(np.log1p(CV**2)) * normal)


def population(neurons: slice) -> Problem:
    return Problem(
        T=200.0,
        dt=0.02,
        parameters={
            "g_Na": conductance(120.0, 1, neurons),
            "g_K": conductance(36.0, 2, neurons),
            "g_L": conductance(0.3, 3, neurons),
        },
        batch_size=neurons.stop - neurons.start,
        record=(),
        spikes="counts",
    )


# %%
# The cluster
# -----------
# This ``Client`` starts a cluster of threads. ``Client("scheduler:8786")`` connects to one that is
# running, and dask-jobqueue's ``SLURMCluster`` starts one in a queue. All workers must reach the
# folder of the store.

client = Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=":0")
store = Path(tempfile.mkdtemp()) / "population.zarr"
hhplug.distributed.run(
    population, client, n_neurons=20_000, shard=2500, store=store, backend="numba"
)
client.close()

# %%
# A worker that dies loses what it did since its last commit, and another one goes on from there.
# The same call on a store that is complete returns at once, and on one that was broken off it
# computes what is missing.
#
# The result
# ----------
# The store is opened as one Result of all neurons, wherever they were computed.

result = hhplug.open_result(store)
print(result)
g_Na, g_K = (np.asarray(result.problem.parameters[name]) for name in ("g_Na", "g_K"))
repetitive = result.spike_count >= 5
print(f"{repetitive.mean():.1%} of the axons fire five times or more without a stimulus")

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for group, colour, label in ((~repetitive, "0.75", "rests"), (repetitive, "C3", "fires")):
    left.plot(g_Na[group][::4], g_K[group][::4], ".", ms=2, color=colour, label=label)
left.set(xlabel="g_Na (mS/cm²)", ylabel="g_K (mS/cm²)")
left.legend(markerscale=5)
right.hist(result.spike_count[repetitive], np.arange(4.5, 16.0), color="C3", rwidth=0.9)
right.set(xlabel="spikes in 200 ms", ylabel="axons")

# %%
# The axons that fire have many Na channels for their K channels. A diagram like this one with a
# billion axons takes the same code: :doc:`/scale` reckons what it costs, and shows how job arrays
# compute a store without Dask.
#
# Several GPUs of one machine
# ---------------------------
# One run on all GPUs of a machine needs no cluster. ``device="all"`` gives each of them an equal
# part of the neurons, and the result has the same bits as that of one GPU. This page is built
# without a GPU, so this part of it was run elsewhere::
#
#     sim = Simulator("pycuda", device="all")
#     amplitudes = np.linspace(0.0, 20.0, 16_000_000)  # µA/cm²
#     result = sim.run(T=10.0, stimulus=Stimulus.constant(amplitudes), record=())
#
# On two H100s, ``sim.device`` is ``2 × NVIDIA H100 80GB HBM3``, and the call takes 78 ms; with
# ``device=0`` it takes 134 ms (medians of five calls at commit e938070b, after one that compiles).
# :doc:`/guide/runs` has more such figures, and says what is left.

plt.show()
