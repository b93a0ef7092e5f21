"""What others would write: the yardsticks that backends are measured against."""

import numpy as np
from numpy.typing import DTypeLike, NDArray


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
    y[:] = np.array([-65.0, 0.05293248525724958, 0.5961207535084603, 0.3176769140606974])[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(n_steps):
            k1 = derivative(y)
            k2 = derivative(y + dt / 2 * k1)
            k3 = derivative(y + dt / 2 * k2)
            k4 = derivative(y + dt * k3)
            y = y + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return y
