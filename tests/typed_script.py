"""A user's script with every public name, which type checkers accept and which runs.

`test_types.py` gives it to mypy. `assert_type` fails where a type is lost, and `--strict` refuses a
`type: ignore` that is not needed, so that a mistake in the last function must be found.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, assert_type

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from xarray import Dataset

import hhplug
from hhplug import (
    BackendUnavailable,
    CalciumPool,
    Channel,
    ContractViolation,
    FeatureSimulator,
    Gate,
    HHParameters,
    HHPlugError,
    Interrupted,
    InvalidInput,
    Membrane,
    MissingExtra,
    NotEnoughMemory,
    NotRecorded,
    Parameter,
    Problem,
    Result,
    Simulator,
    Stimulus,
    UnknownArgument,
    backends,
    concat,
    hookimpl,
    load_result,
    membranes,
    open_result,
    simulate,
)
from hhplug.backend import BackendSpec
from hhplug.membranes.parameters import ParameterValues

Floats = NDArray[np.float64]

AMPLITUDE = np.linspace(8.0, 20.0, 3)  # µA/cm²


def stimuli() -> Stimulus:
    step = assert_type(Stimulus.step(AMPLITUDE, start=1.0, stop=19.0), Stimulus)
    pulses = Stimulus.pulse_train(2.0, start=1.0, width=1.0, period=5.0, count=2)
    ramp = Stimulus.ramp(0.0, [1.0, 2.0, 3.0], start=0.0, stop=20.0)
    sine = Stimulus.sine(0.5, frequency=50.0, phase=0.1, offset=AMPLITUDE)
    widths = Stimulus.step(20.0, start=5.0, stop=5.0 + AMPLITUDE)
    waveform = Stimulus.recorded(np.zeros(100), dt=0.05, gain=AMPLITUDE)
    noise = Stimulus.ornstein_uhlenbeck(5.0, sigma=AMPLITUDE, tau=3.0, seed=1)
    noise += Stimulus.white_noise(sigma=1.0, seed=2)
    assert_type((widths + waveform + noise).sample(0.1, 5, batch_size=3), NDArray[np.float64])
    total = assert_type(AMPLITUDE * Stimulus.constant(0.1) + step - pulses / 2, Stimulus)
    assert_type(step.sample(dt=0.1, n_steps=5), Floats)
    assert_type(step.take([0, 1]), Stimulus)
    assert_type(step.n_neurons, int | None)
    assert_type(step.is_separable, bool)
    assert_type(step.seeds, tuple[int, ...])
    return total + 0.1 * ramp + -0.1 * sine


def membrane() -> Membrane:
    gate = Gate(inf="1 / (1 + exp(-(V + 35) / 10))", tau="tau_max / cosh((V + 35) / 40)")
    calcium = Channel("s", g=0.1, E=120.0, s=Gate(inf="1 / (1 + exp(-(V + 25) / 5))", tau=1.0))
    pool = CalciumPool("Ca", per_current=1e-4, rest=1e-4, tau=100.0)
    slow = assert_type(membranes.squid, Membrane).replace(
        "slow", M=Channel("p", g=0.07, E="E_K", p=gate), tau_max=Parameter(100.0, "ms"),
        Ca=calcium, calcium=pool,
    )  # fmt: skip
    assert_type(slow.states, tuple[str, ...])
    simulator = Simulator("reference", membrane=slow, parameters={"g_M": [0.0, 0.1]})
    result = simulator.run(1.0, record=("V", "p"))
    assert_type(result["p"], NDArray[Any])
    assert_type(result.currents("M"), Floats)
    assert_type(result.currents(), dict[str, Floats])
    assert_type(simulator.membrane, Membrane)
    return result.membrane


def run() -> Result:
    parameters = HHParameters(g_Na=np.linspace(110.0, 130.0, 3), E_L=-54.0, g_K=[35, 36, 37])
    simulator = assert_type(Simulator("reference", parameters=parameters), Simulator)
    assert_type(simulator.backend + simulator.device, str)
    result = simulator.run(
        T=20.0,
        dt=0.05,
        stimulus=stimuli(),
        record=("V", "m", "h", "n"),
        record_every=2,
        record_neurons=[2, 0],
        spikes="times",
        initial_state="rest",
        progress=print,
        features=("isi_mean",),
    )
    more = simulator.run(
        20.0,
        0.05,
        record_all=True,
        record_every=2,
        record_neurons=[2, 0],
        resume=result,
        features="isi_mean",
    )
    simulator.release_memory()
    other = assert_type(simulator.with_parameters({"g_Na": np.full(3, 100.0)}), Simulator)
    draws = FeatureSimulator(other, ("g_K",), 5.0, features=("V_max",), dt=0.05)
    g_K: Floats = np.full((3, 1), 36.0)
    assert_type(draws(g_K), Floats)
    assert_type((draws.names, draws.features), tuple[tuple[str, ...], tuple[str, ...]])
    return assert_type(concat([result, more]), Result)


def read(result: Result) -> None:
    for trace in (result.V, result.m, result.h, result.n, result["V"], result.final_state):
        assert_type(trace, NDArray[Any])
    assert_type(result.time, Floats)
    assert_type(result.firing_rate(start=5.0, stop=15.0, method="count"), Floats)
    assert_type(result.drive(), Floats)
    current, rate = result.fi_curve(method="count")
    assert_type(current * rate, Floats)
    assert_type(result.spikes.neuron, NDArray[np.int64])
    assert_type(result.spikes.refractory(2.0).time, Floats)
    assert_type(result.spikes.firing_rate(0.0, 20.0, "count"), Floats)
    assert_type(result.spike_count, NDArray[np.int64])
    assert_type(result.valid, NDArray[np.bool_])
    assert_type(result.first_invalid_step, NDArray[np.int64])
    assert_type(result.features["isi_mean"], NDArray[np.float64])
    assert_type(result.neurons, NDArray[np.int64])
    assert_type(result.timing.run + result.neuron_steps_per_second, float)
    assert_type(result.next_step + len(result.spikes), int)
    assert_type(result.parameters, ParameterValues)
    assert_type(result.membrane, Membrane)
    assert_type(result.stimulus, Stimulus | NDArray[Any])
    assert_type([name for name in result if name in result], list[str])
    assert_type([*result.samples, result.dtype, result.backend, *result.origin()], list[str])
    assert_type(result.noise_from, str)
    assert_type(result.on_host(), Result)


def draw(result: Result) -> None:
    figure = assert_type(result.plot(neurons=[0, 2]), Figure)
    axes = assert_type(result.plot_traces(neurons=[0, 2], ax=figure.axes[0]), Axes)
    axes.set_title("V")
    assert_type(result.plot_raster(), Axes)
    assert_type(result.plot_fi(start=5.0, method="count"), Axes)
    assert_type(result.to_xarray(), Dataset)
    assert_type(result.spikes.to_xarray(), Dataset)
    result.to_neo()


def parts_and_files(result: Result) -> None:
    problem = Problem(T=1.0, stimulus=np.zeros((100, 3)), spikes="counts", dtype=np.float32)
    parts = [problem.take(slice(0, 1)), problem.take([1, 2])]
    results = [simulate(part, backend="reference") for part in parts]
    assert_type(Result.join(results), Result)
    assert_type(problem.T + problem.dt, float)
    assert_type(problem.n_neurons, int)
    result.save(Path("run.npz"))
    assert_type(load_result("run.npz"), Result)
    simulate(parts[0], backend="reference", store=Path("run.zarr"))
    assert_type(open_result("run.zarr"), Result)


def errors() -> None:
    for error in (ContractViolation, MissingExtra, NotEnoughMemory, HHPlugError):
        assert issubclass(error, HHPlugError)
    try:
        Simulator("reference").run(T=1.0, record=()).V.max()
    except NotRecorded as missing:
        print(missing)
    try:
        Simulator("none")
    except UnknownArgument as unknown:
        print(unknown)
    except BackendUnavailable as unavailable:
        assert_type((unavailable.code, unavailable.reason, unavailable.fix), tuple[str, str, str])
    except InvalidInput as invalid:
        print(invalid, hhplug.__version__)
    except Interrupted as stop:
        assert_type(stop.result, Result)


@hookimpl
def hhplug_backends() -> Iterable[BackendSpec]:
    return [entry.spec for entry in backends() if entry.spec and not entry.unavailable]


def mistakes() -> None:
    """Never called: what a type checker must refuse."""
    Simulator(bakend="numpy")  # type: ignore[call-arg]
    Simulator("numpy").run(T="long")  # type: ignore[arg-type]
    Simulator("numpy").run(T=1.0, spikes="some")  # type: ignore[arg-type]
    Stimulus.step(1.0, begin=1.0, stop=2.0)  # type: ignore[call-arg]
    HHParameters(g_na=120.0)  # type: ignore[call-arg]
    Problem(1.0, batchsize=3)  # type: ignore[call-arg]
    simulate(1.0)  # type: ignore[arg-type]
    load_result()  # type: ignore[call-arg]
    concat(1.0)  # type: ignore[arg-type]
    Problem(1.0).stimulus_of(1)  # type: ignore[attr-defined]


if __name__ == "__main__":
    result = run()
    read(result)
    draw(result)
    parts_and_files(result)
    errors()
    assert_type(hhplug_backends(), Iterable[BackendSpec])
