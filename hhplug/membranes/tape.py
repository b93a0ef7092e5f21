"""A tape: the NumPy operations of a function, noted once and repeated for any arrays.

The results are the function's own, bit for bit. For some hundred neurons it takes half the time,
since the Python code around the operations doesn't run again, and since an operation that occurs
several times, such as V + 40 in a numerator and in an exponent, is done once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

NO_PLACE = -1  # stands for the operands that a function doesn't have


class Noted(NDArrayOperatorsMixin):
    """Stands for an array while a function's operations are noted."""

    def __init__(self, notes: "_Notes", index: int):
        self.notes = notes
        self.index = index

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options:
            return NotImplemented
        return self.notes.call(ufunc, *inputs)


class _Notes:
    """The operations of a function, each with the indices of its operands and of its result."""

    def __init__(self, names: Sequence[str]):
        self.numbers: dict[int, Any] = {}  # by index
        self.operations: list[tuple[Callable[..., Any], tuple[int, ...]]] = []
        self.results: list[int] = []  # of each operation
        self._known: dict[Any, Noted] = {}
        self.count = 0
        self.values = self._new()  # the mapping of all values, which has the index 0
        self.arguments = {name: self._new() for name in names}

    def _new(self) -> Noted:
        self.count += 1
        return Noted(self, self.count - 1)

    def call(self, function: Callable[..., Any], *operands: Any) -> Noted:
        """Note a function of one to three operands. It is called with arrays when played."""
        indices = tuple(self.index(operand) for operand in operands)
        result = self._known.get((function, indices))
        if result is None:
            result = self._known[function, indices] = self._new()
            self.operations.append((function, indices))
            self.results.append(result.index)
        return result

    def index(self, operand: Any) -> int:
        if isinstance(operand, Noted):
            return operand.index
        key = ("number", repr(operand))  # tells 0.0 from -0.0
        number = self._known.get(key)
        if number is None:
            number = self._known[key] = self._new()
            # NumPy takes a third longer for a number that isn't an array.
            self.numbers[number.index] = np.array(operand, np.float64)
        return number.index


class Tape:
    """The operations of a function that maps values by name to a sequence of arrays.

    names: those of the values. The function uses NumPy's operators and ufuncs alone, and takes no
    decision that depends on a value.
    """

    def __init__(self, function: Callable[[dict[str, Any]], Iterable[Any]], names: Sequence[str]):
        notes = _Notes(names)
        outputs = [notes.index(value) for value in function(dict(notes.arguments))]
        self._names = tuple(names)
        places, self._room = _places(notes, outputs)
        self._numbers = [(places[index], number) for index, number in notes.numbers.items()]
        self._outputs = [places[index] for index in outputs]
        self._operations = []
        for (call, operands), result in zip(notes.operations, notes.results, strict=True):
            a, b, c = ([places[index] for index in operands] + [NO_PLACE] * 2)[:3]
            self._operations.append((call, places[result], a, b, c))

    def play(self, values: Mapping[str, Any]) -> list[Any]:
        """The arrays that the function returns for these values."""
        at: list[Any] = [values, *(values[name] for name in self._names)]
        at += [None] * (self._room - len(at))
        for place, number in self._numbers:
            at[place] = number
        for function, result, a, b, c in self._operations:
            if b < 0:
                at[result] = function(at[a])
            elif c < 0:
                at[result] = function(at[a], at[b])
            else:
                at[result] = function(at[a], at[b], at[c])
        return [at[place] for place in self._outputs]


def _places(notes: _Notes, outputs: Sequence[int]) -> tuple[dict[int, int], int]:
    """A place in a list for each index, and the length of the list.

    A result takes the place of one that no later operation needs, so that its memory is freed.
    """
    given = [*range(1 + len(notes.arguments)), *notes.numbers]
    places = {index: place for place, index in enumerate(given)}
    last = {index: step for step, (_, used) in enumerate(notes.operations) for index in used}
    kept = {*given, *outputs}
    room, free = len(given), []
    for step, (_, used) in enumerate(notes.operations):
        free += [places[i] for i in dict.fromkeys(used) if last[i] == step and i not in kept]
        if not free:
            free.append(room)
            room += 1
        places[notes.results[step]] = free.pop()
    return places, room
