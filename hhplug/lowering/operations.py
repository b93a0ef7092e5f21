"""A growing list of operations in which none stands twice."""

from hhplug.lowering.program import Op, Operand


class Operations:
    """Operations in order. `op` returns the operand that has the value asked for."""

    def __init__(self, fused: bool = True) -> None:
        self.fused = fused  # whether there are fused operations; else they become two
        self.list: list[Op] = []
        self._known: dict[tuple[str, tuple[Operand, ...]], str] = {}

    def op(self, kind: str, *args: Operand) -> Operand:
        """The result of an operation: a new one, one that is there already, or what it folds to."""
        if kind in ("add", "mul", "fma", "fnma") and _place(args[0]) > _place(args[1]):
            args = (args[1], args[0], *args[2:])
        folded = self._folded(kind, args)
        if folded is not None:
            return folded
        if not self.fused and kind in ("fma", "fnma"):
            product = self.op("mul", *args[:2])
            return self.op("add", product, args[2]) if kind == "fma" else (
                self.op("sub", args[2], product)
            )  # fmt: skip
        key = (kind, args)
        if key not in self._known:
            name = f"_t{len(self.list)}"  # no name of a description begins so
            self.list.append(Op(name, kind, args))
            self._known[key] = name
        return self._known[key]

    def _folded(self, kind: str, args: tuple[Operand, ...]) -> Operand | None:
        a, *others = args
        b = others[0] if others else None
        if kind == "mul":
            if isinstance(a, float) and isinstance(b, float):
                return a * b
            if b == 1.0:
                return a
        if kind == "add" and b == 0.0:
            return a
        if kind == "sub" and b == 0.0:
            return a
        if kind in ("fma", "fnma"):
            c = args[2]
            if kind == "fma" and c == 0.0:
                return self.op("mul", *args[:2])
            if b == 1.0:
                return self.op("add", a, c) if kind == "fma" else self.op("sub", c, a)
        return None


def _place(operand: Operand) -> tuple[bool, str]:
    """The order of two factors or summands: names, then numbers."""
    return isinstance(operand, float), str(operand)
