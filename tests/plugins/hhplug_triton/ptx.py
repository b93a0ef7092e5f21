"""One thread of an inline PTX text, evaluated in NumPy: the few instructions that ours has."""

import re
from collections.abc import Callable

import numpy as np

REAL = {"f32": np.float32, "f64": np.float64}
COMPARISONS = {
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "eq": lambda a, b: a == b,
    "neu": lambda a, b: a != b,  # true for NaN
    "num": lambda a, b: a == a and b == b,
}
BOTH = {"and": lambda a, b: a and b, "xor": lambda a, b: a != b}
ARITHMETIC: dict[str, Callable] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "shl": lambda a, b: a << b,
    "fma": lambda a, b, c: type(a)(np.longdouble(a) * np.longdouble(b) + np.longdouble(c)),
    "mad": lambda a, b, c: a * b + c,
    "neg": lambda a: -a,
    "mov": lambda a: a,
}


def execute(text, operands, memory):
    """Run a text. operands: "$0" … → value, changed. memory: address → value, changed.

    Returns the registers. Raises KeyError for what is read before it is written.
    """
    body = re.sub(r"//.*", "", text).strip().removeprefix("{").removesuffix("}")
    body = re.sub(r"(\w+):", r"\1: ;", body)
    lines = [line for line in (" ".join(part.split()) for part in body.split(";")) if line]
    labels = {line[:-1].strip(): k for k, line in enumerate(lines) if line.endswith(":")}
    registers = operands
    k = 0

    def value(word):
        if match := re.fullmatch(r"0([fd])([0-9A-F]+)", word):
            kind = np.dtype(np.uint32 if match[1] == "f" else np.uint64)
            return np.array(int(match[2], 16), kind).view(f"f{kind.itemsize}")[()]
        return int(word) if re.fullmatch(r"-?\d+", word) else registers[word]

    with np.errstate(all="ignore"):
        while k < len(lines):
            line = lines[k]
            k += 1
            if line.startswith(".reg") or line.endswith(":"):
                continue
            if guard := re.match(r"@(!?)(\w+) ", line):
                if bool(registers[guard[2]]) == bool(guard[1]):
                    continue
                line = line[guard.end() :]
            name, _, rest = line.partition(" ")
            arguments = [word.strip() for word in rest.split(",")]
            kind, *modifiers = name.split(".")
            if kind == "bra":
                k = labels[arguments[0]]
            elif kind == "ld":
                registers[arguments[0]] = memory[value(arguments[1][1:-1])]
            elif kind == "st":
                memory[value(arguments[0][1:-1])] = value(arguments[1])
            elif kind == "atom":
                at = value(arguments[1][1:-1])
                registers[arguments[0]] = memory[at]
                memory[at] += value(arguments[2])
            elif kind == "setp":
                found = COMPARISONS[modifiers[0]](*map(value, arguments[1:3]))
                if len(arguments) == 4:
                    found = BOTH[modifiers[1]](bool(found), bool(value(arguments[3])))
                registers[arguments[0]] = bool(found)
            elif kind == "cvt":
                to = next(word for word in modifiers if word[0] in "fs")
                registers[arguments[0]] = REAL.get(to, int)(value(arguments[1]))
            else:
                found = ARITHMETIC[kind](*map(value, arguments[1:]))
                registers[arguments[0]] = REAL.get(modifiers[-1], int)(found)
    return registers
