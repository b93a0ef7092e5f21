"""The small language in which rates are written: text becomes a tree of the nodes below.

An expression has numbers, names, + − * / and powers, and the functions of `FUNCTIONS`. `**`, the
paper's `^` and superscripts all mean a power, whose exponent is a number. Python's own parser reads
the text, and nothing is ever executed.
"""

import ast
import sys
from collections.abc import Callable
from fractions import Fraction
from operator import add, mul, sub, truediv
from typing import Any, NamedTuple

from hhplug.checks import hint
from hhplug.errors import InvalidInput

FUNCTIONS = ("exp", "log", "sqrt", "tanh", "sinh", "cosh")


class InvalidExpression(InvalidInput):
    """A text isn't an expression. The message points at the character."""


class Number(NamedTuple):
    value: Fraction  # exactly as written: 0.1 is 1/10


class Name(NamedTuple):
    name: str


class Negative(NamedTuple):
    of: "Node"


class Binary(NamedTuple):
    operator: str  # one of + - * /
    left: "Node"
    right: "Node"


class Power(NamedTuple):
    base: "Node"
    exponent: Fraction


class Call(NamedTuple):
    function: str  # one of FUNCTIONS
    argument: "Node"


Node = Number | Name | Negative | Binary | Power | Call

ARITHMETIC = {"+": add, "-": sub, "*": mul, "/": truediv}
OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
SPELLINGS = {  # the paper's and Python's
    "^": "**",
    **dict.fromkeys("−–‐‑", "-"),
    **dict.fromkeys("·×⋅∙∗", "*"),
    **dict.fromkeys("÷∕⁄", "/"),
}
SUPERSCRIPTS = {"⁻": "-", **{high: str(digit) for digit, high in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}}
OTHER_LANGUAGES = {"ln": "log", "sqr": "sqrt", "Exp": "exp"}  # functions under other names
Objection = Callable[[str], str]
MOST_BITS = 4096  # of the numerator or denominator of a power of numbers that is computed exactly


def parse(text: str, where: str = "", objection: Objection | None = None) -> Node:
    """The tree of an expression.

    where: what the text describes, for errors. objection: says of a name why it can't stand in the
    expression, or "" if it can; without one, every name can. Raises InvalidExpression.
    """
    if not isinstance(text, str):
        raise InvalidInput(f"an expression must be text or a number, got {text!r}")
    text = text.encode(errors="replace").decode()  # a lone surrogate can't be printed in an error
    python, columns = _in_python(text)
    try:
        tree = ast.parse(python, mode="eval")
        return _Walk(text, columns, where, objection).node(tree.body)
    except (RecursionError, MemoryError):
        raise InvalidExpression(f"{_label(where)}the expression is nested too deeply") from None
    except (SyntaxError, ValueError) as error:
        if isinstance(error, InvalidExpression):
            raise
        # Python gives the place 0 where it misses something at the end.
        at = (getattr(error, "offset", None) or len(python.rstrip())) - 1
        # A syntax error counts characters of Python's spelling, not its bytes.
        at = len(python[:at].encode())
        first = columns[min(at, len(columns) - 1)] if columns else 0
        raise _pointing(text, first, 1, _syntax(text, first, error), where) from None


class _Walk:
    """Turns Python's tree of a text into nodes, or points at what can't be one."""

    def __init__(
        self, text: str, columns: list[int], where: str, objection: Objection | None
    ) -> None:
        self.text, self.columns, self.where = text, columns, where
        self.objection = objection

    def _wrong(self, tree: Any, why: str) -> InvalidExpression:
        first = self.columns[tree.col_offset]
        last = self.columns[tree.end_col_offset - 1]
        return _pointing(self.text, first, last - first + 1, why, self.where)

    def node(self, tree: Any) -> Node:
        match tree:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                if value > sys.float_info.max:
                    raise self._wrong(tree, "this number is too large")
                return Number(Fraction(repr(value)))
            case ast.Name(id=name):
                self._check_name(tree, name)
                return Name(name)
            case ast.UnaryOp(op=ast.USub(), operand=of):
                return Negative(self.node(of))
            case ast.UnaryOp(op=ast.UAdd(), operand=of):
                return self.node(of)
            case ast.BinOp(op=ast.Pow(), left=base, right=exponent):
                return self._power(base, exponent)
            case ast.BinOp(op=operator, left=left, right=right) if type(operator) in OPERATORS:
                a, b = self.node(left), self.node(right)
                if isinstance(operator, ast.Div) and constant(b) == 0:
                    raise self._wrong(right, "a division by zero")
                return Binary(OPERATORS[type(operator)], a, b)
            case ast.Call():
                return self._call(tree)
        raise self._wrong(tree, "only numbers, names, + - * /, powers and functions can stand here")

    def _power(self, base: Any, exponent: Any) -> Node:
        if isinstance(base, ast.Name) and base.id == "e":
            raise self._wrong(base, "write exp(…) for a power of e")
        value = constant(self.node(exponent))
        if value is None:
            raise self._wrong(
                exponent, "the exponent of a power must be a number; a^x is exp(x * log(a))"
            )
        return Power(self.node(base), value)

    def _call(self, tree: ast.Call) -> Node:
        match tree:
            case ast.Call(func=ast.Name(id=function), args=[argument], keywords=[]):
                if function in FUNCTIONS:
                    return Call(function, self.node(argument))
            case ast.Call(func=ast.Name(id=function)) if function in FUNCTIONS:
                raise self._wrong(tree, f"{function} takes one argument")
            case ast.Call(func=ast.Attribute(attr=function)) if function in FUNCTIONS:
                raise self._wrong(tree.func, f"write {function}(…), without a module")
        func = tree.func
        if not isinstance(func, ast.Name) or (self.objection and not self.objection(func.id)):
            raise self._wrong(tree, "a product needs a *")
        meant = OTHER_LANGUAGES.get(func.id)
        raise self._wrong(
            func,
            f"unknown function {func.id!r}; use one of {', '.join(FUNCTIONS)}, of which log is "
            f"the natural logarithm."
            + (f" Did you mean {meant!r}?" if meant else hint(func.id, FUNCTIONS)),
        )

    def _check_name(self, tree: Any, name: str) -> None:
        if name in FUNCTIONS:
            raise self._wrong(tree, f"{name} is a function; write {name}(…)")
        why = self.objection(name) if self.objection else ""
        if why:
            raise self._wrong(tree, why)


def _in_python(text: str) -> tuple[str, list[int]]:
    """The text in Python's spelling, and for each of its UTF-8 bytes the character of the text.

    Python counts columns in bytes of UTF-8.
    """
    stripped = text.lstrip()
    skipped = len(text) - len(stripped)
    python, columns, raised = "", [], False
    for place, character in enumerate(stripped, skipped):
        spelled = SPELLINGS.get(character, " " if character.isspace() else character)
        if character in SUPERSCRIPTS:
            spelled = ("" if raised else "**") + SUPERSCRIPTS[character]
        raised = character in SUPERSCRIPTS
        python += spelled
        columns += [place] * len(spelled.encode())
    return python, columns


def _syntax(text: str, first: int, error: SyntaxError | ValueError) -> str:
    """What Python's parser says of a text at a character, without its advice on Python."""
    if not text.strip():
        return "the expression is empty"
    reason = (getattr(error, "msg", None) or str(error)).partition(". Perhaps")[0]
    at = text[first]
    is_product = reason.startswith("invalid") and (at.isalnum() or at in "_(")
    product = " (a product needs a *)" if is_product else ""
    return f"not an expression: {reason}{product}"


def _label(where: str) -> str:
    return f"{where}: " if where else ""


def _pointing(text: str, first: int, length: int, why: str, where: str) -> InvalidExpression:
    shown = "".join(" " if character.isspace() else character for character in text)
    marks = " " * first + "^" * max(1, length)
    return InvalidExpression(f"{_label(where)}{why}\n    {shown}\n    {marks}")


def constant(node: Node) -> Fraction | None:
    """The exact value of a tree of numbers alone; None for any other, and for a huge power."""
    match node:
        case Number(value):
            return value
        case Negative(of):
            value = constant(of)
            return None if value is None else -value
        case Binary(operator, left, right):
            a = constant(left)
            b = None if a is None else constant(right)
            if a is None or b is None or (operator == "/" and b == 0):
                return None
            return ARITHMETIC[operator](a, b)
        case Power(base, exponent) if exponent.denominator == 1:
            value = constant(base)
            if value is None or value == 0 > exponent:
                return None
            bits = max(value.numerator.bit_length(), value.denominator.bit_length())
            return value**exponent.numerator if bits * abs(exponent) <= MOST_BITS else None
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
