"""Write a result to a file."""

import json
import platform
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hhplug.files import replacing
from hhplug.results import packing

if TYPE_CHECKING:
    from hhplug.results.result import Result

FORMAT = 3  # version of the format of saved files
READABLE = (2, FORMAT)  # versions that can be read; 2 has no membrane, which is the squid's


def write(result: "Result", path: str | Path) -> None:
    """Write a result to an .npz file, as `Result.save` documents it."""
    arrays: dict[str, NDArray[Any]] = {
        **result.on_host().samples,
        "final_state": result.final_state,
        "valid": result.valid,
        "first_invalid_step": result.first_invalid_step,
        **{f"carry/{name}": array for name, array in result.final.carry.items()},
    }
    arrays |= {f"feature/{name}": values for name, values in result.outcome.features.items()}
    if result.outcome.spikes is not None:
        arrays |= {
            "spike_neuron": result.outcome.spikes.neuron,
            "spike_time": result.outcome.spikes.time,
        }
    if result.outcome.spike_count is not None:
        arrays["spike_count"] = result.outcome.spike_count
    packed = packing.pack(result.problem, arrays)
    metadata = result.origin() | {
        "format": FORMAT,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "written": result.written.isoformat(),
        "timing": asdict(result.timing),
        "noise_from": result.noise_from,
        "problem": packed,
    }
    with replacing(path) as file:
        np.savez(file, metadata=np.array(json.dumps(metadata)), **arrays)  # type: ignore[arg-type]
