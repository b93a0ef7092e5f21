"""Short runs through every path of the kernel, for compute-sanitizer; see CONTRIBUTING."""

import numpy as np

from hhplug import HHParameters, Simulator, Stimulus
from hhplug.features.definitions import FEATURES
from hhplug.membranes import LTS

N = 257
SPIKING = {"T": 1.0, "initial_state": [-30.0, 0.5, 0.6, 0.3]}

for dtype in ("float32", "float64"):
    spread = HHParameters(g_Na=np.linspace(110.0, 130.0, N))
    waves = Stimulus.constant(np.linspace(0.0, 20.0, N)) + Stimulus.sine(1.0, 100.0)
    Simulator("pycuda", dtype, spread).run(
        stimulus=waves, record_all=True, record_every=3, record_neurons=[5, 256, 0], **SPIKING
    )
    uniform = Simulator("pycuda", dtype)
    result = uniform.run(stimulus=np.ones((100, N)), **SPIKING)
    uniform.run(stimulus=np.ones(100), batch_size=N, record=(), **SPIKING)
    assert (result.spike_count == 1).all()
    noisy = waves + Stimulus.white_noise(1.0, seed=1)
    for stimulus in (waves, noisy):
        uniform.run(
            stimulus=stimulus, record=(), features=tuple(FEATURES), window=(0.2, 0.9), **SPIKING
        )
    cortical = Simulator("pycuda", dtype, {"g_M": np.linspace(0.0, 0.1, N)}, membrane=LTS)
    cortical.run(1.0, stimulus=waves, record_all=True)
