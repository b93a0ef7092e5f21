"""Expressions and membranes in LaTeX, for notebooks."""

import re
from collections.abc import Iterator
from fractions import Fraction

from hhplug.membranes.expressions import Binary, Call, Name, Negative, Node, Number, Power
from hhplug.membranes.printing import ATOM, POWER, PRODUCT, SUM, binding, printed_number
from hhplug.membranes.reading import ChannelEquation, GateEquation, Reading

GREEK = re.findall(
    r"\w+",
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega",
)
TERMS = 4  # channels on one line of the equation of V


def latex(node: Node) -> str:
    """The expression in LaTeX."""
    match node:
        case Number(value):
            return latex_of_number(value)
        case Name(name):
            return latex_of_name(name)
        case Negative(of):
            return f"-{_within(of, PRODUCT, leads=False)}"
        case Binary("/", left, right):
            return rf"\frac{{{latex(left)}}}{{{latex(right)}}}"
        case Binary("*", left, right):
            first, second = _within(left, PRODUCT), _within(right, PRODUCT, leads=False)
            between = r" \cdot " if second[0].isdigit() else r" \, "
            return f"{first}{between}{second}"
        case Binary(operator, left, right):
            # A minus sign in front of a sum must reach all of it.
            tight = PRODUCT if operator == "-" else SUM
            return f"{_within(left, SUM)} {operator} {_within(right, tight, leads=False)}"
        case Power(base, exponent):
            base_text = _within(base, ATOM, leads=False)
            if isinstance(base, Binary) and base.operator == "/":
                base_text = _parenthesized(latex(base))
            return f"{base_text}^{{{latex_of_number(exponent)}}}"
        case Call("exp", argument):
            return f"e^{{{_in_a_line(argument)}}}"
        case Call("sqrt", argument):
            return rf"\sqrt{{{latex(argument)}}}"
        case Call("log", argument):
            return rf"\ln{_parenthesized(latex(argument))}"
        case Call(function, argument):
            return rf"\{function}{_parenthesized(latex(argument))}"


def _in_a_line(node: Node) -> str:
    """An exponent, in which a quotient is a / b."""
    match node:
        case Binary("/", left, right):
            return f"{_within(left, PRODUCT)} / {_within(right, POWER, leads=False)}"
        case Negative(Binary("/", _, _) as of):
            return f"-{_in_a_line(of)}"
    return latex(node)


def _within(node: Node, level: int, leads: bool = True) -> str:
    text = latex(node)
    is_fraction = text.startswith(r"\frac") and binding(node) == PRODUCT
    is_raised = level == ATOM and isinstance(node, Call) and node.function in ("exp", "sqrt")
    loose = binding(node) < level and not (is_fraction and level <= PRODUCT)
    needs = loose or is_raised or (text.startswith("-") and not leads)
    return _parenthesized(text) if needs else text


def _parenthesized(text: str) -> str:
    return rf"\left({text}\right)"


def latex_of_number(value: Fraction) -> str:
    """The number, with a power of ten in place of an exponent such as e-5."""
    text = printed_number(value).replace("−", "-")
    sign, over, under = re.fullmatch(r"(-?)([^/]*?)(?: / (.*))?", text).groups()  # type: ignore[union-attr]
    if under:
        return rf"{sign}\frac{{{over}}}{{{under}}}"
    mantissa, e, exponent = over.partition("e")
    return sign + mantissa + (rf" \times 10^{{{exponent}}}" if e else "")


def latex_of_name(name: str, index: str = "") -> str:
    r"""The name with all after its first _ as an index, g_Na is g_{\mathrm{Na}}, before another."""
    symbol, _, own = name.partition("_")
    indices = ",".join(filter(None, (own and _word(own), index)))
    return _word(symbol) + (f"_{{{indices}}}" if indices else "")


def _word(word: str) -> str:
    if word in GREEK:
        return rf"\{word}"
    return word if len(word) == 1 else rf"\mathrm{{{word.replace('_', ',')}}}"


def latex_of_membrane(reading: Reading) -> str:
    """The equations of a membrane, one aligned line each."""
    lines = [*_equation_of_V(reading)]
    for gate, equation in reading.gates.items():
        lines += _gate(gate, equation)
    for pool, equation in reading.pools.items():
        x = Name(pool)
        currents = [rf"I_{{{_word(channel)}}}" for channel in equation.channels]
        total = _parenthesized(" + ".join(currents)) if len(currents) > 1 else currents[0]
        inflow = rf"{_within(equation.per_current, PRODUCT, leads=False)} \, {total}"
        decay = latex(Binary("/", Binary("-", x, equation.rest), equation.tau))
        lines.append(rf"{_rate_of_change(x)} &= -{inflow} - {decay}")
        for channel, current in zip(equation.channels, currents, strict=True):
            lines.append(rf"{current} &= {_current(reading.channels[channel])}")
    return "$$\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}$$"


def _rate_of_change(x: Name) -> str:
    return rf"\frac{{d{latex(x)}}}{{dt}}"


def _equation_of_V(reading: Reading) -> Iterator[str]:
    terms = [f"- {_current(channel)}" for channel in reading.channels.values()]
    yield r"C_m \frac{dV}{dt} &= I_{\mathrm{ext}} " + " ".join(terms[:TERMS])
    for first in range(TERMS, len(terms), TERMS):
        yield r"&\quad " + " ".join(terms[first : first + TERMS])


def _current(channel: ChannelEquation) -> str:
    gating = "".join(
        latex(Power(Name(gate), Fraction(power)) if power > 1 else Name(gate)) + " "
        for gate, power in channel.powers.items()
    )
    driving = latex(Binary("-", Name("V"), channel.E))
    return rf"{_within(channel.g, PRODUCT, leads=False)} \, {gating}({driving})"


def _gate(name: str, gate: GateEquation) -> Iterator[str]:
    x, index = latex(Name(name)), _word(name)
    alpha, beta = rf"\alpha_{{{index}}}", rf"\beta_{{{index}}}"
    inf, tau = latex_of_name(name, r"\infty"), rf"\tau_{{{index}}}"
    if gate.alpha is not None and gate.beta is not None:
        slope, steady = (
            rf"{alpha} (1 - {x}) - {beta} \, {x}",
            rf"\frac{{{alpha}}}{{{alpha} + {beta}}}",
        )
        definitions = {alpha: gate.alpha, beta: gate.beta}
    else:
        slope, steady = rf"\frac{{{inf} - {x}}}{{{tau}}}", inf
        definitions = {inf: gate.inf, tau: gate.tau}
    if gate.instantaneous and gate.inf is not None:
        definitions = {x: gate.inf}
    elif gate.instantaneous:
        yield f"{x} &= {steady}"
    else:
        if gate.speed != Number(Fraction(1)):
            slope = _parenthesized(slope) if gate.alpha is not None else slope
            slope = rf"{_within(gate.speed, PRODUCT)} \, {slope}"
        yield f"{_rate_of_change(Name(name))} &= {slope}"
    for symbol, node in definitions.items():
        if node is not None:
            yield rf"{symbol} &= {latex(node)}"
