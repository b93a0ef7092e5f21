"""What the arguments of a run may be, and the checks of each that looks at no other."""

from collections.abc import Iterable, Sequence
from typing import Literal, cast

import numpy as np
from numpy.typing import DTypeLike

from hhplug import checks
from hhplug.currents.given import GivenStimulus
from hhplug.errors import InvalidInput
from hhplug.membranes.membrane import Membrane
from hhplug.membranes.parameters import ParameterValues
from hhplug.membranes.squid import squid

DType = Literal["float32", "float64"]
SpikeMode = Literal["times", "counts", "off"]
Method = Literal["rk4", "stiff"]

DTYPES: tuple[DType, ...] = ("float32", "float64")
SPIKE_MODES: tuple[SpikeMode, ...] = ("times", "counts", "off")
METHODS: tuple[Method, ...] = ("rk4", "stiff")

MOST_BYTES = 2**63 - 1  # of the state of all neurons, (n_states, n) float64, which fit an int64


def checked_membrane(membrane: Membrane | None) -> Membrane:
    """The membrane, or the squid's for None. Raises InvalidInput for anything else."""
    if membrane is None:
        return squid
    if not isinstance(membrane, Membrane):
        name = membrane if isinstance(membrane, str) else "squid"
        raise InvalidInput(
            f"membrane must be a Membrane, got {membrane!r}; for example hhplug.membranes.{name}"
        )
    return membrane


def sizes_of(batch_size: int | None, parameters: ParameterValues) -> dict[str, int]:
    """The number of neurons for which batch_size and each parameter array are, by name."""
    sizes: dict[str, int] = {}
    if batch_size is not None:
        sizes["batch_size"] = checks.whole("batch_size", batch_size, 1)
        most = MOST_BYTES // (8 * len(parameters.membrane.states))
        if sizes["batch_size"] > most:
            raise InvalidInput(
                f"batch_size must be at most {most}, got {batch_size}: "
                "the state of more neurons can't be addressed"
            )
    for name, value in parameters.items():
        if isinstance(value, np.ndarray):
            sizes[name] = len(value)
    return sizes


def agreed_population(sizes: dict[str, int], stimulus: GivenStimulus) -> int:
    """The number of neurons on which all arguments agree, or 1 if no argument tells it.

    sizes: numbers of neurons by argument. Raises InvalidInput if they differ.
    """
    if stimulus.n_neurons is not None:
        sizes = sizes | {"stimulus": stimulus.n_neurons}
    return agreed(sizes)


def agreed(sizes: dict[str, int]) -> int:
    """The number of neurons of all arguments, 1 if there is none. Raises InvalidInput."""
    (first, n_neurons), *others = sizes.items() or [("", 1)]
    for name, count in others:
        if count != n_neurons:
            raise InvalidInput(
                f"{first} says {n_neurons} neurons, but {name} has {count}; "
                "every array must have one value per neuron"
            )
    return n_neurons


def checked_dtype(dtype: DTypeLike | None) -> DType | None:
    """The name of a precision, or None if the backend chooses. Raises InvalidInput for others."""
    if dtype is None or (isinstance(dtype, str) and dtype in DTYPES):
        return cast(DType | None, dtype)
    try:
        name = np.dtype(dtype).name
    except (TypeError, ValueError, SyntaxError):
        name = dtype
    shown = dtype if isinstance(dtype, str) and name not in DTYPES else name
    return cast(DType, checks.choice("dtype", shown, DTYPES))


def checked_method(method: Method) -> Method:
    """The name of a method of integration. Raises InvalidInput for others."""
    return cast(Method, checks.choice("method", method, METHODS))


def checked_record(record: Sequence[str], membrane: Membrane) -> tuple[str, ...]:
    """The states to record, by name. Raises InvalidInput for others, or if one comes twice."""
    if not isinstance(record, Iterable):
        raise InvalidInput(
            f"record must be names of {', '.join(membrane.states)}, got {record!r}; "
            "to keep none use record=()"
        )
    names = (record,) if isinstance(record, str) else tuple(record)
    for name in names:
        checks.choice("variable in record", name, membrane.states)
    if len(set(names)) < len(names):
        raise InvalidInput(f"record must name each variable once, got {names}")
    return names
