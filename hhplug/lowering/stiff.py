"""The method "stiff" as operations. `hhplug.stiff` says what it is and where it comes from.

A step of length s of dx/dt = a − b·x by Crank and Nicolson's rule is x + (a − b·x) / (1/s + b/2).
"""

from fractions import Fraction

from hhplug.lowering.canonical import Sum, symbol
from hhplug.lowering.derivative import Derivative
from hhplug.lowering.program import Operand
from hhplug.lowering.values import Env

WHOLE, HALF = Fraction(1), Fraction(1, 2)  # lengths of steps, in dt

Rates = dict[str, tuple[Operand, Operand]]
"""What `Derivative.gate_rates` says of each gate with a state."""


def stiff(derivative: Derivative) -> dict[str, Operand]:
    """Each state after a step, the current held."""
    return _Step(derivative).written()


class _Step:
    def __init__(self, derivative: Derivative):
        self.derivative, self.reading = derivative, derivative.reading
        self.op, self.row = derivative.op, derivative.values.row
        self.gates = [name for name, g in self.reading.gates.items() if not g.instantaneous]
        # V and the pools, which move while the gates are held.
        self.membrane = ("V", *self.reading.pools)

    def written(self) -> dict[str, Operand]:
        op, derivative = self.op, self.derivative
        y: dict[str, Operand] = {state: state for state in self.reading.states}
        derivative.conductance = self._not_finite(y)
        rates = self._rates(y)
        whole, _ = self._symmetric(y, rates, WHOLE)
        middle, rates = self._symmetric(y, rates, HALF)
        halves, _ = self._symmetric(middle, rates, HALF)
        after = {x: op("fma", op("sub", halves[x], whole[x]), 1.0 / 3.0, halves[x]) for x in y}
        derivative.slopes = [derivative.slope_of_V(state) for state in (y, after)]
        return derivative.labelled(after)

    def _not_finite(self, y: Env) -> Operand:
        """0, or NaN if a state isn't finite."""
        total, *others = y.values()
        for x in others:
            total = self.op("add", total, x)
        return self.op("mul", total, 0.0)

    def _symmetric(self, y: Env, rates: Rates, h: Fraction) -> tuple[dict[str, Operand], Rates]:
        """The state after gates, membrane, gates, and the gates' rates there."""
        held = self._gates_moved(dict(y), rates, h / 2)
        after = held | self._membrane_moved(held, h)
        rates = self._rates(after)
        return self._gates_moved(after, rates, h / 2), rates

    # The gates, while V and the pools are held.

    def _rates(self, env: Env) -> Rates:
        derivative = self.derivative
        derivative.stages.append(len(derivative.values.operations.list))
        return {gate: derivative.gate_rates(gate, env) for gate in self.gates}

    def _gates_moved(
        self, y: dict[str, Operand], rates: Rates, part: Fraction
    ) -> dict[str, Operand]:
        op, after = self.op, dict(y)
        for gate, (a, b) in rates.items():
            quotient = self._reciprocal(b, self._per_length(gate, part), self._constant_rate(gate))
            if self.derivative.by_rates(gate):
                slope = op("fnma", b, y[gate], a)
            else:
                slope = op("sub", a, y[gate])
                quotient = op("mul", b, quotient)
            after[gate] = op("fma", slope, quotient, y[gate])
        return after

    def _per_length(self, gate: str, part: Fraction) -> Sum:
        """1/s, where a gate's clock runs by its speed; scaled as its rates are."""
        derivative = self.derivative
        if derivative.target.scaled_by_step:
            return derivative.half_step / (symbol("dt") * part)
        return 1 / (symbol("dt") * part * derivative.formulas.speed(gate))

    def _constant_rate(self, gate: str) -> Sum | None:
        """The rate of a gate, if it is the same at all times."""
        derivative = self.derivative
        second = derivative.formulas.second[gate]
        if second.names & derivative.values.varying:
            return None
        scaled = derivative.target.scaled_by_step
        return second * derivative.scale * derivative.formulas.speed(gate) if scaled else second

    def _reciprocal(self, b: Operand, per_length: Sum, constant: Sum | None = None) -> Operand:
        """1 / (1/s + b/2)."""
        if constant is not None:
            return self.row(1 / (per_length + constant * HALF))
        return self.op("rcp", self.op("fma", b, 0.5, self.row(per_length)))

    # V and the pools, while the gates are held.

    def _membrane_moved(self, y: dict[str, Operand], h: Fraction) -> dict[str, Operand]:
        """V and the pools after h."""
        linear = len(self.gates) == len(self.reading.states) - 1 == len(self.reading.gates)
        if linear:
            return self._moved(y, y, h)
        one = y | self._moved(y, y, h / 2)
        other = y | self._moved(y, one, h)
        one = self._moved(one, other, h / 2)
        return {x: self.op("mul", self.op("add", one[x], other[x]), 0.5) for x in self.membrane}

    def _moved(self, one: Env, other: Env, length: Fraction) -> dict[str, Operand]:
        """V and the pools of one copy after some time, all else as it is in the other."""
        op, derivative = self.op, self.derivative
        per_length = derivative.scale / (symbol("dt") * length)
        slope = derivative.without_open_channels(one["V"])
        currents: dict[str, Operand] = {}
        total: Operand | None = None
        for names, G, reversal in derivative.open_channels(other):
            total = G if total is None else op("add", total, G)
            slope = op("fnma", G, op("sub", one["V"], reversal), slope)
            if derivative.feeds_a_pool(names[0]):
                currents[names[0]] = op("mul", G, op("sub", other["V"], reversal))
        with_leaks = per_length + derivative.leaks() * derivative.scale * HALF
        quotient = (
            self.row(1 / with_leaks) if total is None else self._reciprocal(total, with_leaks)
        )
        after = {"V": op("fma", slope, quotient, one["V"])}
        for pool in self.reading.pools:
            decay = derivative.scale / derivative.formulas.pools[pool]["tau"]
            quotient = self.row(1 / (per_length + decay * HALF))
            after[pool] = op("fma", derivative.pool(pool, one, currents), quotient, one[pool])
        return after
