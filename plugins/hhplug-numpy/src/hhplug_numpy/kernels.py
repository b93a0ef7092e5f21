"""One RK4 step of a group of neurons, in place.

A call costs NumPy as long as some 4,000 float32 products, so a step is written for few calls and
no new arrays: constants are arrays without dimensions (a Python float is converted at each call),
`out` goes by position, and what can share a call lies side by side in one array.

Rates, conductances and currents are multiplied by dt/2 beforehand, so that `derivative` gives
half-step increments, which two of the four stages need as they are.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy import add, divide, exp, multiply, square, subtract, tanh
from numpy.typing import NDArray

Array = NDArray[np.floating]


CACHE_LINE = 64  # bytes


def aligned(count: int, width: int, dtype: np.dtype) -> Array:
    """An empty (count, width) array that begins with a cache line: 64-byte vectors cross none."""
    raw = np.empty(count * width * dtype.itemsize + CACHE_LINE, np.uint8)
    begin = -raw.ctypes.data % CACHE_LINE
    return raw[begin : begin + count * width * dtype.itemsize].view(dtype).reshape(count, width)


class Membrane(NamedTuple):
    """Parameters of a group: rows (width,), or arrays without dimensions.

    E_L is not among them: g_L E_L is constant, and so added to the current.
    """

    g_Na: Array  # times dt / (2 C_m): 1
    g_K: Array
    g_L: Array
    E_Na: Array  # mV
    E_K: Array


class Rates:
    """Constants of the six rates times dt/2, as arrays without dimensions.

    One exponential serves five rates: z = e^{−V/80} is β_n's, z⁴ α_h's, and every e^{−(V+c)/10} is
    a multiple of z⁸. The factor x / (1 − e^{−x}) of α_m and α_n is written with y = x/2 as
    2y / (tanh(y) · (1 + e^{−x})): nothing cancels, so no digits are lost around x = 0.
    """

    def __init__(self, dt: float, dtype: np.dtype):
        def scalar(value: float) -> Array:
            return np.array(value, dtype)

        half_dt = dt / 2
        self.slope_m, self.slope_z = scalar(-1 / 18), scalar(-1 / 80)  # 1/mV
        self.beta_m = scalar(half_dt * 4.0 * math.exp(-65 / 18))
        self.alpha_h = scalar(half_dt * 0.07 * math.exp(-65 / 20))
        self.beta_n = scalar(half_dt * 0.125 * math.exp(-65 / 80))
        self.slope_y = scalar(1 / 20)  # 1/mV
        self.shift_m, self.shift_n = scalar(40 / 20), scalar(55 / 20)
        self.tiny, self.unity = scalar(1e-20), scalar(1.0)
        # α_m = 2y / (tanh(y) (1 + z⁸ e⁻⁴)) with y = (V + 40)/20, β_h = 1 / (1 + z⁸ e^−3.5),
        # α_n = 0.2y / (tanh(y) (1 + z⁸ e^−5.5)) with y = (V + 55)/20; each over dt/2.
        self.one_m, self.z8_m = (
            scalar(1 / (2.0 * half_dt)),
            scalar(math.exp(-4.0) / (2.0 * half_dt)),
        )
        self.one_h, self.z8_h = scalar(1 / half_dt), scalar(math.exp(-3.5) / half_dt)
        self.one_n, self.z8_n = (
            scalar(1 / (0.2 * half_dt)),
            scalar(math.exp(-5.5) / (0.2 * half_dt)),
        )


class State(NamedTuple):
    """V, m, h, n of a group, or their increments: rows of one array (4, width)."""

    array: Array
    V: Array
    m: Array
    h: Array
    n: Array
    gates: Array  # m, h, n

    @classmethod
    def of(cls, array: Array) -> "State":
        V, m, h, n = array
        return cls(array, V, m, h, n, array[1:])


class Stepper:
    """Room for one group of `width` neurons at work: few rows, so that they stay in the cache."""

    def __init__(self, width: int, dt: float, dtype: np.dtype):
        def rows(count: int) -> Array:
            return aligned(count, width, dtype)

        self._rates = Rates(dt, dtype)
        self._third = np.array(1 / 3, dtype)
        self._stage, self._k, self._sum = (State.of(rows(4)) for _ in range(3))
        # Rows in the order of the gates m, h, n, so that α + β is one sum.
        self._exponential, self._quotient = rows(3), rows(3)
        self._beta_m, self._alpha_h, self._beta_n = self._exponential
        self._alpha_m, self._beta_h, self._alpha_n = self._quotient
        self._u = rows(1)[0]

    def step(self, state: State, I_ext: Array, membrane: Membrane) -> None:
        """Advance a state by one step of classic RK4, the current held throughout.

        I_ext is (I_ext + g_L E_L) dt / (2 C_m), mV.
        """
        y, stage, k, total = state.array, self._stage.array, self._k.array, self._sum.array
        self._derivative(state, I_ext, membrane, self._sum)
        add(y, total, stage)
        self._derivative(self._stage, I_ext, membrane, self._k)
        add(y, k, stage)
        add(k, k, k)
        add(total, k, total)
        self._derivative(self._stage, I_ext, membrane, self._k)
        add(k, k, k)
        add(y, k, stage)
        add(total, k, total)
        self._derivative(self._stage, I_ext, membrane, self._k)
        add(total, k, total)
        multiply(total, self._third, total)
        add(y, total, y)

    def _derivative(self, state: State, I_ext: Array, p: Membrane, k: State) -> None:
        """dt/2 times the derivative of the state, into k."""
        c = self._rates
        _, V, m, h, n, gates = state
        _, dV, dm, dh, dn, dgates = k
        beta_m, alpha_h, beta_n = self._beta_m, self._alpha_h, self._beta_n
        alpha_m, beta_h, alpha_n = self._alpha_m, self._beta_h, self._alpha_n
        u, v, y_m, y_n = self._u, dV, dm, dn  # what is to hold the derivative has room until then

        # β_m ∝ e^{−V/18}, β_n ∝ z, α_h ∝ z⁴; u becomes z⁸
        multiply(V, c.slope_m, beta_m)
        exp(beta_m, beta_m)
        multiply(beta_m, c.beta_m, beta_m)
        multiply(V, c.slope_z, u)
        exp(u, u)
        multiply(u, c.beta_n, beta_n)
        square(u, u)
        square(u, u)
        multiply(u, c.alpha_h, alpha_h)
        square(u, u)

        # α_m, β_h, α_n
        multiply(V, c.slope_y, v)
        add(v, c.shift_m, y_m)
        add(y_m, c.tiny, y_m)  # 0/0 becomes its limit; any other y is too large to change
        add(v, c.shift_n, y_n)
        add(y_n, c.tiny, y_n)
        tanh(y_m, v)
        multiply(u, c.z8_m, alpha_m)
        add(alpha_m, c.one_m, alpha_m)
        multiply(alpha_m, v, alpha_m)
        divide(y_m, alpha_m, alpha_m)
        tanh(y_n, v)
        multiply(u, c.z8_n, alpha_n)
        add(alpha_n, c.one_n, alpha_n)
        multiply(alpha_n, v, alpha_n)
        divide(y_n, alpha_n, alpha_n)
        multiply(u, c.z8_h, beta_h)
        add(beta_h, c.one_h, beta_h)
        divide(c.unity, beta_h, beta_h)

        # dx/dt = α − (α + β) x
        add(self._exponential, self._quotient, dgates)
        multiply(dgates, gates, dgates)
        subtract(alpha_m, dm, dm)
        subtract(alpha_h, dh, dh)
        subtract(alpha_n, dn, dn)

        # C_m dV/dt = I_ext − g_L (V − E_L) − g_Na m³h (V − E_Na) − g_K n⁴ (V − E_K)
        gating = alpha_m
        multiply(V, p.g_L, u)
        subtract(I_ext, u, dV)
        square(m, gating)
        multiply(gating, m, gating)
        multiply(gating, h, gating)
        subtract(V, p.E_Na, u)
        multiply(u, p.g_Na, u)
        multiply(u, gating, u)
        subtract(dV, u, dV)
        square(n, gating)
        square(gating, gating)
        subtract(V, p.E_K, u)
        multiply(u, p.g_K, u)
        multiply(u, gating, u)
        subtract(dV, u, dV)
