"""A clock for asv that advances by the seconds that a benchmark adds.

With it, a sample can exclude a part of the time, be a time per neuron-step, or be measured in
another process, and asv still gets samples for its statistics.
"""


class Clock:
    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self) -> float:
        return self._now

    def add(self, seconds: float) -> None:
        self._now += seconds


clock = Clock()
