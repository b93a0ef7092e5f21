"""`hhplug run`: simulate a population."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hhplug.checks import PerNeuron, choice, positive, whole
from hhplug.cli import display
from hhplug.cli.arguments import (
    MEMBRANE_HELP,
    Commands,
    add_backend_and_device,
    add_progress,
    membrane,
    names,
    population,
    wants_progress,
)
from hhplug.cli.exits import INTERRUPTED, fail
from hhplug.currents.stimulus import Stimulus
from hhplug.errors import Interrupted, InvalidInput
from hhplug.features.definitions import FEATURES
from hhplug.files import replacing
from hhplug.results import plotting
from hhplug.running.simulator import Simulator

WHOLE = {
    "pulse_train": "number of pulses",
    "white_noise": "number as the seed",
    "ornstein_uhlenbeck": "number as the seed",
}
"""What the last number is of the kinds whose last number must be whole."""


def add(commands: Commands) -> None:
    """Add the command's options."""
    parser = commands.add_parser("run", help="simulate a population, by default an F-I sweep")
    parser.set_defaults(command=_run, advice="; use fewer --neurons or a shorter --duration")
    parser.add_argument("--neurons", type=int, default=1000, help="population size (default 1000)")
    parser.add_argument("--duration", type=float, default=300.0, help="ms (default 300)")
    parser.add_argument("--dt", type=float, default=0.01, help="ms (default 0.01)")
    parser.add_argument(
        "--method",
        default="rk4",
        help="rk4 (default), or stiff, which is stable at every dt, for large conductances",
    )
    parser.add_argument(
        "--current",
        type=_range,
        default=(0.0, 20.0),
        metavar="VALUE|START:STOP",
        help="µA/cm², one value for all neurons or a range over them (default 0:20); write a "
        "negative value as --current=-5:5",
    )
    parser.add_argument(
        "--stimulus",
        default="constant",
        metavar="KIND[:TIMES]",
        help="constant (default), step:START:STOP, pulse_train:START:WIDTH:PERIOD:COUNT, "
        "ramp:START:STOP (from 0 to the current), sine:FREQUENCY; ms and Hz; "
        "the defaults of the times depend on the duration; or noise around the current, "
        "white_noise:SIGMA:SEED (µA/cm²·√ms), ornstein_uhlenbeck:SIGMA:TAU:SEED (µA/cm², ms)",
    )
    parser.add_argument(
        "--membrane",
        default="squid",
        metavar="MEMBRANE",
        help=f"{MEMBRANE_HELP} (default squid)",
    )
    parser.add_argument(
        "--dtype", help="float32 or float64 (default: float32 where the backend has it)"
    )
    add_backend_and_device(parser)
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw traces, raster and F-I curve"
    )
    parser.add_argument(
        "--save", type=Path, metavar="FILE", help="write V and the spikes to an .npz file"
    )
    parser.add_argument(
        "--store",
        type=Path,
        metavar="FOLDER",
        help="write V and the spikes to a folder while they are computed; run again, it goes on",
    )
    parser.add_argument(
        "--record-every",
        type=int,
        default=1,
        metavar="N",
        help="keep every N-th step in --save, --store and --plot (default 1)",
    )
    parser.add_argument(
        "--features",
        type=names,
        default=(),
        metavar="A,B",
        help=f"compute these of each neuron, without keeping a trace: {', '.join(FEATURES)}; "
        "or all",
    )
    parser.add_argument(
        "--window",
        type=_window,
        metavar="START:STOP",
        help="ms of the features (default: the whole run)",
    )
    add_progress(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def _range(text: str) -> tuple[float, float]:
    first, _, last = text.partition(":")
    try:
        ends = float(first), float(last or first)
        if not math.isfinite(ends[1] - ends[0]):
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected VALUE or a finite range START:STOP in µA/cm², got {text!r}"
        ) from None
    return ends


def _window(text: str) -> tuple[float, float]:
    start, _, stop = text.partition(":")
    try:
        return float(start), float(stop)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected START:STOP in ms, got {text!r}") from None


def _run(options: argparse.Namespace) -> int:
    neurons = population("--neurons", options.neurons)
    positive("--duration", options.duration, "ms")
    if options.plot and options.save and options.plot.resolve() == options.save.resolve():
        raise InvalidInput(f"--plot and --save would both write {options.plot}; name two files")
    for path in filter(None, (options.plot, options.save)):
        if not path.parent.is_dir():
            raise InvalidInput(f"no folder {path.parent} to write {path.name} into")
        if path.is_dir():
            raise InvalidInput(f"{path} is a folder; give the name of a file")
    if options.plot:
        plotting.check_file(options.plot)
    all_V = options.save or options.store
    first, last = options.current
    amplitude = first if first == last else np.linspace(first, last, neurons)
    simulator = Simulator(
        options.backend,
        options.dtype,
        device=options.device,
        membrane=membrane(options.membrane),
        method=options.method,
    )
    code = 0
    try:
        result = simulator.run(
            T=options.duration,
            dt=options.dt,
            batch_size=neurons,
            stimulus=_stimulus(options.stimulus, amplitude, options.duration),
            record=("V",) if options.plot or all_V else (),
            record_neurons=None if all_V else plotting.spread(neurons, plotting.TRACES),
            record_every=whole("--record-every", options.record_every, 1),
            features=options.features,
            window=options.window,
            progress=wants_progress(options),
            store=options.store,
        )
    except Interrupted as stop:
        result = stop.result
        done = f"interrupted after {result.problem.T:g} of {options.duration:g} ms"
        code = fail(done, INTERRUPTED)
    if options.plot:
        with replacing(options.plot) as file:
            result.plot().savefig(file, format=options.plot.suffix[1:], dpi=150)
    if options.save:
        result.save(options.save)
    if options.json:
        options.print_json(display.summary(result))
    else:
        written = [path for path in (options.plot, options.save, options.store) if path]
        display.print_summary(result, written)
    return code


def _stimulus(text: str, amplitude: PerNeuron, T: float) -> Stimulus:
    """The Stimulus of KIND[:NUMBER…] with this amplitude (µA/cm²), or InvalidInput.

    The defaults of the numbers depend on the duration of T ms.
    """
    kind, *words = text.split(":")
    defaults = {
        "constant": (),
        "step": (0.1 * T, 0.9 * T),
        "pulse_train": (0.1 * T, 0.02 * T, 0.1 * T, 8),
        "ramp": (0.0, T),
        "sine": (50.0,),
        "white_noise": (1.0, 1),
        "ornstein_uhlenbeck": (1.0, 3.0, 1),
    }
    choice("stimulus", kind, defaults)
    defaults = defaults[kind]
    try:
        given = tuple(int(word) if word.isdecimal() else float(word) for word in words)
        if not all(map(math.isfinite, given)):
            raise ValueError
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"--stimulus {kind} takes finite numbers after its colons, got {text!r}"
        ) from None
    if len(given) > len(defaults):
        raise InvalidInput(f"--stimulus {kind} takes at most {len(defaults)} numbers, got {text!r}")
    numbers = given + defaults[len(given) :]
    if kind in WHOLE and numbers[-1] % 1:
        raise InvalidInput(f"--stimulus {kind} takes a whole {WHOLE[kind]}, got {text!r}")
    *times, last = numbers or (0,)
    make: dict[str, Callable[[], Stimulus]] = {
        "constant": lambda: Stimulus.constant(amplitude),
        "step": lambda: Stimulus.step(amplitude, *numbers),
        "pulse_train": lambda: Stimulus.pulse_train(amplitude, *times, count=int(last)),
        "ramp": lambda: Stimulus.ramp(0.0, amplitude, *numbers),
        "sine": lambda: Stimulus.sine(amplitude, *numbers),
        "white_noise": lambda: (
            Stimulus.constant(amplitude) + Stimulus.white_noise(*times, seed=int(last))
        ),
        "ornstein_uhlenbeck": lambda: Stimulus.ornstein_uhlenbeck(
            amplitude, *times, seed=int(last)
        ),
    }
    try:
        return make[kind]()
    except InvalidInput as error:
        if numbers == given:
            raise
        raise InvalidInput(
            f"{error}; the numbers missing from {text!r} were chosen for {T:g} ms: give all"
        ) from None
