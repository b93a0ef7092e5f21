"""The error budget: the errors that a run of the suite measured, and their bounds."""

from dataclasses import dataclass, field

from rich.table import Table

UNITS = {
    "V over 5 ms": "mV",
    "V over 50 ms": "mV",
    "spike time over 200 ms": "ms",
}
"""Of the quantities that aren't relative."""


@dataclass
class Budget:
    """The error budget of one backend, which its tests fill."""

    name: str
    errors: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    """(dtype, quantity) → (largest error, bound), in the unit of UNITS, or relative."""
    speeds: dict[str, float] = field(default_factory=dict)
    """dtype → speed in neuron-steps/s."""
    not_shown: list[str] = field(default_factory=list)
    """Properties that were not tested, since their tests need a long horizon."""
    device: str = ""
    steps: int = 0

    def note(self, dtype: str, quantity: str, error: float, bound: float) -> None:
        """Keep an error for the report; the test itself asserts the bound."""
        self.errors[dtype, quantity] = float(error), bound

    def add(self, other: "Budget") -> None:
        """Add what other tests of the same backend have measured."""
        self.errors |= other.errors
        self.speeds |= other.speeds
        self.not_shown = list(dict.fromkeys(self.not_shown + other.not_shown))
        self.device = self.device or other.device
        self.steps += other.steps

    def table(self) -> Table:
        """Return the table that is printed at the end of a run."""
        of = ", ".join(filter(None, (self.name, self.device)))
        table = Table(title=f"Error budget of {of}", title_justify="left")
        for heading in ("", "worst error", "bound", ""):
            table.add_column(heading, justify="left" if not heading else "right")
        for (dtype, quantity), (error, bound) in sorted(self.errors.items()):
            held = "held" if error < bound else "BROKEN"
            unit = UNITS.get(quantity, "relative")
            table.add_row(
                f"{dtype}  {quantity}", f"{error:.1e} {unit}", f"{bound:.0e} {unit}", held
            )
        for dtype, speed in sorted(self.speeds.items()):
            table.add_row(f"{dtype}  speed", f"{speed:.2e} neuron-steps/s", "", "")
        for what in self.not_shown:
            table.add_row(what, "not shown", "", "")
        return table
