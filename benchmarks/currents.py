"""The time of a step with noise, or with a recorded waveform, over that with a held current."""

from statistics import median

from .contestants import BACKENDS
from .inputs import CURRENT_SIZES, CURRENTS
from .runs import timed_runs


class OverHeld:
    """Both currents in float32, measured in turn in one process."""

    params = (BACKENDS, CURRENTS, CURRENT_SIZES)
    param_names = ("backend", "current", "neurons")
    unit = "of the time with a held current"
    version = "1"
    timeout = 300
    TURNS = 5

    def setup(self, name: str, current: str, n: int) -> None:
        for kind in (current, "held"):
            timed_runs(name, "float32", n, current=kind)

    def track_time_over_held(self, name: str, current: str, n: int) -> float:
        ours, held = (timed_runs(name, "float32", n, current=kind) for kind in (current, "held"))
        times = [(ours.seconds_per_step(), held.seconds_per_step()) for _ in range(self.TURNS)]
        return median(mine for mine, _ in times) / median(other for _, other in times)
