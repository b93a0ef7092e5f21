"""Rates and short runs. As a script, it runs them in Triton's interpreter and saves the results:

TRITON_INTERPRET=1 python triton_cases.py FOLDER    # read before Triton is imported
"""

import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
import triton
from rates import awkward_voltages

from hhplug import HHParameters, Simulator, Stimulus
from hhplug.device import session as device_session
from hhplug_triton import kernels
from hhplug_triton.equations import constants

DTYPES = ("float32", "float64")
N_STEPS, BLOCK_STEPS = 12, 5  # two whole blocks and a shorter one; a step takes 30 ms
N = 33

SPREAD = HHParameters(C_m=np.linspace(0.9, 1.1, N), g_Na=np.linspace(110.0, 130.0, N))
# From the lower of these voltages no spike comes within the run.
STATES = [np.linspace(-60.0, -5.0, N), np.linspace(0.1, 0.6, N), np.full(N, 0.6), np.full(N, 0.3)]
WAVES = Stimulus.constant(np.linspace(0.0, 20.0, N)) + Stimulus.sine(30.0, 700.0, offset=5.0)
# Every second step each neuron crosses the threshold: more spikes than a block has neurons.
ALTERNATING = np.tile([[4000.0, 4100.0], [-4000.0, -4100.0]], (N_STEPS // 2, 1))

RUNS = {
    "waves": {
        "stimulus": WAVES,
        "parameters": SPREAD,
        "initial_state": STATES,
        "record_all": True,
        "record_every": 3,
        "record_neurons": [5, 32, 0],
    },
    "array": {
        "stimulus": WAVES.sample(0.01, N_STEPS),
        "parameters": SPREAD,
        "initial_state": STATES,
        "record": ("n", "V"),
    },
    "alternating": {"stimulus": ALTERNATING, "initial_state": [-30.0, 0.1, 0.6, 0.3]},
}


def run(name, backend, dtype=None):
    arguments = RUNS[name].copy()
    parameters = arguments.pop("parameters", None)
    return Simulator(backend, dtype, parameters).run(N_STEPS * 0.01, **arguments)


def six_rates(dtype, fast, device, block):
    """Return the kernel's rates at the awkward voltages."""
    V = awkward_voltages(dtype)
    kind = getattr(torch, dtype)
    table = torch.tensor(constants(0.01, 0.0), dtype=kind, device=device)
    rates = torch.full((6, len(V)), torch.nan, dtype=kind, device=device)
    kernels.six_rates[(triton.cdiv(len(V), block),)](
        len(V),
        table,
        torch.from_numpy(V).to(device),
        rates,
        FAST=fast,
        BLOCK=block,
        enable_fp_fusion=False,
    )
    return rates.cpu().numpy()


def keep_all(folder):
    no_room = patch.multiple(device_session, SPIKES_PER_MS=0.0, LEAST_ROOM=0)
    replayed = patch.object(
        device_session.DeviceBlock,
        "_replay",
        autospec=True,
        side_effect=device_session.DeviceBlock._replay,
    )
    for dtype in DTYPES:
        np.save(folder / f"rates-{dtype}.npy", six_rates(dtype, False, "cpu", block=2**19))
        with patch("hhplug.running.simulate.BLOCK_STEPS", BLOCK_STEPS), no_room, replayed as replay:
            for name in RUNS:
                run(name, "triton", dtype).save(folder / f"{name}-{dtype}.npz")
                assert replay.called == (name == "alternating")


if __name__ == "__main__":
    keep_all(Path(sys.argv[1]))
