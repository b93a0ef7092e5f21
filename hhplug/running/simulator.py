"""The Simulator, which runs simulations on one backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from numpy.typing import ArrayLike, DTypeLike

from hhplug.arguments import checked_dtype, checked_membrane, checked_method
from hhplug.checks import known_arguments
from hhplug.currents.stimulus import Stimulus
from hhplug.membranes.membrane import Membrane
from hhplug.membranes.parameters import Given, checked_parameters
from hhplug.plugins import choice
from hhplug.problem import Method, Problem, Resumable, SpikeMode
from hhplug.results.result import Result
from hhplug.running.progress import Progress
from hhplug.running.simulate import run_anywhere
from hhplug.running.workspace import Workspace


class Simulator:
    """Runs simulations with one backend, precision, membrane, its parameters, and one method.

    backend: a name from `hhplug backends`, or "auto" for the fastest that is available here.
    dtype: "float32" or "float64"; None is float32 if the backend has it.
    parameters: a mapping of names to values, each a number for all neurons or an (n,) array; those
        that are left out have the membrane's defaults. Or an HHParameters, for the squid membrane.
        The arrays are copied.
    device: for backends on GPUs, the index of one; or a list of indices, or "all", and each of
        these GPUs computes an equal part of the neurons. The result has the same bits as that of
        one, and `device_arrays` is refused.
    membrane: a Membrane, by default the squid's.
    method: "rk4", the classic Runge-Kutta method; or "stiff", which is also of fourth order, costs
        more at the same dt, and is stable at every dt, for large conductances.

    Raises InvalidInput for an unknown backend, dtype or method, for impossible parameters, for a
    membrane, a method or devices that the backend doesn't have, and for devices of different kinds;
    and BackendUnavailable for a backend that cannot run here.

    >>> from hhplug import Simulator, Stimulus
    >>> sim = Simulator("numpy", parameters={"g_Na": [90.0, 120.0, 150.0]})  # mS/cm²
    >>> sim.run(T=30.0, stimulus=Stimulus.constant(10.0)).spike_count
    array([1, 2, 3])
    """

    @known_arguments
    def __init__(
        self,
        backend: str = "auto",
        dtype: DTypeLike | None = None,
        parameters: Given = None,
        device: choice.Devices = None,
        membrane: Membrane | None = None,
        method: Method = "rk4",
    ):
        self.dtype = checked_dtype(dtype)
        self.membrane = checked_membrane(membrane)
        self.parameters = checked_parameters(parameters, self.membrane)
        self.method: Method = checked_method(method)
        self._opened = choice.choose(backend, self.dtype, device, self.membrane, self.method)
        self._workspace = Workspace(self._opened.backend.result_memory)
        self._device = choice.checked_device(device)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the arguments alone, since another process must open the backend for itself."""
        return type(self), (
            self.backend,
            self.dtype,
            self.parameters,
            self._device,
            self.membrane,
            self.method,
        )

    def with_parameters(self, parameters: Mapping[str, ArrayLike]) -> Simulator:
        """A Simulator on the same opened backend, some of whose parameters have other values.

        Raises InvalidInput for a name that the membrane doesn't have and for impossible values.

        >>> sim = Simulator("numpy", parameters={"g_Na": 100.0})
        >>> other = sim.with_parameters({"g_K": [30.0, 40.0]})
        >>> other.parameters["g_Na"], other.parameters["g_K"]
        (100.0, array([30., 40.]))
        """
        values: dict[str, Any] = {**self.parameters, **parameters}
        checked = checked_parameters(values, self.membrane)
        other = object.__new__(type(self))  # copy.copy would open the backend once more
        other.__dict__.update(self.__dict__, parameters=checked)
        return other

    @property
    def backend(self) -> str:
        """Name of the backend, for example "numba"."""
        return self._opened.entry.name

    @property
    def device(self) -> str:
        """Name of the device that runs the simulation, for example "NVIDIA H100 80GB HBM3".

        That of several begins with their number, "2 × NVIDIA H100 80GB HBM3".
        """
        return self._opened.backend.device

    def release_memory(self) -> None:
        """Return to the system what is kept for the next run.

        That is the memory of deleted results, and on a GPU that of the last run.
        """
        self._workspace.result_memory.release()
        self._opened.backend.release_memory()

    def __repr__(self) -> str:
        return (
            f"Simulator(backend={self.backend!r}, dtype={self.dtype!r}, "
            f"membrane={self.membrane.name}, method={self.method!r}, "
            f"parameters={self.parameters!r})  # on {self.device}"
        )

    @known_arguments
    def run(
        self,
        T: float,
        dt: float = 0.01,
        batch_size: int | None = None,
        stimulus: Stimulus | ArrayLike | None = None,
        record: Sequence[str] = ("V",),
        record_all: bool = False,
        record_every: int = 1,
        record_neurons: ArrayLike | None = None,
        spikes: SpikeMode = "times",
        spike_threshold: float = 0.0,
        initial_state: ArrayLike | Literal["rest"] | None = None,
        start_step: int | None = None,
        progress: Progress = None,
        device_arrays: bool = False,
        resume: Resumable | None = None,
        store: str | Path | None = None,
        features: Sequence[str] = (),
        window: tuple[float, float] | None = None,
    ) -> Result:
        """Simulate T ms in steps of dt ms and return the Result.

        batch_size: number of neurons n. It may be left out if an array has n values.
        stimulus: a Stimulus, or an array (n_steps,) or (n_steps, n) in µA/cm²; None for no current.
            An array isn't copied: if it is changed later, it changes in the results that hold it.
        record: variables to record, of the membrane's states: V (mV), gates such as m, h, n, and
            pools (mM); () for spikes alone.
        record_all: record all states.
        record_every: record the steps that are a multiple of this.
        record_neurons: indices of the neurons to record, in the order of the result's columns.
        spikes: "times", "counts" or "off".
        spike_threshold: mV; a spike is an upward crossing.
        initial_state: the states in the order of `membrane.states`, V, m, h, n for the squid, in
            shape (n_states, n), (n_states, 1) or (n_states,); or "rest" for the resting state of
            these parameters; by default −65 mV with the gates in steady state and pools at rest. A
            neuron whose state is NaN or infinite is accepted with a warning.
        start_step: number of the run's first step, which begins at start_step·dt; 0 by default.
        progress: True for a bar, or a function of the fraction done.
        device_arrays: leave the recorded variables on the GPU, where CuPy or PyTorch can use them
            without a copy; `get()` copies one to the host.
        resume: a Result that this run continues: it begins with that final state, at that time.
            Two such runs one after the other equal one long run bit for bit. An array stimulus
            has the rows of this run alone.
        store: a folder to which everything recorded is written while the run goes on, in the
            format Zarr. The memory needed doesn't grow with the run. If the folder has a part of
            the same run, the run goes on from its last commit, on the same backend and kind of
            device. The result reads samples and spikes when they are used.
        features: names of features to compute while the run goes on, such as "spike_count",
            "isi_cv" or "V_mean", or "all", which `result.features` has; traces needn't be recorded
            for them.
        window: (start, stop) in ms, of the features; by default the whole run. A run that resumes
            one with the same features and window goes on with them.

        Raises InvalidInput, which names the argument, and NotEnoughMemory if the recorded variables
        don't fit. Both are raised before anything is allocated. Ctrl-C raises Interrupted, which
        has a Result of the steps done. With a store, it has the steps that are committed. Then the
        errors are also MissingExtra if Zarr isn't installed, and OSError if a file can't be
        written; what is committed stays.

        >>> from hhplug import Simulator, Stimulus
        >>> step = Stimulus.step([0.0, 10.0], start=5.0, stop=45.0)  # µA/cm², ms
        >>> result = Simulator("numpy").run(T=50.0, dt=0.02, stimulus=step, record_every=10)
        >>> result.V.shape
        (250, 2)
        >>> result.spikes.time.round(1)
        array([ 6.9, 21.8, 36.5])
        """
        problem = Problem(
            T=T,
            dt=dt,
            batch_size=batch_size,
            stimulus=stimulus,
            membrane=self.membrane,
            method=self.method,
            parameters=self.parameters,
            dtype=self.dtype,
            record=record,
            record_all=record_all,
            record_every=record_every,
            record_neurons=record_neurons,
            spikes=spikes,
            spike_threshold=spike_threshold,
            initial_state=initial_state,
            start_step=start_step,
            device_arrays=device_arrays,
            resume=resume,
            features=features,
            window=window,
        )
        return run_anywhere(problem, self._opened, self._workspace, progress, store)
