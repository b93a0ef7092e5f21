"""Operations of one kind on adjacent rows, as one: a call costs NumPy some 4,000 products."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hhplug.lowering.program import Operand, Program, needed_ops

COMMUTATIVE = ("add", "mul")


class Call(NamedTuple):
    """One operation on one row, or on several adjacent ones.

    An argument is a number, or the names of the values that it has in these rows: one name alone if
    it is the same in all.
    """

    kind: str
    outs: tuple[str, ...]
    args: tuple[float | tuple[str, ...], ...]


class Packed(NamedTuple):
    """A step's calls in order, and the values that must lie in adjacent rows, as tuples."""

    calls: tuple[Call, ...]
    blocks: tuple[tuple[str, ...], ...]


def packed(program: Program) -> Packed:
    """The calls that compute a program's results."""
    return _Packer(program).packed()


class _Packer:
    """Joins operations, from the sums over all states to what these are made of."""

    def __init__(self, program: Program):
        self.program = program
        self.ops = {op.out: op for op in needed_ops(program.ops, program.results)}
        self.place = {name: k for k, name in enumerate(self.ops)}  # the last member's, once joined
        self.readers: dict[Operand, list[str]] = {}
        for op in self.ops.values():
            for a in op.args:
                self.readers.setdefault(a, []).append(op.out)
        self.block: dict[str, tuple[str, ...]] = {}  # the block in which a value lies
        self.joined: dict[str, Call] = {}
        self._lay(program.states)

    def packed(self) -> Packed:
        waiting = self._sums_over_states()
        while waiting:
            waiting.sort(key=self._last)
            waiting += self._join(waiting.pop())
        calls: dict[str, tuple[int, Call]] = {}
        for name, op in self.ops.items():
            call = self.joined.get(name)
            if call is None:
                args = tuple((a,) if isinstance(a, str) else a for a in op.args)
                call = Call(op.kind, (name,), args)
            calls[call.outs[0]] = self.place[name], call
        ordered = sorted(calls.values(), key=lambda placed: placed[0])
        return Packed(tuple(call for _, call in ordered), tuple(dict.fromkeys(self.block.values())))

    def _lay(self, values: tuple[str, ...]) -> bool:
        """Lay values in adjacent rows if they are free to; True if they lie so."""
        if len(set(values)) < len(values):
            return False
        blocks = {self.block.get(value) for value in values}
        if blocks == {None}:
            if all(value in self.ops or value in self.program.states for value in values):
                self.block |= dict.fromkeys(values, values)
                return True
            return False
        (block, *others) = blocks
        if others or block is None:
            return False
        first = block.index(values[0])
        return block[first : first + len(values)] == values

    def _last(self, values: tuple[str, ...]) -> tuple[int, int]:
        """The order in which values are joined: the latest ones first, then the most."""
        return max(self.place.get(value, -1) for value in values), len(values)

    def _sums_over_states(self) -> list[tuple[str, ...]]:
        """Values, one for each state, computed side by side from the states; laid in blocks."""
        names, states = list(self.ops), self.program.states
        found = []
        for k in range(len(names) - len(states) + 1):
            values = tuple(names[k : k + len(states)])
            if states in (self._columns(values) or ()) and self._lay(values):
                found.append(values)
        return found

    def _join(self, values: tuple[str, ...]) -> list[tuple[str, ...]]:
        """Compute these values by one operation if that is possible; the arguments to join then."""
        if any(value not in self.ops or value in self.joined for value in values):
            return []
        last = max(self.place[value] for value in values)
        readers = [reader for value in values for reader in self.readers.get(value, [])]
        columns = self._columns(values)
        shared = [c for c in columns or () if isinstance(c, tuple) and len(c) > 1]
        kept = dict(self.block)
        early = any(self.place[reader] <= last for reader in readers)
        if early or columns is None or not all(self._lay(c) for c in (values, *shared)):
            self.block = kept
            return [values[1:]] if len(values) > 2 else []  # without V, for example
        call = Call(self.ops[values[0]].kind, values, columns)
        self.joined |= dict.fromkeys(values, call)
        self.place |= dict.fromkeys(values, last)
        return [run for column in shared for run in self._runs(column)]

    def _columns(self, values: Sequence[str]) -> tuple[float | tuple[str, ...], ...] | None:
        """Each argument of these operations, if they are alike."""
        ops = [self.ops[value] for value in values]
        if len({op.kind for op in ops}) > 1:
            return None
        rows = [list(op.args) for op in ops]
        if ops[0].kind in COMMUTATIVE:
            rows = [row[::-1] if self._other_way(row, k) else row
                    for k, row in enumerate(rows)]  # fmt: skip
        columns = []
        for column in zip(*rows, strict=True):
            if all(a == column[0] for a in column):
                columns.append((column[0],) if isinstance(column[0], str) else column[0])
            elif all(isinstance(a, str) for a in column):
                columns.append(tuple(column))
            else:
                return None
        return tuple(columns)

    def _other_way(self, row: Sequence[Operand], k: int) -> bool:
        """Whether the arguments of a sum or product fit those of its neighbours the other way.

        Of the arguments for the k-th value, one that lies in a block in its k-th row, or in the row
        after where the block has V before the gates, comes first; else the one that is known first.
        """

        def fits(a: Operand) -> bool:
            block = self.block.get(a) if isinstance(a, str) else None
            return block is not None and isinstance(a, str) and block.index(a) - k in (0, 1)

        def made(a: Operand) -> int:
            return self.place.get(a, -1) if isinstance(a, str) else -1

        one, other = row
        return fits(other) if fits(one) != fits(other) else made(one) > made(other)

    def _runs(self, values: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        """The longest stretches of values that are computed by operations of the same kind."""
        start = 0
        for end in range(1, len(values) + 1):
            kinds = {self.ops[v].kind if v in self.ops else None for v in values[start:end]}
            if len(kinds) > 1:
                if end - 1 - start > 1:
                    yield values[start : end - 1]
                start = end - 1
        if len(values) - start > 1:
            yield values[start:]
