"""Write the tables of README.md, benchmarks/README.md and the site from the recorded results.

`python -m benchmarks.tools.tables` writes each between its marks, `<!-- table NAME -->` and
`<!-- end -->`.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from benchmarks.contestants import BACKENDS, ENTRIES, ON_GPU, PEERS
from benchmarks.inputs import COARSENESS, DTYPES
from benchmarks.tools.checkout import TOP
from benchmarks.tools.recorded import (
    RESULTS,
    Values,
    commits,
    machines,
    newest,
    newest_by_commit,
    values,
)

FILES = (
    TOP / "README.md",
    TOP / "benchmarks" / "README.md",
    TOP / "docs" / "start" / "which-backend.md",
    TOP / "docs" / "start" / "precision.md",
    TOP / "docs" / "validation.md",
)
MARKED = re.compile(r"(<!-- table (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)

STEP = "step.Step.time_million_neuron_steps"
STIFF_STEP = "step.StiffStep.time_million_neuron_steps"
OVER_PEER = "step.OverPeer.track_time_over_peer"
OVER_HELD = "currents.OverHeld.track_time_over_held"
TRACE_ERROR = "accuracy.TraceError.track_V_over_50_ms"
RATE_ERROR = "accuracy.RateError.track_rate"
SPIKE_TIME_ERROR = "accuracy.SpikeTimeError.track_spike_time_over_200_ms"
WORK_PRECISION = "accuracy.WorkPrecision.track_V_over_10_ms"
FIRST_RESULT = "start.FirstResult.time_first_result"
FIRST_RESULT_EVER = "start.FirstResultEver.track_first_result_ever"

LAST_OF = {  # the last commit of the work on each
    "the core and NumPy": "16149676",
    "PyCUDA": "24bbc10a",
    "Triton": "aef28b37",
    "the kit and Numba": "4997b99a",
}


@dataclass(frozen=True)
class Topic:
    """How to write a benchmark as a table: columns for its last parameter, rows for the others."""

    benchmark: str
    title: str
    written: Callable[[float], str]


def scientific(value: float, digits: int = 2) -> str:
    """Format a number as 1.4e11 or 2e-6, without zeros in the exponent."""
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa}e{int(exponent)}" if value else "0"


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:,.3g} ms" if seconds < 1 else f"{seconds:.2f} s"


def millivolts(error: float) -> str:
    return f"{scientific(error)} mV"


def speed(seconds: float) -> str:
    """Format neuron-steps per second, given the seconds of a million neuron-steps."""
    return scientific(1e6 / seconds, 3)


TOPICS = (
    Topic(STEP, "Neuron-steps a second, by number of neurons", speed),
    Topic(STIFF_STEP, '… by method="stiff"', speed),
    Topic(
        "membranes.MembraneStep.time_million_neuron_steps",
        "Neuron-steps a second of membranes of the library, by number of neurons",
        speed,
    ),
    Topic(OVER_PEER, "Time of a step over that of a peer, float32", "{:.2g}".format),
    Topic(OVER_HELD, "Time of a step over that with a held current, float32", "{:.3g}".format),
    Topic("call.Call.time_call", "A whole call, 10,000 neurons for 5000 steps", milliseconds),
    Topic(
        "call.OverSteps.track_call_over_steps",
        "Time of a whole call over that of its steps, float32",
        "{:.3g}".format,
    ),
    Topic(FIRST_RESULT, "First result of a process", milliseconds),
    Topic(FIRST_RESULT_EVER, "… nothing cached", milliseconds),
    Topic("start.Package.time_import", "`import hhplug`", milliseconds),
    Topic("start.Package.time_discovery", "`hhplug backends`", milliseconds),
    Topic(
        "memory.Host.peakmem_V_of_every_step",
        "Most memory of the process in a call with V of every step",
        lambda size: f"{size / 1e6:.0f} MB",
    ),
    Topic("memory.Device.track_bytes_a_neuron", "Bytes of the GPU a neuron", "{:.0f}".format),
    Topic(TRACE_ERROR, "Worst error of V over 50 ms", millivolts),
    Topic(
        SPIKE_TIME_ERROR,
        "Worst error of a spike time over 200 ms",
        lambda error: f"{scientific(error)} ms",
    ),
    Topic(RATE_ERROR, "Worst relative error of a rate", scientific),
    Topic(
        WORK_PRECISION,
        "Worst error of V over 10 ms against the exact solution, by dt in ms",
        millivolts,
    ),
)


def markdown(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    header = list(header)
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def topic(found: Values, of: Topic) -> str:
    """Return a topic's table in Markdown, without empty rows, or "" if it has no results."""
    known = {key[1:]: value for key, value in found.items() if key[0] == of.benchmark}
    if not known:
        return ""
    if () in known:
        return f"{of.title}: {of.written(known[()])}\n"
    down = Counter(params[:-1] for params in known)
    whole_rows_first = sorted(known, key=lambda params: -down[params[:-1]])
    across = list(dict.fromkeys(params[-1] for params in whole_rows_first))
    rows = [
        [" ".join(row), *(of.written(known[*row, c]) if (*row, c) in known else "" for c in across)]
        for row in down
    ]
    return f"{of.title}\n\n" + markdown(["", *map(number, across)], rows)


def number(text: str) -> str:
    return f"{int(text):,}" if text.isdigit() else text


def backends(folder: Path) -> str:
    """Return a table of the errors, and of the speeds on CPU and GPU, of each backend and peer."""
    on_cpu, on_gpu = (newest(machine, folder) for machine in cpu_and_gpu(folder))
    rows = []
    for name in BACKENDS + PEERS:
        here, what = on_gpu if name in ON_GPU else on_cpu, ENTRIES[name].what
        for dtype in DTYPES:
            cells = [
                cell(here, (TRACE_ERROR, name, dtype), millivolts),
                cell(here, (RATE_ERROR, name, dtype), scientific),
                cell(on_cpu, (STEP, name, dtype, "10000"), speed),
                cell(on_gpu, (STEP, name, dtype, "8000000"), speed),
            ]
            if any(cells):
                rows.append([f"`{name}` {dtype}", what, *cells])
                what = ""  # only the first row has the description
    header = ["", "", "V over 50 ms", "a rate", "CPU, 10,000 neurons", "H100, 8 million"]
    return markdown(header, rows)


def step_sizes(folder: Path) -> str:
    """Return a table of the relative time and the worst error of V of any backend, for each dt."""
    known = [newest(machine, folder) for machine in machines(folder)]
    rows = []
    for dt in COARSENESS:
        row = [f"{dt:g} ms", f"{COARSENESS[0] / dt:g}"]
        for dtype in DTYPES:
            keys = [(WORK_PRECISION, name, dtype, str(dt)) for name in BACKENDS]
            errors = [found[key] for found in known for key in keys if key in found]
            row.append(millivolts(max(errors)))
        rows.append(row)
    return markdown(["dt", "time", *DTYPES], rows)


def start_times(folder: Path) -> str:
    """Return a table of the time to the first result of a process, of each backend."""
    on_cpu, on_gpu = (newest(machine, folder) for machine in cpu_and_gpu(folder))
    rows = []
    for name in BACKENDS:
        here = on_gpu if name in ON_GPU else on_cpu
        cells = [cell(here, (b, name), milliseconds) for b in (FIRST_RESULT, FIRST_RESULT_EVER)]
        rows.append([f"`{name}`", "H100" if name in ON_GPU else "CPU", *cells])
    return markdown(["", "on", "first result of a process", "nothing cached"], rows)


def error_budget(folder: Path) -> str:
    """Return a table of the worst errors of each backend against the reference."""
    on_cpu, on_gpu = (newest(machine, folder) for machine in cpu_and_gpu(folder))
    rows = []
    for name, dtype in product(BACKENDS, DTYPES):
        here = on_gpu if name in ON_GPU else on_cpu
        cells = [
            cell(here, (TRACE_ERROR, name, dtype), millivolts),
            cell(here, (SPIKE_TIME_ERROR, name, dtype), lambda error: f"{scientific(error)} ms"),
            cell(here, (RATE_ERROR, name, dtype), scientific),
        ]
        if any(cells):
            rows.append([f"`{name}` {dtype}", *cells])
    header = ["", "V over 50 ms", "a spike time over 200 ms", "a rate, relative"]
    return markdown(header, rows)


def cell(found: Values, key: tuple[str, ...], written: Callable[[float], str]) -> str:
    return written(found[key]) if key in found else ""


def cpu_and_gpu(folder: Path) -> tuple[str, str]:
    """Return the names of the CPU machine and the GPU machine whose results are kept."""
    gpu = next(machine for machine in machines(folder) if "nvidia" in machine)
    cpu = next(machine for machine in machines(folder) if "nvidia" not in machine)
    return cpu, gpu


def history(folder: Path) -> str:
    """Return a table of each commit's speed, and its time relative to JAX's.

    The runs have 10,000 neurons in float32.
    """
    names = [name for name in BACKENDS if name != "reference"]
    rows = []
    for machine in machines(folder):
        for commit in commits(machine, folder):
            found = values(machine, commit, folder)
            what = next((what for what, last in LAST_OF.items() if commit.startswith(last)), "")
            rows.append([machine, f"{commit[:8]} {what}".strip()])
            for name in names:
                faster = cell(found, (STEP, name, "float32", "10000"), speed)
                ratio = cell(found, (OVER_PEER, name, "peer-jax", "10000"), "{:.2g}".format)
                rows[-1].append(f"{faster} ({ratio or '–'})" if faster else "")
    return markdown(["machine", "commit", *names], rows)


def machine_tables(machine: str, folder: Path) -> str:
    found, new = newest_by_commit(machine, folder), commits(machine, folder)[-1]
    known = {key: value for key, (value, _) in found.items()}
    tables = [table for of in TOPICS if (table := topic(known, of))]
    at = "".join(
        f"; at {commit[:8]} {', '.join(which)}"
        for commit, which in which_are_of({key: of for key, (_, of) in found.items()}).items()
        if commit != new
    )
    return f"At {new[:8]}{at}.\n\n" + "\n".join(tables)


def which_are_of(commits: dict[tuple[str, ...], str]) -> dict[str, list[str]]:
    """Return the benchmarks whose values are from each commit, as Benchmark(backend).

    If a backend's values are from several commits, all parameters are named instead.
    """
    of_backend: dict[tuple[str, ...], dict[str, list[str]]] = {}
    for (name, *params), commit in commits.items():
        whole = name.split(".")[1], *params[:1]
        of_backend.setdefault(whole, {}).setdefault(commit, []).append(", ".join(params))
    found: dict[str, list[str]] = {}
    for (name, *backend), given in of_backend.items():
        for commit, params in given.items():
            which = backend if len(given) == 1 else params
            found.setdefault(commit, []).extend(f"{name}({one})" for one in which)
    return found


def table(name: str, folder: Path = RESULTS) -> str:
    """Return the text between the marks of that name, which may be a machine's name."""
    if name in NAMED:
        return NAMED[name](folder)
    return machine_tables(name, folder)


NAMED: dict[str, Callable[[Path], str]] = {
    "backends": backends,
    "error-budget": error_budget,
    "history": history,
    "start-times": start_times,
    "step-sizes": step_sizes,
}


def written(text: str, folder: Path = RESULTS) -> str:
    """Return the text with its tables made anew from the results."""
    return MARKED.sub(lambda mark: f"{mark[1]}{table(mark[2], folder)}{mark[3]}", text)


def main() -> None:
    for file in FILES:
        file.write_text(written(file.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
