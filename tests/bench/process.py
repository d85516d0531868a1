"""What a process costs: the time to print the help, and the memory of a whole run above the process's own."""

import contextlib
import ctypes
import gc
import subprocess
import sys
from statistics import median
from time import perf_counter

from tests.bench import graphs, market
from tests.bench.clock import peak_bytes
from tests.bench.findings import Finding, Section
from tests.bench.plain import whole

COLUMNS = 6
"""int64 columns of the input: open, high, low, close, volume and the times."""


def help_seconds(repeats: int) -> float:
    """Median wall time of `--help` in a fresh process."""
    taken = []
    for _ in range(repeats):
        began = perf_counter()
        subprocess.run([sys.executable, "-m", "kraken_flow", "--help"], check=True, capture_output=True)
        taken.append(perf_counter() - began)
    return median(taken)


def memory(n: int) -> tuple[int, int]:
    """Return (bytes of the input, peak of a plain run above what the process held with the input loaded).

    Runs in this process: call it in a fresh one. A short run first brings in everything that is loaded once.
    """
    graph = graphs.plain()
    whole(graph, market.single(1000))
    loaded = market.single(n)
    _give_back()
    _forget_peak()
    before = peak_bytes_now()
    kept = whole(graph, loaded)
    assert len(kept.trips) > 0
    return n * 8 * COLUMNS, max(0, peak_bytes_now() - before)


def _give_back() -> None:
    """Return what the making of the market has freed to the system, so that the run cannot use it for nothing."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _forget_peak() -> None:
    """Restart the kernel's peak counter, which the making of the market has raised."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:  # noqa: PTH123 - a kernel interface
        file.write("5")


def peak_bytes_now() -> int:
    """Largest resident memory since the counter was restarted; since the start where there is no counter."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:  # noqa: PTH123 - a kernel interface
            line = next(line for line in file if line.startswith("VmHWM"))
    except OSError:
        return peak_bytes()
    return int(line.split()[1]) * 1024


def memory_apart(n: int) -> tuple[int, int]:
    """`memory` in a process of its own."""
    code = f"from tests.bench.process import memory; print(*memory({n}))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603 - our own program
    size, above = done.stdout.split()
    return int(size), int(above)


def section(n: int, repeats: int) -> Section:
    """Help and memory."""
    size, above = memory_apart(n)
    note = f"{above / 1e6:.0f} MB above the process with its input; input {size / 1e6:.0f} MB (five columns and times)"
    return Section(
        "a process of its own",
        (),
        [
            Finding("--help", help_seconds(repeats), "s", "at most", 0.8),
            Finding(f"memory of a whole run over {n:,} bars", (above + size) / size, "x input", "at most", 3.0, note),
        ],
    )
