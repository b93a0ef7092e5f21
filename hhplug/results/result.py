"""The Result that a run returns: its arrays, analysis, plots and files."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hhplug._version import __version__
from hhplug.checks import known_arguments
from hhplug.currents.stimulus import Stimulus
from hhplug.errors import NotRecorded
from hhplug.extras import needs_neo, needs_xarray
from hhplug.membranes.membrane import Membrane
from hhplug.membranes.parameters import ParameterValues
from hhplug.membranes.squid import squid
from hhplug.problem import Problem
from hhplug.results import analysis, channel_currents, join, plotting, storage
from hhplug.results.outcome import Outcome
from hhplug.results.spikes import Spikes
from hhplug.results.timing import Timing
from hhplug.state import State
from hhplug.validity import Invalid

if TYPE_CHECKING:
    import neo
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def counted(number: int, thing: str) -> str:
    """The number with its noun, for example "1 spike" or "2,000 spikes"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _copied(array: Any) -> NDArray[Any]:
    """A copy of a device array on the host."""
    return np.asarray(array.cpu() if hasattr(array, "cpu") else array.get())


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """The recorded data of a run, with its problem and its backend.

    `result["V"]` and `result.V` are the same (n_samples, n_recorded) array, and so are m, h, n and
    time. Other states of the membrane are read as `result["p"]`. Iterating yields the names of the
    recorded variables. Reading what the run didn't keep raises NotRecorded. The sample of step k is
    the state at t = k·dt, the start of the step.

    >>> from hhplug import Simulator, Stimulus
    >>> current = Stimulus.constant([0.0, 8.0, 16.0])  # µA/cm²
    >>> result = Simulator("numpy").run(T=60.0, dt=0.05, stimulus=current)
    >>> result["V"].shape, result.final_state.shape
    ((1200, 3), (4, 3))
    >>> result.spikes.neuron
    array([1, 1, 1, 1, 2, 2, 2, 2, 2])
    >>> result.spikes.time.round(1)  # ms
    array([ 2.2, 18.4, 34.4, 50.4,  1.4, 14.3, 26.8, 39.2, 51.7])
    """

    problem: Problem
    """All inputs of the run, which `simulate` runs again."""

    backend: str
    """Name of the backend, for example "numba"."""

    backend_version: str
    """Version of the distribution that has the backend."""

    device: str
    """Name of the device that computed the run."""

    timing: Timing
    """Wall-clock times, s.

    `prepare` is everything before the first step, such as compiling and uploading, `run` the steps
    and the copies of the samples to the host, and `total` all of it.
    """

    written: datetime
    """When the run ended, UTC."""

    outcome: Outcome
    """The samples, spikes and invalid neurons, where None is what the run didn't keep."""

    final: State
    """The state after the last step, with what a backend keeps besides the variables."""

    noise_from: str = ""
    """Who computed the noise, "backend" or "core"; empty in a run without noise."""

    @property
    def samples(self) -> Mapping[str, Any]:
        """The recorded variables, name → array (n_samples, n_recorded).

        These are NumPy arrays, arrays on the backend's device, or arrays that are read from files
        when they are used.
        """
        return self.outcome.samples

    @property
    def time(self) -> NDArray[np.float64]:
        """Time of each sample, ms, counted from step 0: (n_samples,)."""
        steps = self.problem.sample_steps(self.problem.start_step, self.problem.n_steps)
        return np.arange(steps.start, steps.stop, steps.step, dtype=np.float64) * self.problem.dt

    @property
    def V(self) -> NDArray[Any]:
        """Membrane potential, mV: (n_samples, n_recorded)."""
        return self["V"]

    @property
    def m(self) -> NDArray[Any]:
        """Na activation gate: (n_samples, n_recorded)."""
        return self._gate("m")

    @property
    def h(self) -> NDArray[Any]:
        """Na inactivation gate: (n_samples, n_recorded)."""
        return self._gate("h")

    @property
    def n(self) -> NDArray[Any]:
        """K activation gate: (n_samples, n_recorded)."""
        return self._gate("n")

    def _gate(self, name: str) -> NDArray[Any]:
        if name not in self.membrane.states:
            raise AttributeError(f"membrane {self.membrane.name} has no state {name!r}")
        return self[name]

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name == "time":
            return self.time
        if name in self.samples:
            return self.samples[name]
        if name in self.membrane.states:
            kept = ", ".join(self.samples) or "nothing"
            wanted = (*self.samples, name)
            raise NotRecorded(f"{name} was not recorded ({kept} was); run with record={wanted}")
        states = ", ".join(self.membrane.states)
        raise KeyError(f"unknown variable {name!r}; choose from time, {states}")

    def __contains__(self, name: object) -> bool:
        return name == "time" or name in self.samples

    def __iter__(self) -> Iterator[str]:
        return iter(self.samples)

    @property
    def neurons(self) -> NDArray[np.int64]:
        """Index of the neuron in each recorded column: (n_recorded,)."""
        return self.problem.neurons

    @property
    def spikes(self) -> Spikes:
        """Spikes of all neurons, recorded or not, sorted by neuron, then time (ms).

        Raises NotRecorded unless the run had spikes="times".
        """
        if self.outcome.spikes is None:
            raise NotRecorded(
                f"spike times were not kept: the run had spikes={self.problem.spikes!r}"
            )
        return self.outcome.spikes

    @property
    def spike_count(self) -> NDArray[np.int64]:
        """Number of spikes of each neuron: (n,). Raises NotRecorded if the run had spikes="off"."""
        if self.outcome.spike_count is None:
            raise NotRecorded("spikes were not counted: the run had spikes='off'")
        return self.outcome.spike_count

    @property
    def features(self) -> Mapping[str, NDArray[np.float64]]:
        """The features that the run computed, name → (n,); NaN for a neuron that has none.

        Every feature of an invalid neuron is NaN. Raises NotRecorded if the run had no features.
        """
        if not self.problem.features:
            raise NotRecorded('no features were computed; run with features=("spike_count", …)')
        return self.outcome.features

    @property
    def final_state(self) -> NDArray[Any]:
        """The states after the last step, in the order of `membrane.states`: (n_states, n)."""
        return self.final.variables

    @property
    def invalid(self) -> Invalid:
        """The neurons that became invalid, and the first step at which each was."""
        return self.outcome.invalid

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Whether each neuron's values can be trusted to the end: (n,)."""
        return self.invalid.valid(self.problem.n_neurons)

    @property
    def first_invalid_step(self) -> NDArray[np.int64]:
        """The step from which on each neuron's values mean nothing, −1 if there is none: (n,).

        It is the first at which the state isn't finite, or at which the open conductances over
        C_m, times dt, exceed 2.785, the stability limit of RK4; method="stiff" has no limit. A
        resumed run keeps the steps of the run before.
        """
        return self.invalid.first_steps(self.problem.n_neurons)

    @property
    def next_step(self) -> int:
        """The start_step of a run that continues from final_state."""
        return self.problem.end_step

    @property
    def dtype(self) -> str:
        """Precision of the run, "float32" or "float64"."""
        return str(self.problem.dtype)

    @property
    def membrane(self) -> Membrane:
        """The membrane of the run."""
        return self.problem.membrane

    @property
    def parameters(self) -> ParameterValues:
        """The values of the membrane's parameters in the run."""
        return self.problem.parameters

    @property
    def stimulus(self) -> Stimulus | NDArray[Any]:
        """The stimulus as it was given, a Stimulus or an array in µA/cm²."""
        return self.problem.stimulus

    @property
    def neuron_steps_per_second(self) -> float:
        """Neurons times steps per second, without the time before the first step."""
        return self.problem.n_neurons * self.problem.n_steps / self.timing.run

    def __repr__(self) -> str:
        problem, counts = self.problem, self.outcome.spike_count
        spikes = "" if counts is None else f", {counted(counts.sum(), 'spike')}"
        recorded = ", ".join(f"{k} {v.shape}" for k, v in self.samples.items()) or "no variable"
        noise = f", noise by the {self.noise_from}" if self.noise_from else ""
        kind = "" if self.membrane is squid else f" of {self.membrane.name}"
        neurons = counted(problem.n_neurons, "neuron")
        steps = counted(problem.n_steps, "step")
        return (
            f"<hhplug.Result: {neurons}{kind}, {problem.T:g} ms in {steps} of {problem.dt:g} ms, "
            f"{self.backend} {self.dtype} on {self.device}, {self.timing.run:.3g} s; "
            f"{recorded}{spikes}{noise}>"
        )

    def on_host(self) -> "Result":
        """The same result with NumPy arrays, copied from the device if the run left them there."""
        if not self.problem.device_arrays:
            return self
        problem = self.problem.with_device_arrays(False)
        samples = {name: _copied(array) for name, array in self.samples.items()}
        return replace(self, problem=problem, outcome=self.outcome._replace(samples=samples))

    @staticmethod
    def join(parts: "Iterable[Result]") -> "Result":
        """Join the results of the parts of a population into the result of the whole.

        Each part is the result of a problem that `Problem.take` returned. Together the parts have
        every neuron once, in any order. The result equals that of one run, bit for bit.

        Raises InvalidInput for parts of different runs, and if a neuron is missing or doubled.

        >>> import numpy as np
        >>> from hhplug import Problem, Result, simulate
        >>> problem = Problem(T=5.0, parameters={"g_Na": [90.0, 120.0, 150.0]})
        >>> parts = [simulate(problem.take(one), "numpy") for one in (slice(0, 1), slice(1, 3))]
        >>> np.array_equal(Result.join(parts).V, simulate(problem, "numpy").V)
        True
        """
        return join.join(parts)

    @known_arguments
    def firing_rate(
        self, start: float | None = None, stop: float | None = None, method: str = "isi"
    ) -> NDArray[np.float64]:
        """Firing rate of each neuron in a window of time, Hz: (n,).

        start, stop: ms. By default the window is the second half of the time from the first to the
            last step in which the stimulus isn't zero, so that the neurons have settled. If a run
            has no stimulus, it is the second half of the run. If one end is given, the other is
            the stimulus's first or last nonzero step.
        method: "isi" is (k − 1) / (last − first) for the k spikes in the window. It is 0 without a
            spike, and NaN for a single one, which has no interval; a RuntimeWarning says how many
            neurons have one. "count" is the number of spikes divided by the window's length. It is
            the only method of a run with spikes="counts", for the whole run.

        An invalid neuron has the rate NaN. Raises NotRecorded if spikes or their times weren't
        kept, InvalidInput for a window outside the run.

        >>> from hhplug import Simulator, Stimulus
        >>> current = Stimulus.constant([0.0, 8.0, 16.0])  # µA/cm²
        >>> result = Simulator("numpy").run(T=60.0, dt=0.05, stimulus=current)
        >>> result.firing_rate(start=20.0, stop=60.0).round(1)  # Hz
        array([ 0. , 62.5, 80.3])
        """
        return analysis.firing_rate(self, start, stop, method)

    @known_arguments
    def drive(self, start: float | None = None, stop: float | None = None) -> NDArray[np.float64]:
        """Mean current into each neuron, all terms of the stimulus, µA/cm²: (n,).

        The window is that of `firing_rate`, for spikes="counts" the whole run. Raises
        InvalidInput for a window outside the run.

        >>> from hhplug import Simulator, Stimulus
        >>> ramp = Stimulus.ramp(0.0, 10.0, start=0.0, stop=20.0)
        >>> Simulator("numpy").run(T=20.0, stimulus=ramp).drive(start=0.0, stop=20.0)
        array([5.])
        """
        return analysis.mean_current(self.problem, *analysis.window(self.problem, start, stop))

    @known_arguments
    def fi_curve(
        self, start: float | None = None, stop: float | None = None, method: str = "isi"
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean current (µA/cm²) and firing rate (Hz) of each neuron, by rising current: 2 × (n,).

        Both are computed for one window. Arguments and errors are those of `firing_rate`.

        >>> from hhplug import Simulator, Stimulus
        >>> current = Stimulus.constant([0.0, 8.0, 16.0])  # µA/cm²
        >>> result = Simulator("numpy").run(T=60.0, dt=0.05, stimulus=current)
        >>> drive, rate = result.fi_curve(start=20.0, stop=60.0)
        >>> drive, rate.round(1)  # µA/cm², Hz
        (array([ 0.,  8., 16.]), array([ 0. , 62.5, 80.3]))
        """
        return analysis.fi_curve(self, start, stop, method)

    @overload
    def currents(self, channel: str) -> NDArray[np.float64]: ...
    @overload
    def currents(self, channel: None = None) -> dict[str, NDArray[np.float64]]: ...
    def currents(
        self, channel: str | None = None
    ) -> NDArray[np.float64] | dict[str, NDArray[np.float64]]:
        """Current through a channel at each sample, µA/cm²: (n_samples, n_recorded).

        It is positive outward. Without an argument the result is a dict with every channel's.

        A channel's current is computed from V, the channel's gates and the pools on which it
        depends. Raises NotRecorded, which names those that the run didn't record, and InvalidInput
        for a channel that the membrane doesn't have.

        >>> from hhplug import Simulator
        >>> result = Simulator("numpy", dtype="float64").run(T=1.0, record_all=True)
        >>> {name: current[0].round(2).tolist() for name, current in result.currents().items()}
        {'Na': [-1.22], 'K': [4.4], 'L': [-3.18]}
        """
        found = channel_currents.currents(self, channel)
        return found if channel is None else found[channel]

    @known_arguments
    def plot(self, neurons: "ArrayLike | None" = None) -> "Figure":
        """Return a figure of the recorded data.

        neurons: indices of the neurons to show, by default all.

        A single neuron is shown as its current above its V. For several neurons the figure has
        their currents if these change, V of a few of them, and a spike raster, all on one time
        axis. The F-I curve of `firing_rate` is beside the raster; if all mean currents are equal
        and the rates differ, it is a histogram of the rates. If a run has too many
        spikes to tell them apart, only the end of the stimulus is shown.

        Raises InvalidInput if neurons aren't indices or there is nothing to plot, NotRecorded for
        a neuron without V, and MissingExtra if matplotlib isn't installed.

        >>> from hhplug import Simulator, Stimulus
        >>> current = Stimulus.constant([5.0, 10.0])  # µA/cm²
        >>> result = Simulator("numpy").run(T=50.0, dt=0.05, stimulus=current)
        >>> result.plot().savefig("run.png")
        """
        return plotting.plot(self.on_host(), neurons)

    @known_arguments
    def plot_traces(self, neurons: "ArrayLike | None" = None, ax: "Axes | None" = None) -> "Axes":
        """Draw V of the neurons and return the axes.

        neurons: indices, by default of at most five neurons that were recorded.
        ax: the matplotlib axes to draw on, by default those of a new figure, `ax.figure`.

        Raises NotRecorded for a neuron without V, and the other errors of `plot`.
        """
        return plotting.plot_traces(self.on_host(), neurons, ax)

    @known_arguments
    def plot_raster(self, neurons: "ArrayLike | None" = None, ax: "Axes | None" = None) -> "Axes":
        """Draw the spikes of the neurons, a row for each, and return the axes.

        neurons: indices, by default all. Of more than 2,000, only 2,000 evenly spread are drawn.
        ax: as for `plot_traces`.

        Raises NotRecorded if spike times weren't kept, and the other errors of `plot`.
        """
        return plotting.plot_raster(self, neurons, ax)

    @known_arguments
    def plot_fi(
        self,
        start: float | None = None,
        stop: float | None = None,
        method: str | None = None,
        ax: "Axes | None" = None,
    ) -> "Axes":
        """Draw the firing rate (Hz) against the mean current (µA/cm²) and return the axes.

        Each neuron that has a rate is a point. Of more than 2,000, only 2,000 are drawn.

        start, stop, method: as for `firing_rate`, but the default method for spikes="counts" is
            "count".
        ax: as for `plot_traces`.
        """
        return plotting.plot_fi(self, start, stop, method, ax)

    def to_xarray(self) -> "xarray.Dataset":
        """A Dataset with dimensions time and neuron, and units as attributes.

        Its variables are those recorded, and I_ext, the current at each sample. I_ext is a view of
        an array stimulus; for another stimulus it is computed when it is read. The parameters, the
        amplitudes of the stimulus, its times per neuron and its seeds, the mean current `drive` and
        `valid` are coordinates. The spikes have a Dataset of their own,
        `result.spikes.to_xarray()`. If no variable was recorded, the Dataset has no dimension time,
        and spike_count is its variable.

        Raises MissingExtra if xarray isn't installed.

        >>> from hhplug import Simulator
        >>> dataset = Simulator("numpy", parameters={"g_Na": [90.0, 120.0]}).run(T=1.0).to_xarray()
        >>> dict(dataset.V.sizes), dataset.V.units, dataset.g_Na.values
        ({'time': 100, 'neuron': 2}, 'mV', array([ 90., 120.]))
        """
        with needs_xarray():
            from hhplug.results import dataset
        return dataset.of_result(self)

    def to_neo(self) -> "neo.Block":
        """A Block of Neo with one Segment: an AnalogSignal for each variable, and SpikeTrains.

        The signals have units, and the neurons' indices as array annotations. There is a SpikeTrain
        (ms) for each neuron, recorded or not, if spike times were kept. What is on disk is read.

        Raises MissingExtra if Neo isn't installed.
        """
        with needs_neo():
            from hhplug.results import neo_block
        return neo_block.block_of(self)

    @known_arguments
    def save(self, path: str | Path) -> None:
        """Write the result to an .npz file: its arrays, its problem and its backend's name.

        An existing file is replaced when the new one is complete. If the disk is full or the
        process is killed, it stays as it was. Raises OSError if the file can't be written.

        >>> from hhplug import Simulator, load_result
        >>> Simulator("numpy").run(T=1.0).save("run.npz")
        >>> load_result("run.npz").V.shape
        (100, 1)
        """
        storage.write(self, path)

    def origin(self) -> dict[str, str]:
        """Names and versions of the backend, device, precision and hhplug that computed it."""
        return {
            "backend": self.backend,
            "backend_version": self.backend_version,
            "device": self.device,
            "dtype": self.dtype,
            "hhplug": __version__,
        }
