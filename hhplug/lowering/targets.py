"""What operations cost on each kind of processor: the tables by which the optimizer chooses."""

from collections.abc import Mapping
from dataclasses import dataclass

PLAIN = {"add": 1.0, "sub": 1.0, "mul": 1.0, "fma": 1.0, "fnma": 1.0}


@dataclass(frozen=True)
class Target:
    """The costs of a processor's operations, in additions, and how exact they are."""

    name: str
    cost: Mapping[str, float]
    exp_error: float  # largest relative error of exp2, that of rounding its argument included
    op_error: float  # largest relative error of one operation
    guard_error: float  # relative error that a guarded quotient may have
    special: tuple[str, ...] = ()  # operations of a unit that works beside the others
    special_slots: float = 0.0  # issue slots for which each of them occupies that unit
    fused: bool = True  # whether a·b + c is one operation
    divides: bool = False  # whether a/b is one operation, as cheap as 1/b
    tanh_linoid: bool = False
    """Whether x/(1 − e^−x) is 2y/(tanh(y)·(1 + e^−x)) with y = x/2, in place of a guard."""
    scaled_by_step: bool = False  # whether slopes are multiplied by dt/2, which spares products
    row_cost: float = 0.1  # of a value that each neuron has
    literal_cost: float = 0.1  # of a second number in one operation
    largest: float = 1e30  # a product of denominators that is larger may overflow
    most_powers: int = 10  # largest power of a shared exponential: its error grows by as much


TARGETS = {
    target.name: target
    for target in (
        # A special function takes 2 slots of issue, and 8 of its own unit's.
        Target(
            "gpu-float32",
            PLAIN | {"rcp": 2.0, "exp2": 2.0, "log2": 2.0, "guard": 1.0},
            exp_error=2.0e-7,
            op_error=6.0e-8,
            guard_error=1.4e-5,
            special=("rcp", "exp2", "log2"),
            special_slots=8.0,
        ),
        Target(
            "gpu-float64",
            PLAIN | {"rcp": 6.0, "exp2": 18.0, "log2": 30.0, "guard": 1.0},
            exp_error=2.5e-16,
            op_error=1.2e-16,
            guard_error=5e-14,
            largest=1e200,
        ),
        # A division occupies its unit for long, which bounds Intel's processors earlier than AMD's.
        # With the slots below, steps of the library's membranes by RK4 are 3 to 15 % faster on AMD
        # Zen 4 than with one division a stage. On Intel Sapphire Rapids they are between 10 %
        # slower (RS in float32) and 9 % faster (squid); without any merging, RS in float64 would
        # be 25 % slower there.
        Target(
            "cpu-float32",
            PLAIN | {"rcp": 4.0, "exp2": 10.0, "log2": 10.0, "guard": 2.0},
            exp_error=1.2e-7,
            op_error=6.0e-8,
            guard_error=1.4e-5,
            special=("rcp",),
            special_slots=16.0,
            divides=True,
            row_cost=0.2,
        ),
        Target(
            "cpu-float64",
            PLAIN | {"rcp": 8.0, "exp2": 16.0, "log2": 16.0, "guard": 2.0},
            exp_error=2.5e-16,
            op_error=1.2e-16,
            guard_error=5e-14,
            special=("rcp",),
            special_slots=28.0,
            largest=1e200,
            divides=True,
            row_cost=0.2,
        ),
        # NumPy has no fused operations, and every operation is a call.
        Target(
            "numpy-float32",
            PLAIN | {"rcp": 1.5, "exp2": 3.3, "log2": 4.0, "tanh": 3.0,
                     "guard": 3.0},
            exp_error=1.2e-7,
            op_error=6.0e-8,
            guard_error=1.4e-5,
            fused=False,
            divides=True,
            tanh_linoid=True,
            scaled_by_step=True,
            row_cost=0.0,
        ),
        Target(
            "numpy-float64",
            PLAIN | {"rcp": 1.5, "exp2": 6.0, "log2": 8.0, "tanh": 6.0,
                     "guard": 3.0},
            exp_error=2.5e-16,
            op_error=1.2e-16,
            guard_error=5e-14,
            largest=1e200,
            fused=False,
            divides=True,
            tanh_linoid=True,
            scaled_by_step=True,
            row_cost=0.0,
        ),
    )
}  # fmt: skip
