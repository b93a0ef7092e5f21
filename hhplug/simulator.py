"""The notebook's front door."""

from collections.abc import Sequence
from typing import Literal

from numpy.typing import ArrayLike, DTypeLike

from hhplug import registry
from hhplug.checks import known_arguments
from hhplug.model import HHParameters
from hhplug.problem import Problem, Resumable, SpikeMode, checked_dtype
from hhplug.progress import Progress
from hhplug.result import Result
from hhplug.simulate import simulate
from hhplug.stimulus import Stimulus


class Simulator:
    """A backend, a precision and a membrane, ready for runs.

    backend: a name from `hhplug backends`, or "auto" for the fastest that is available here.
    dtype: "float32" or "float64"; None takes float32 where the backend has it.
    parameters: each a number for all neurons or an (n,) array.
    device: index of the device, for backends that have several.

    Raises InvalidInput for an unknown backend or dtype, BackendUnavailable for a backend that
    cannot run here.
    """

    @known_arguments
    def __init__(
        self,
        backend: str = "auto",
        dtype: DTypeLike | None = None,
        parameters: HHParameters | None = None,
        device: int | None = None,
    ):
        self.dtype = checked_dtype(dtype)
        self.parameters = HHParameters() if parameters is None else parameters
        self._chosen = registry.choose(backend, self.dtype, device)
        self._device = device

    def __reduce__(self) -> tuple:
        """Another process opens the backend for itself."""
        return type(self), (self.backend, self.dtype, self.parameters, self._device)

    @property
    def backend(self) -> str:
        """Name of the backend that runs."""
        return self._chosen.entry.name

    @property
    def device(self) -> str:
        """What computes."""
        return self._chosen.backend.device

    def __repr__(self) -> str:
        return (
            f"Simulator(backend={self.backend!r}, dtype={self.dtype!r}, "
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
    ) -> Result:
        """Simulate T ms in steps of dt ms.

        batch_size: number of neurons n; may be left out where an array gives it.
        stimulus: a Stimulus, or an array (n_steps,) or (n_steps, n) in µA/cm²; None for rest. An
            array is not copied: change it later, and results that hold it say what it says then.
        record: variables kept, of V (mV) and m, h, n; () for spikes alone.
        record_all: keep all four.
        record_every: keep the steps that this divides.
        record_neurons: indices of the neurons kept, in the order wanted.
        spikes: "times", "counts" or "off".
        spike_threshold: mV; a spike is an upward crossing.
        initial_state: V, m, h, n in shape (4, n), (4, 1) or (4,), or "rest" for the resting state
            of these parameters; by default −65 mV with the gates settled there. A neuron whose
            state is NaN or infinite is accepted, with a warning.
        start_step: the step that time is counted on from; 0 by default.
        progress: True for a bar, or a function of the fraction done.
        device_arrays: leave the recorded variables on the GPU, for CuPy or PyTorch to use without
            a copy; `get()` brings one to the host.
        resume: a Result that this run goes on from: its state, as it is, and its time in ms. Two
            such runs laid end to end equal one long run bit for bit. An array stimulus holds the
            rows of this run alone.

        Raises InvalidInput, naming the argument, before anything is allocated; NotEnoughMemory
        if the recording doesn't fit.
        """
        problem = Problem(
            T=T,
            dt=dt,
            batch_size=batch_size,
            stimulus=stimulus,
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
        )
        return simulate(problem, self._chosen, progress=progress)
