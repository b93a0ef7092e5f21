"""Peers: implementations that one would write without hhplug, to compare backends with.

A peer is made for a current I_ext (n,) in µA/cm², an initial state (4, n), a dt in ms and a dtype.
Called with a number of steps, it returns the final state (4, n) and the number of spikes of each
neuron (n,) as NumPy arrays.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Peer = Callable[[int], tuple[NDArray[Any], NDArray[Any]]]
MakePeer = Callable[[NDArray[Any], NDArray[Any], float, str], Peer]


def textbook(I_ext: NDArray[Any], state: NDArray[Any], dt: float, dtype: str) -> Peer:
    """RK4 in NumPy as a textbook writes it, with one line on whole arrays for each formula."""

    def derivative(y: NDArray[Any]) -> NDArray[Any]:
        V, m, h, n = y
        alpha_m = 0.1 * (V + 40.0) / (1.0 - np.exp(-(V + 40.0) / 10.0))
        beta_m = 4.0 * np.exp(-(V + 65.0) / 18.0)
        alpha_h = 0.07 * np.exp(-(V + 65.0) / 20.0)
        beta_h = 1.0 / (1.0 + np.exp(-(V + 35.0) / 10.0))
        alpha_n = 0.01 * (V + 55.0) / (1.0 - np.exp(-(V + 55.0) / 10.0))
        beta_n = 0.125 * np.exp(-(V + 65.0) / 80.0)
        I_Na = 120.0 * m**3 * h * (V - 50.0)
        I_K = 36.0 * n**4 * (V + 77.0)
        I_L = 0.3 * (V + 54.387)
        return np.array(
            [
                current - I_Na - I_K - I_L,
                alpha_m * (1.0 - m) - beta_m * m,
                alpha_h * (1.0 - h) - beta_h * h,
                alpha_n * (1.0 - n) - beta_n * n,
            ]
        )

    current = I_ext.astype(dtype)

    def run(steps: int) -> tuple[NDArray[Any], NDArray[Any]]:
        y = state.astype(dtype)
        count = np.zeros(y.shape[1], int)
        for _ in range(steps):
            k1 = derivative(y)
            k2 = derivative(y + dt / 2 * k1)
            k3 = derivative(y + dt / 2 * k2)
            k4 = derivative(y + dt * k3)
            after = y + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            count += (y[0] < 0.0) & (after[0] >= 0.0)
            y = after
        return y, count

    return run


def jax_scan(I_ext: NDArray[Any], state: NDArray[Any], dt: float, dtype: str) -> Peer:
    """A jitted `lax.scan` of the same RK4, which is compiled for each number of steps."""
    import jax  # pyright: ignore[reportMissingImports]
    import jax.numpy as jnp  # pyright: ignore[reportMissingImports]

    if dtype == "float64":
        jax.config.update("jax_enable_x64", True)

    def derivative(y: Any, I_ext: Any) -> Any:
        V, m, h, n = y

        def linear(x: Any) -> Any:  # x / (1 − e^{−x})
            near = jnp.abs(x) < 1e-3
            return jnp.where(near, 1.0 + x / 2.0, x / -jnp.expm1(-jnp.where(near, 1.0, x)))

        alpha_m, beta_m = linear(0.1 * (V + 40.0)), 4.0 * jnp.exp(-(V + 65.0) / 18.0)
        alpha_h = 0.07 * jnp.exp(-(V + 65.0) / 20.0)
        beta_h = 1.0 / (1.0 + jnp.exp(-(V + 35.0) / 10.0))
        alpha_n, beta_n = 0.1 * linear(0.1 * (V + 55.0)), 0.125 * jnp.exp(-(V + 65.0) / 80.0)
        I_Na = 120.0 * m**3 * h * (V - 50.0)
        I_K = 36.0 * n**4 * (V + 77.0)
        I_L = 0.3 * (V + 54.387)
        return (
            I_ext - I_Na - I_K - I_L,
            alpha_m * (1.0 - m) - beta_m * m,
            alpha_h * (1.0 - h) - beta_h * h,
            alpha_n * (1.0 - n) - beta_n * n,
        )

    def moved(y: Any, a: float, k: Any) -> Any:
        return tuple(value + a * slope for value, slope in zip(y, k, strict=True))

    def step(carry: Any, _: Any) -> Any:
        y, I_ext, count = carry
        k1 = derivative(y, I_ext)
        k2 = derivative(moved(y, dt / 2, k1), I_ext)
        k3 = derivative(moved(y, dt / 2, k2), I_ext)
        k4 = derivative(moved(y, dt, k3), I_ext)
        total = (a + 2 * b + 2 * c + d for a, b, c, d in zip(k1, k2, k3, k4, strict=True))
        after = moved(y, dt / 6, total)
        count = count + ((y[0] < 0.0) & (after[0] >= 0.0))
        return (after, I_ext, count), None

    @cache
    def compiled(steps: int) -> Any:
        return jax.jit(lambda carry: jax.lax.scan(step, carry, None, length=steps)[0])

    y = tuple(jnp.asarray(row, dtype) for row in state)
    carry = (y, jnp.asarray(I_ext, dtype), jnp.zeros(len(I_ext), jnp.int32))

    def run(steps: int) -> tuple[NDArray[Any], NDArray[Any]]:
        after, _, count = compiled(steps)(carry)
        return np.stack([np.asarray(row) for row in after]), np.asarray(count)

    return run


def jax_has_a_gpu() -> bool:
    """Whether JAX is here and computes on a GPU."""
    try:
        import jax  # pyright: ignore[reportMissingImports]
    except ImportError:
        return False
    return jax.default_backend() == "gpu"


CUPY_STEP = """
T k[4][4], y[4] = {V, m, h, n}, s[4] = {V, m, h, n};
const T a[4] = {0, 0.5, 0.5, 1};
for (int i = 0; i < 4; ++i) {
  for (int j = 0; j < 4; ++j) s[j] = y[j] + (i ? a[i] * dt * k[i - 1][j] : T(0));
  T v = s[0];
  T x = T(0.1) * (v + 40), w = T(0.1) * (v + 55);
  T am = abs(x) < T(1e-3) ? 1 + x / 2 : x / -expm1(-x);
  T an = T(0.1) * (abs(w) < T(1e-3) ? 1 + w / 2 : w / -expm1(-w));
  k[i][0] = I - 120 * s[1] * s[1] * s[1] * s[2] * (v - 50)
          - 36 * s[3] * s[3] * s[3] * s[3] * (v + 77) - T(0.3) * (v + T(54.387));
  k[i][1] = am * (1 - s[1]) - 4 * exp(-(v + 65) / 18) * s[1];
  k[i][2] = T(0.07) * exp(-(v + 65) / 20) * (1 - s[2]) - s[2] / (1 + exp(-(v + 35) / 10));
  k[i][3] = an * (1 - s[3]) - T(0.125) * exp(-(v + 65) / 80) * s[3];
}
for (int j = 0; j < 4; ++j) y[j] += dt / 6 * (k[0][j] + 2 * k[1][j] + 2 * k[2][j] + k[3][j]);
count += V < 0 && y[0] >= 0;
V = y[0]; m = y[1]; h = y[2]; n = y[3];
"""


def one_launch_per_step(I_ext: NDArray[Any], state: NDArray[Any], dt: float, dtype: str) -> Peer:
    """RK4 as published CuPy code does it: the state is in memory, and each step is a launch."""
    import cupy  # pyright: ignore[reportMissingImports]

    step = cupy.ElementwiseKernel("T I, T dt", "T V, T m, T h, T n, int32 count", CUPY_STEP, "step")
    current, width = cupy.asarray(I_ext, dtype), np.dtype(dtype).type(dt)

    def run(steps: int) -> tuple[NDArray[Any], NDArray[Any]]:
        y = cupy.asarray(state, dtype)
        count = cupy.zeros(len(I_ext), cupy.int32)
        for _ in range(steps):
            step(current, width, *y, count)
        return y.get(), count.get()

    return run
