"""Removable singularities: a series in place of a quotient where its digits cancel."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhplug.lowering.canonical import Exponential, Sum

FARTHEST, SPACING = 300.0, 0.73  # mV: voltages at which a change of sign is looked for
HALVINGS = 80
ORDER = 20  # terms of the Taylor series that stand for the functions themselves
DEGREES = (1, 2, 4, 6, 8, 10, 12)
CANCELLED = 1e-12  # of the terms of a coefficient: what rounding leaves where they cancel
ROUNDS = 24  # bisections for the width of a series


@dataclass(frozen=True)
class Series:
    """Σ coefficients[k]·u^k, which stands for a quotient where |u| ≤ width (mV)."""

    coefficients: tuple[float, ...]
    width: float
    error: float  # largest relative error, the quotient's own at the border included


def roots(expression: Sum, values: Mapping[str, float]) -> list[float]:
    """The voltages (mV) between −300 and 300 at which an expression changes its sign."""
    if all(c > 0 for _, c in expression.terms) and "V" not in _factors(expression):
        return []
    V = np.arange(-FARTHEST, FARTHEST, SPACING)

    def sign(V: Any) -> Any:
        return np.signbit(np.broadcast_to(expression.value({**values, "V": V}), np.shape(V)))

    with np.errstate(all="ignore"):
        signs = sign(V)
        found = []
        for k in np.flatnonzero(signs[1:] != signs[:-1]):
            low, high = V[k], V[k + 1]
            for _ in range(HALVINGS):
                middle = 0.5 * (low + high)
                if sign(middle) == signs[k]:
                    low = middle
                else:
                    high = middle
            found.append(0.5 * (low + high))
    return found


def _factors(expression: Sum) -> set[Any]:
    return {factor for factors, _ in expression.terms for factor, _ in factors}


@cache
def fitted(quotient: Sum, slope: float, rounding: float, bound: float) -> Series:
    """The series of lowest degree by which a quotient of u keeps to a relative error of `bound`.

    slope: of the exponential in the denominator, 1/mV. rounding: relative error of that
    exponential, which cancellation multiplies by 1/(slope·u). The width is where that equals what
    the series leaves out.
    """
    taylor = _taylor(quotient, ORDER)
    series = Series((), 0.0, math.inf)
    for degree in DEGREES:
        low, high = 1e-6 / slope, 1.5 / slope
        for _ in range(ROUNDS):
            width = math.sqrt(low * high)
            if _interpolated(taylor, width, degree)[1] > rounding / (slope * width):
                high = width
            else:
                low = width
        width = float(f"{low:.4g}")
        coefficients, error = _interpolated(taylor, width, degree)
        error = max(error, rounding / (slope * width))
        series = Series(tuple(map(float, coefficients)), width, error)
        if error <= bound:
            break
    return series


def _interpolated(
    taylor: NDArray[np.float64], width: float, degree: int
) -> tuple[NDArray[np.float64], float]:
    """Coefficients by interpolation at Chebyshev nodes in |u| ≤ width; largest relative error."""
    interpolation, powers = _interpolation(degree)
    scaled = taylor * width ** np.arange(len(taylor))
    fit = interpolation @ scaled
    error = np.abs(powers[:, : degree + 1] @ fit / (powers @ scaled) - 1).max()
    return fit / width ** np.arange(degree + 1), float(error)


@cache
def _interpolation(degree: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(degree + 1, ORDER + 1) from a polynomial to its interpolation, and powers of 33 points."""
    nodes = np.cos(np.pi * (2 * np.arange(degree + 1) + 1) / (2 * degree + 2))
    powers = nodes[:, np.newaxis] ** np.arange(ORDER + 1)
    interpolation = np.linalg.solve(powers[:, : degree + 1], powers)
    return interpolation, np.linspace(-1, 1, 33)[:, np.newaxis] ** np.arange(ORDER + 1)


def _taylor(expression: Sum, order: int) -> NDArray[np.float64]:
    """Coefficients of u^0 … u^order of an expression of u with a removable 0/0 at u = 0."""
    total, sizes = np.zeros(order + 1), np.zeros(order + 1)
    for factors, c in expression.terms:
        series, lowest = np.zeros(order + 3), 0  # the term is u^lowest · series
        series[0] = float(c)
        for factor, power in factors:
            if isinstance(factor, Exponential):
                own = [float(power) ** k / math.factorial(k) for k in range(order + 3)]
                series = _product(series, np.array(own))
            elif isinstance(factor, Sum):
                own = _taylor(factor, order + 2)
                first = int(np.argmax(own != 0.0))
                own = np.append(own[first:], np.zeros(first))
                for _ in range(abs(int(power))):
                    series = _product(series, own) if power > 0 else _quotient(series, own)
                lowest += first * int(power)
            elif factor == "u":
                lowest += int(power)
            else:
                raise NotImplementedError(f"no series for {factor!r}")
        if lowest < 0:
            raise NotImplementedError(f"{expression!r} is not finite at u = 0")
        series = np.append(np.zeros(lowest), series)[: order + 1]
        total, sizes = total + series, sizes + np.abs(series)
    return np.where(np.abs(total) < CANCELLED * sizes, 0.0, total)


def _product(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.convolve(a, b)[: len(a)]


def _quotient(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    q = np.zeros(len(a))
    for k in range(len(a)):
        q[k] = (a[k] - q[:k] @ b[k:0:-1][:k]) / b[0]
    return q
