"""A fault planted in the optimizer shows in a step or in the rates."""

import numpy as np
import pytest
from program_steps import described, population, stepped
from test_lowered_against_described import BOUND
from test_rates import BOUND as RATE_BOUND
from test_rates import SINGULAR, worst_error

from hhplug.lowering import derivative, exponentials, guards, optimizer, singularities, values
from hhplug.lowering.canonical import as_sum
from hhplug.lowering.lower import lowered
from hhplug.membranes.squid import squid


def offset_is_lost(monkeypatch):
    monkeypatch.setattr(values, "exp", lambda exponent: as_sum(1))  # noqa: ARG005


def chain_is_wrong(monkeypatch):
    def chain(powers):
        return {**exponentials.addition_chain(powers), 8: (4, 3), 3: (1, 2), 2: (1, 1)}

    monkeypatch.setattr(values, "addition_chain", chain)


def series_is_too_wide(monkeypatch):
    def fitted(*arguments):
        series = guards.fitted(*arguments)
        return guards.Series(series.coefficients, 3.0 * series.width, series.error)

    monkeypatch.setattr(singularities, "fitted", fitted)


def series_is_too_narrow(monkeypatch):
    def fitted(*arguments):
        return guards.Series(guards.fitted(*arguments).coefficients, 1e-12, 0.0)

    monkeypatch.setattr(singularities, "fitted", fitted)


def vanishing_denominators_are_merged(monkeypatch):
    merged = optimizer.merged
    monkeypatch.setattr(optimizer, "merged", lambda *given: merged(*given[:3], {}))


def conductance_is_not_over_C_m(monkeypatch):
    monkeypatch.setattr(derivative, "C_M", as_sum(1))


def speed_is_lost(monkeypatch):
    monkeypatch.setattr(derivative.Derivative, "speed", lambda *_: as_sum(1))


RATES = [offset_is_lost, chain_is_wrong, series_is_too_wide, series_is_too_narrow,
         vanishing_denominators_are_merged]  # fmt: skip
STEPS = [offset_is_lost, chain_is_wrong, conductance_is_not_over_C_m, speed_is_lost]
FAST = squid.at(16.3)


@pytest.mark.parametrize("fault", STEPS)
def test_a_fault_shows_in_a_step(fault, monkeypatch):
    inputs = population(FAST)
    expected = described(FAST, *inputs)

    def right():
        error = np.abs(stepped(lowered(FAST, "gpu-float64"), *inputs) - expected)
        return (error.max(axis=1) < BOUND * np.abs(expected).max(axis=1)).all()

    assert right()
    fault(monkeypatch)
    assert not right()


@pytest.mark.parametrize("fault", RATES)
def test_a_fault_shows_in_the_rates(fault, monkeypatch):
    def right():
        return all(
            worst_error(membrane, "gpu-float64", points) < RATE_BOUND["float64"]
            for membrane, points in ((squid, [-40.0, -55.0]), (SINGULAR, [-42.0, -3.7]))
        )

    assert right()
    fault(monkeypatch)
    assert not right()
