"""The small language in which rates are written: text becomes a tree of the nodes below.

An expression has numbers, names, + − * / and powers, and the functions of `FUNCTIONS`. `**` and the
paper's `^` both mean a power, whose exponent is a number. Python's own parser reads the text, and
nothing is ever executed.
"""

import ast
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import inf
from typing import Any

from hhplug.checks import hint
from hhplug.errors import InvalidInput

FUNCTIONS = ("exp", "log", "sqrt", "tanh", "sinh", "cosh")


class InvalidExpression(InvalidInput):
    """A text isn't an expression. The message points at the character."""


@dataclass(frozen=True)
class Number:
    value: Fraction  # exactly as written: 0.1 is 1/10


@dataclass(frozen=True)
class Name:
    name: str


@dataclass(frozen=True)
class Negative:
    of: "Node"


@dataclass(frozen=True)
class Binary:
    operator: str  # one of + - * /
    left: "Node"
    right: "Node"


@dataclass(frozen=True)
class Power:
    base: "Node"
    exponent: Fraction


@dataclass(frozen=True)
class Call:
    function: str  # one of FUNCTIONS
    argument: "Node"


Node = Number | Name | Negative | Binary | Power | Call

OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
SPELLINGS = {"^": "**", "−": "-", "·": "*", "×": "*"}  # the paper's characters in Python's


def parse(text: str, where: str = "") -> Node:
    """The tree of an expression. `where` says in an error what the text describes.

    Raises InvalidExpression.
    """
    python, columns = _in_python(text)

    def wrong(node: Any, why: str) -> InvalidExpression:
        first = columns[node.col_offset]
        last = columns[node.end_col_offset - 1]
        return _pointing(text, first, last - first + 1, why, where)

    def walk(node: Any) -> Node:
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                if value == inf:
                    raise wrong(node, "this number is too large")
                return Number(Fraction(repr(value)))
            case ast.Name(id=name):
                return Name(name)
            case ast.UnaryOp(op=ast.USub(), operand=of):
                return Negative(walk(of))
            case ast.UnaryOp(op=ast.UAdd(), operand=of):
                return walk(of)
            case ast.BinOp(op=ast.Pow(), left=base, right=exponent):
                value = constant(walk(exponent))
                if value is None:
                    raise wrong(exponent, "the exponent of a power must be a number")
                return Power(walk(base), value)
            case ast.BinOp(op=operator, left=left, right=right) if type(operator) in OPERATORS:
                return Binary(OPERATORS[type(operator)], walk(left), walk(right))
            case ast.Call(func=ast.Name(id=function), args=[argument], keywords=[]):
                if function not in FUNCTIONS:
                    raise wrong(
                        node.func,
                        f"unknown function {function!r}; use one of {', '.join(FUNCTIONS)}."
                        f"{hint(function, list(FUNCTIONS))}",
                    )
                return Call(function, walk(argument))
            case ast.Call(func=ast.Name(id=function)) if function in FUNCTIONS:
                raise wrong(node, f"{function} takes one argument")
        raise wrong(node, "only numbers, names, + - * /, powers and functions can stand here")

    try:
        tree = ast.parse(python, mode="eval")
    except (SyntaxError, ValueError, RecursionError) as error:
        at = (getattr(error, "offset", None) or 1) - 1
        first = columns[min(at, len(columns) - 1)] if columns else 0
        reason = getattr(error, "msg", None) or "it cannot be read"
        raise _pointing(text, first, 1, f"not an expression: {reason}", where) from None
    return walk(tree.body)


def _in_python(text: str) -> tuple[str, list[int]]:
    """The text in Python's spelling, and for each of its UTF-8 bytes the character of the text.

    Python counts columns in bytes of UTF-8.
    """
    if not isinstance(text, str):
        raise InvalidInput(f"an expression must be text or a number, got {text!r}")
    stripped = text.lstrip()
    skipped = len(text) - len(stripped)
    python, columns = "", []
    for place, character in enumerate(stripped, skipped):
        spelled = SPELLINGS.get(character, " " if character in "\r\n\t" else character)
        python += spelled
        columns += [place] * len(spelled.encode())
    return python, columns


def _pointing(text: str, first: int, length: int, why: str, where: str) -> InvalidExpression:
    label = f"{where}: " if where else ""
    shown = text.replace("\n", " ").replace("\t", " ").replace("\r", " ")
    return InvalidExpression(f"{label}{why}\n    {shown}\n    {' ' * first}{'^' * max(1, length)}")


def constant(node: Node) -> Fraction | None:
    """The exact value of a tree of numbers alone; None for any other."""
    match node:
        case Number(value):
            return value
        case Negative(of):
            value = constant(of)
            return None if value is None else -value
        case Binary(operator, left, right):
            a, b = constant(left), constant(right)
            if a is None or b is None or (operator == "/" and b == 0):
                return None
            return {"+": a.__add__, "-": a.__sub__, "*": a.__mul__, "/": a.__truediv__}[operator](b)
        case Power(base, exponent) if exponent.denominator == 1:
            value = constant(base)
            return None if value is None or value == 0 > exponent else value**exponent.numerator
    return None


def parts(node: Node) -> tuple[Node, ...]:
    """The nodes directly below one."""
    match node:
        case Negative(part) | Power(part, _) | Call(_, part):
            return (part,)
        case Binary(_, left, right):
            return (left, right)
    return ()


def names(node: Node) -> frozenset[str]:
    """The names in an expression."""
    if isinstance(node, Name):
        return frozenset((node.name,))
    return frozenset().union(*map(names, parts(node)))


def replaced(node: Node, by: Callable[[str], Node | None]) -> Node:
    """The expression with each name replaced by what `by` returns for it, unless that is None."""
    match node:
        case Name(name):
            new = by(name)
            return node if new is None else new
        case Negative(of):
            return Negative(replaced(of, by))
        case Binary(operator, left, right):
            return Binary(operator, replaced(left, by), replaced(right, by))
        case Power(base, exponent):
            return Power(replaced(base, by), exponent)
        case Call(function, argument):
            return Call(function, replaced(argument, by))
    return node


def derivative(node: Node, name: str) -> Node:
    """The derivative of an expression with respect to a name."""
    if name not in names(node):
        return Number(Fraction(0))
    match node:
        case Name():
            return Number(Fraction(1))
        case Negative(of):
            return Negative(derivative(of, name))
        case Binary("*", left, right):
            return Binary(
                "+",
                Binary("*", derivative(left, name), right),
                Binary("*", left, derivative(right, name)),
            )
        case Binary("/", left, right):
            return Binary(
                "/",
                Binary(
                    "-",
                    Binary("*", derivative(left, name), right),
                    Binary("*", left, derivative(right, name)),
                ),
                Power(right, Fraction(2)),
            )
        case Binary(operator, left, right):
            return Binary(operator, derivative(left, name), derivative(right, name))
        case Power(base, exponent):
            outer = Binary("*", Number(exponent), Power(base, exponent - 1))
            return Binary("*", outer, derivative(base, name))
        case Call(function, argument):
            return Binary("*", _outer_derivative(function, argument), derivative(argument, name))
    raise TypeError(node)


def _outer_derivative(function: str, x: Node) -> Node:
    one = Number(Fraction(1))
    return {
        "exp": Call("exp", x),
        "log": Binary("/", one, x),
        "sqrt": Binary("/", Number(Fraction(1, 2)), Call("sqrt", x)),
        "tanh": Binary("-", one, Power(Call("tanh", x), Fraction(2))),
        "sinh": Call("cosh", x),
        "cosh": Call("sinh", x),
    }[function]
