"""Errors against the reference of the same commit, which show if a faster change is wrong."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug import Simulator

from .contestants import BACKENDS
from .inputs import (
    COARSENESS,
    DTYPES,
    EXACT_DT,
    EXACT_T,
    TRACE_STEPS,
    TRAIN_STEPS,
    Population,
)
from .runs import checked_run, population_simulator

POPULATION = Population(100)
NEVER = float("inf")


def setup_cache() -> dict[tuple[str, str], dict[str, float] | Exception]:
    """The errors of every backend and dtype, or why there are none; once for all that follow."""
    reference = Reference()
    return {(name, dtype): reference.errors(name, dtype) for name in BACKENDS for dtype in DTYPES}


setup_cache.timeout = 600  # pyright: ignore[reportFunctionMemberAccess]  # of asv; s


class Reference:
    def __init__(self) -> None:
        sim = population_simulator("reference", "float64", POPULATION)
        self.V, self.spikes = trace(sim), trains(sim)
        self.exact = coarse(sim, EXACT_DT)

    def errors(self, name: str, dtype: str) -> dict[str, float] | Exception:
        """Return the errors of V (mV), spike times (ms), rates (relative) and V by dt (mV).

        V is compared over 50 ms, spike times over 200 ms. If the backend is unavailable or fails,
        the exception is returned.
        """
        try:
            sim = population_simulator(name, dtype, POPULATION)
            found = {
                "V": greatest(trace(sim), self.V),
                "spike time": greatest(trains(sim), self.spikes),
                **{str(dt): greatest(coarse(sim, dt), self.exact) for dt in COARSENESS},
            }
            return found | rate_error(name, dtype)
        except NotImplementedError as error:
            return error
        except Exception as error:  # so that the other backends are still measured
            return RuntimeError(repr(error))


def greatest(ours: NDArray[Any], theirs: NDArray[Any]) -> float:
    """Return the largest absolute difference; it is infinite if there is a NaN or shapes differ."""
    if ours.shape != theirs.shape:
        return NEVER
    worst = float(np.abs(ours.astype(np.float64) - theirs).max())
    return worst if np.isfinite(worst) else NEVER


def trace(sim: Simulator) -> NDArray[Any]:
    return checked_run(sim, POPULATION, TRACE_STEPS, record=("V",))[1].V


def trains(sim: Simulator) -> NDArray[Any]:
    return checked_run(sim, POPULATION, TRAIN_STEPS, spikes="times")[1].spikes.time


def coarse(sim: Simulator, dt: float) -> NDArray[Any]:
    """Return V in mV at the time points of the coarsest dt."""
    result = sim.run(
        EXACT_T,
        dt,
        stimulus=POPULATION.stimulus,
        initial_state=POPULATION.row("state"),
        record_every=round(COARSENESS[0] / dt),
    )
    return result.V


def rate_error(name: str, dtype: str) -> dict[str, float]:
    """Return the relative error of the rates; empty for commits that don't have the kit."""
    try:
        from hhplug.testing.rates import worst_rate_error
    except ImportError:
        return {}

    def step(T: float, parameters: Any, membrane: Any = None, **arguments: Any) -> Any:
        # Commits that know no membranes give none, and their Simulator takes none.
        model = {} if membrane is None else {"membrane": membrane}
        return Simulator(name, dtype, parameters, **model).run(T, **arguments)

    return {"rate": float(worst_rate_error(step, dtype))}


class Looked:
    """A benchmark that looks up what `setup_cache` found."""

    version = "1"

    def setup(self, found: dict, name: str, dtype: str, *_: Any) -> None:
        errors = found[name, dtype]
        if isinstance(errors, Exception):
            raise errors


class TraceError(Looked):
    params = (BACKENDS, DTYPES)
    param_names = ("backend", "dtype")
    unit = "mV"

    def track_V_over_50_ms(self, found: dict, name: str, dtype: str) -> float:
        return found[name, dtype]["V"]


class SpikeTimeError(Looked):
    params = (BACKENDS, DTYPES)
    param_names = ("backend", "dtype")
    unit = "ms"

    def track_spike_time_over_200_ms(self, found: dict, name: str, dtype: str) -> float:
        return found[name, dtype]["spike time"]


class RateError(Looked):
    params = (BACKENDS, DTYPES)
    param_names = ("backend", "dtype")
    unit = "of the rate"

    def setup(self, found: dict, name: str, dtype: str, *_: Any) -> None:
        super().setup(found, name, dtype)
        if "rate" not in found[name, dtype]:
            raise NotImplementedError("hhplug.testing.rates came later than this commit")

    def track_rate(self, found: dict, name: str, dtype: str) -> float:
        return found[name, dtype]["rate"]


class WorkPrecision(Looked):
    """Errors of V against the reference's solution at a much smaller dt."""

    params = (BACKENDS, DTYPES, COARSENESS)
    param_names = ("backend", "dtype", "dt")
    unit = "mV"

    def track_V_over_10_ms(self, found: dict, name: str, dtype: str, dt: float) -> float:
        return found[name, dtype][str(dt)]
