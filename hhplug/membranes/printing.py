"""Expressions and membranes as text, the way a paper prints them.

A space between two operands is a product, superscripts are powers. The parser reads the text of an
expression back if a · stands in place of such a space.
"""

from collections.abc import Iterator
from fractions import Fraction

from hhplug.membranes.expressions import Binary, Call, Name, Negative, Node, Number, Power
from hhplug.membranes.reading import ChannelEquation, GateEquation, Reading

MINUS = "−"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
OPERATORS = {"+": " + ", "-": f" {MINUS} ", "/": " / "}
COLUMNS = 88  # longest line of the equation of V, unless one term is longer

# How tightly a node binds its parts.
SUM, PRODUCT, POWER, ATOM = range(4)


def printed(node: Node) -> str:
    """The expression with no more parentheses than its structure needs."""
    match node:
        case Number(value):
            return printed_number(value)
        case Name(name):
            return name
        case Negative(of):
            return f"{MINUS}{_within(of, PRODUCT, leads=False)}"
        case Binary("*", left, right):
            # "a / b c" could be read as a / (b c).
            first = _within(left, POWER if _is_quotient(left) else PRODUCT)
            second = _within(right, POWER, leads=False)
            return first + (" · " if second[0].isdigit() else " ") + second
        case Binary(operator, left, right):
            level = binding(node)
            return _within(left, level) + OPERATORS[operator] + _within(right, level + 1, False)
        case Power(base, exponent):
            raised = printed_number(exponent).replace(" ", "")
            if exponent.denominator == 1:
                raised = str(exponent).translate(SUPERSCRIPTS)
            else:
                raised = f"^({raised})" if exponent < 0 or "/" in raised else f"^{raised}"
            return _within(base, ATOM, leads=False) + raised
        case Call(function, argument):
            return f"{function}({printed(argument)})"


def _is_quotient(node: Node) -> bool:
    match node:
        case Negative(of):
            return _is_quotient(of)
        case Binary(operator, _, _):
            return operator == "/"
        case Number():
            return "/" in printed(node)
    return False


def binding(node: Node) -> int:
    """How tightly the outermost operation of a node binds."""
    match node:
        case Binary("+" | "-"):
            return SUM
        case Binary() | Negative():
            return PRODUCT
        case Number() if _is_quotient(node):
            return PRODUCT
        case Power():
            return POWER
    return ATOM


def _within(node: Node, level: int, leads: bool = True) -> str:
    """The part of an expression, in parentheses if it binds less tightly than `level`.

    leads: whether it stands first, where a minus sign needs no parentheses.
    """
    text = printed(node)
    needs = binding(node) < level or (text.startswith(MINUS) and not leads)
    return f"({text})" if needs else text


def printed_number(value: Fraction | float) -> str:
    """The number in the fewest digits that mean it exactly, or as a fraction of two integers."""
    value = value if isinstance(value, Fraction) else Fraction(repr(value))
    sign = MINUS if value < 0 else ""
    size = abs(value)
    try:
        shortest = repr(float(size))
    except OverflowError:
        shortest = "0"
    if Fraction(shortest) != size:
        whole = size.denominator == 1
        return f"{sign}{size.numerator}" + ("" if whole else f" / {size.denominator}")
    mantissa, e, exponent = shortest.partition("e")
    return f"{sign}{mantissa.removesuffix('.0')}" + (f"e{int(exponent)}" if e else "")


def printed_membrane(name: str, celsius: float | None, reading: Reading) -> str:
    """The equations of a membrane, and its parameters with units and usual values."""
    title = f"Membrane {name}"
    if celsius is not None and not name.endswith(f"at {celsius:g} °C"):
        title += f", rates at {celsius:g} °C"
    lines = [title, "", *_equation_of_V(reading), ""]
    for gate, equation in reading.gates.items():
        lines += _gate(gate, equation)
    for pool, equation in reading.pools.items():
        current = " + ".join(f"I_{channel}" for channel in equation.channels)
        current = f"({current})" if len(equation.channels) > 1 else current
        inflow = f"{_within(equation.per_current, PRODUCT, leads=False)} {current}"
        decay = printed(Binary("/", Binary("-", Name(pool), equation.rest), equation.tau))
        lines.append(f"d{pool}/dt = {MINUS}{inflow} {MINUS} {decay}")
        for channel in equation.channels:
            lines.append(f"    I_{channel} = {_current(reading.channels[channel])}")
    lines += ["", *_parameters(reading), ""]
    units = "V in mV, t in ms, I_ext in µA/cm², α and β in 1/ms, τ in ms"
    lines.append(units + "".join(f", {pool} in mM" for pool in reading.pools))
    return "\n".join(lines)


def _equation_of_V(reading: Reading) -> Iterator[str]:
    line = "C_m dV/dt = I_ext"
    indent = " " * line.index("I_ext")
    for channel in reading.channels.values():
        term = f" {MINUS} {_current(channel)}"
        if len(line + term) > COLUMNS and line.strip():
            yield line
            line = indent + term.lstrip()
        else:
            line += term
    yield line


def _current(channel: ChannelEquation) -> str:
    """g m³h (V − E)."""
    powers = [
        printed(Power(Name(x), Fraction(p))) if p > 1 else x for x, p in channel.powers.items()
    ]
    gating = ("" if all(len(gate) == 1 for gate in channel.powers) else " ").join(powers)
    driving = printed(Binary("-", Name("V"), channel.E))
    g = _within(channel.g, POWER if _is_quotient(channel.g) else PRODUCT, leads=False)
    return " ".join(filter(None, (g, gating, f"({driving})")))


def _gate(x: str, gate: GateEquation) -> Iterator[str]:
    by_rates = gate.alpha is not None
    if gate.instantaneous and gate.inf is not None:
        yield f"{x} = {printed(gate.inf)}"
    elif gate.instantaneous:
        yield f"{x} = α_{x} / (α_{x} + β_{x})"
    else:
        slope = f"α_{x} (1 {MINUS} {x}) {MINUS} β_{x} {x}" if by_rates else (
            f"({x}_∞ {MINUS} {x}) / τ_{x}"
        )  # fmt: skip
        if gate.speed != Number(Fraction(1)):
            speed = _within(gate.speed, POWER)
            slope = f"{speed} ({slope})" if by_rates else f"{speed} {slope}"
        yield f"d{x}/dt = {slope}"
    definitions = {f"α_{x}": gate.alpha, f"β_{x}": gate.beta}
    if not by_rates and not gate.instantaneous:
        definitions = {f"{x}_∞": gate.inf, f"τ_{x}": gate.tau}
    for symbol, node in definitions.items():
        if node is not None:
            yield f"    {symbol} = {printed(node)}"


def _parameters(reading: Reading) -> Iterator[str]:
    """A table of names, usual values and units, with the decimal points below each other."""
    rows = [(name, printed_number(p.value), p.unit) for name, p in reading.parameters.items()]
    before = max(len(value.partition(".")[0]) for _, value, _ in rows)
    aligned = [
        (name, " " * (before - len(value.partition(".")[0])) + value, unit)
        for name, value, unit in rows
    ]
    name_width = max(len("parameter"), *(len(name) for name, _, _ in rows))
    value_width = max(len("value"), *(len(value) for _, value, _ in aligned))
    yield f"{'parameter':{name_width}}  {'value':{value_width}}  unit"
    for name, value, unit in aligned:
        yield f"{name:{name_width}}  {value:{value_width}}  {unit}".rstrip()
