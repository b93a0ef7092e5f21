"""A clock for asv that shows what a benchmark says a sample took.

So a sample can leave out what is not its topic, be a time per neuron-step, or come from another
process, and asv still has samples for its statistics.
"""


class Clock:
    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self) -> float:
        return self._now

    def add(self, seconds: float) -> None:
        self._now += seconds


clock = Clock()
