"""
A sweep of two parameters in xarray
===================================

A sweep is most useful when each value keeps its labels. ``result.to_xarray()`` returns a Dataset
with the dimensions time and neuron, the parameters and currents as coordinates, and units as
attributes. This tutorial sweeps the density of Na channels and the current, and unstacks the
neurons into a grid. It needs xarray, which ``pip install '.[xarray]'`` installs in a checkout.
"""

# %%
# The sweep
# ---------
# A population is a list of neurons, so a grid is written out as two long arrays. The Dataset of a
# run without recorded variables has the spike counts, which take little memory.

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

from hhplug import Simulator, Stimulus

g_Na = np.linspace(60.0, 240.0, 46)  # mS/cm²
current = np.linspace(0.0, 40.0, 81)  # µA/cm²
g, I = (values.ravel() for values in np.meshgrid(g_Na, current, indexing="ij"))  # noqa: E741

sim = Simulator("numba", dtype="float64", parameters={"g_Na": g})
result = sim.run(T=300.0, dt=0.02, stimulus=Stimulus.constant(I), record=())
dataset = result.to_xarray()
dataset

# %%
# From a list to a grid
# ---------------------
# Add the firing rate of the settled neurons, and use the two swept values as the index of the
# neurons. ``unstack`` then makes the grid.

hertz = {"long_name": "firing rate", "units": "Hz"}
rate = xr.DataArray(result.firing_rate(), dims="neuron", attrs=hertz)
labelled = dataset.assign(rate=rate, valid=("neuron", result.valid)).assign_coords(
    g_Na=("neuron", g, {"long_name": "Na conductance", "units": "mS/cm²"}),
    current=("neuron", I, {"long_name": "current", "units": "µA/cm²"}),
)
grid = labelled.set_index(neuron=["g_Na", "current"]).unstack("neuron")
grid["rate"].attrs = hertz
print(dict(grid["rate"].sizes))

# %%
# xarray labels the axes of a picture by itself. With few Na channels the axon fires a few times at
# most. With more of them it needs less current, and with very many it fires without any.

figure, ax = plt.subplots(layout="constrained")
grid["rate"].plot(x="current", y="g_Na", ax=ax)
ax.set_title("")

# %%
# Questions to the grid
# ---------------------
# The rheobase is the lowest current at which an axon fires repeatedly, for each density.

firing = grid["rate"] > 0.0
rheobase = grid["current"].where(firing).min("current")
for density in (80.0, 120.0, 160.0, 200.0):
    lowest = float(rheobase.sel(g_Na=density, method="nearest"))
    answer = "never fires" if np.isnan(lowest) else f"fires from {lowest:.1f} µA/cm² on"
    print(f"g_Na {density:.0f} mS/cm²: {answer}")

figure, ax = plt.subplots(layout="constrained")
for density in (80.0, 120.0, 160.0, 200.0):
    grid["rate"].sel(g_Na=density, method="nearest").plot(ax=ax, label=f"{density:.0f} mS/cm²")
ax.set_title("F-I curves by density of Na channels")
ax.legend()

# %%
# A Dataset is saved with ``grid.to_netcdf(path)`` or ``grid.to_zarr(path)``, and ``result.save``
# keeps the run itself, so that it can be repeated.

plt.show()
