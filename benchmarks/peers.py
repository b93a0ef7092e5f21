"""What others would write: the yardsticks that backends are measured against."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

REST = (-65.0, 0.05293248525724958, 0.5961207535084603, 0.3176769140606974)  # V m h n


def textbook_numpy(
    I_ext: NDArray[np.floating], n_steps: int, dt: float, dtype: DTypeLike
) -> NDArray[np.floating]:
    """Final V, m, h, n (4, n) of RK4 as a textbook writes it: whole arrays, a line a formula."""

    def derivative(y):
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
                I_ext - I_Na - I_K - I_L,
                alpha_m * (1.0 - m) - beta_m * m,
                alpha_h * (1.0 - h) - beta_h * h,
                alpha_n * (1.0 - n) - beta_n * n,
            ]
        )

    I_ext = I_ext.astype(dtype)
    y = np.empty((4, len(I_ext)), dtype)
    y[:] = np.array(REST)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(n_steps):
            k1 = derivative(y)
            k2 = derivative(y + dt / 2 * k1)
            k3 = derivative(y + dt / 2 * k2)
            k4 = derivative(y + dt * k3)
            y = y + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return y


def jax_scan(n: int, steps: int, dt: float) -> Callable[[], object]:
    """A jitted `lax.scan` of the same RK4 in float32, ready to be called and waited for."""
    import jax  # pyright: ignore[reportMissingImports]
    import jax.numpy as jnp  # pyright: ignore[reportMissingImports]

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

    run = jax.jit(lambda carry: jax.lax.scan(step, carry, None, length=steps)[0])
    y = tuple(jnp.full(n, value, jnp.float32) for value in REST)
    carry = (y, jnp.linspace(0.0, 20.0, n, dtype=jnp.float32), jnp.zeros(n, jnp.int32))
    return lambda: jax.block_until_ready(run(carry))


def one_launch_per_step(n: int, steps: int, dt: float) -> None:
    """RK4 in float32 as published CuPy code does it: state in memory, a kernel launch each step."""
    import cupy  # pyright: ignore[reportMissingImports]

    step = _cupy_step(cupy)
    y = cupy.repeat(cupy.asarray(REST, cupy.float32)[:, None], n, axis=1)
    I_ext = cupy.linspace(0.0, 20.0, n, dtype=cupy.float32)
    for _ in range(steps):
        step(I_ext, cupy.float32(dt), *y)
    cupy.cuda.Device().synchronize()


_KERNELS: list[Any] = []


def _cupy_step(cupy: Any) -> Any:
    """One RK4 step as a CuPy elementwise kernel, compiled once."""
    if not _KERNELS:
        _KERNELS.append(
            cupy.ElementwiseKernel(
                "float32 I, float32 dt",
                "float32 V, float32 m, float32 h, float32 n",
                """
                float k[4][4], y[4] = {V, m, h, n}, s[4] = {V, m, h, n};
                const float a[4] = {0.0f, 0.5f, 0.5f, 1.0f};
                for (int i = 0; i < 4; ++i) {
                  for (int j = 0; j < 4; ++j) s[j] = y[j] + (i ? a[i] * dt * k[i - 1][j] : 0.0f);
                  float v = s[0];
                  float x = 0.1f * (v + 40.0f), w = 0.1f * (v + 55.0f);
                  float am = fabsf(x) < 1e-3f ? 1.0f + x / 2.0f : x / -expm1f(-x);
                  float an = 0.1f * (fabsf(w) < 1e-3f ? 1.0f + w / 2.0f : w / -expm1f(-w));
                  k[i][0] = I - 120.0f * s[1] * s[1] * s[1] * s[2] * (v - 50.0f)
                          - 36.0f * s[3] * s[3] * s[3] * s[3] * (v + 77.0f)
                          - 0.3f * (v + 54.387f);
                  k[i][1] = am * (1.0f - s[1]) - 4.0f * expf(-(v + 65.0f) / 18.0f) * s[1];
                  k[i][2] = 0.07f * expf(-(v + 65.0f) / 20.0f) * (1.0f - s[2])
                          - s[2] / (1.0f + expf(-(v + 35.0f) / 10.0f));
                  k[i][3] = an * (1.0f - s[3]) - 0.125f * expf(-(v + 65.0f) / 80.0f) * s[3];
                }
                for (int j = 0; j < 4; ++j)
                  y[j] += dt / 6.0f * (k[0][j] + 2.0f * k[1][j] + 2.0f * k[2][j] + k[3][j]);
                V = y[0]; m = y[1]; h = y[2]; n = y[3];
                """,
                "hh_step",
            )
        )
    return _KERNELS[0]
