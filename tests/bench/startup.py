"""What a fresh process costs: imports, one short backtest from a file, a small sweep from the command line."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench import graphs, market
from tests.bench.clock import Contestant, take_turns
from tests.bench.findings import Check, Finding, Section, against
from tests.bench.record import ROOT
from tests.bench.sweep import with_time

IMPORTS = {
    "backtest": "from kraken_flow import backtest",
    "vectorbt": "import vectorbt",
    "backtesting.py": "import backtesting",
    "TA-Lib": "import talib",
    "numba": "import numba",
    "pandas": "import pandas",
}
MEMBERS = "5,10", "50,100"
"""Fast and slow averages of a sweep of four."""


def python(*words: str, folder: Path = ROOT) -> str:
    """Run this interpreter in a process of its own; return what it printed."""
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, cwd=folder)  # noqa: S603 - our own words
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


def command(path: Path, out: Path, *more: str) -> None:
    """Run a backtest of one file from the command line into `out`."""
    words = [*graphs.words(), "data=files", f"data.path={path}", f"run_dir={out}", *more]
    python("-m", "kraken_flow", "mode=backtest", *words)


def sweep(path: Path, out: Path) -> None:
    """Run a sweep of one file from the command line into `out`."""
    words = [*graphs.words(*MEMBERS), "data=files", f"data.path={path}", f"run_dir={out}"]
    python("-m", "kraken_flow", "-m", "mode=backtest", *words)


def final_equity(out: Path) -> float:
    """Read the final equity of a run that was written."""
    return float(json.loads((out / "metrics.json").read_text("utf-8"))["final_equity"])


def imports(rounds: int) -> Section:
    """Import in a fresh process, next to an interpreter that imports nothing."""
    sides = {name: Contestant(_importing(code)) for name, code in IMPORTS.items()}
    sides |= {"nothing": Contestant(_importing("pass")), "ours": Contestant(_importing("import kraken_flow"))}
    times = take_turns(sides, rounds)
    findings = [
        against(times, rival, f"`{IMPORTS['backtest']}`", ours="backtest", label=f"{rival}: `{IMPORTS[rival]}`")
        for rival in list(IMPORTS)[1:]
    ]
    alone = [Finding(f"`{code}`", times.median(name), "s") for name, code in IMPORTS.items()]
    lazy = Finding("`import kraken_flow`", times.median("ours"), "s", note="loads the rest when it is asked for")
    return Section(
        "imports in a fresh process", (), [Finding("python", times.median("nothing"), "s"), lazy, *alone, *findings]
    )


def _importing(code: str) -> Callable[[object], str]:
    return lambda _: python("-c", code)


def backtests(n: int, rounds: int) -> Section:
    """One short backtest from a CSV file: interpreter, imports, reading, running, and here a run directory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, out = folder / "BTC-USD.csv", folder / "run"
        with_time(market.candles(n)).to_csv(path, index=False)
        times = take_turns(
            {
                "ours": Contestant(lambda _: float(python("-m", "tests.bench.cold", "ours", str(path)))),
                "command line": Contestant(lambda _: command(path, out)),
                "sweep": Contestant(lambda _: sweep(path, folder / "sweep")),
                "vectorbt": Contestant(lambda _: float(python("-m", "tests.bench.cold", "vectorbt", str(path)))),
                "backtesting.py": Contestant(
                    lambda _: float(python("-m", "tests.bench.cold", "backtesting.py", str(path)))
                ),
            },
            rounds,
        )
        written = final_equity(out)
    results = times.results
    checks = [
        Check(f"final equity, {rival}", results["ours"], results[rival]) for rival in ("vectorbt", "backtesting.py")
    ]
    checks.append(Check("final equity, script and command line", results["ours"], written))
    what = f"cold process, CSV of {n:,} bars"
    findings = [
        against(times, rival, f"{what}, script", label=f"{rival}, script") for rival in ("vectorbt", "backtesting.py")
    ]
    findings += [
        against(times, rival, f"{what}, command line", ours="command line", label=f"{rival}, script")
        for rival in ("vectorbt", "backtesting.py")
    ]
    findings.append(Finding("sweep of 4 from the command line", times.median("sweep"), "s", note="4 run directories"))
    return Section(f"cold process, {n:,} bars", checks, findings)


def reports(n: int, rounds: int, options: Sequence[str]) -> Section:
    """The whole command from a parquet file, by what is reported."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "BTC-USD.parquet"
        with_time(market.candles(n)).to_parquet(path, index=False)
        times = take_turns(
            {
                option: Contestant(lambda _, option=option: command(path, folder / option, f"report={option}"))
                for option in options
            },
            rounds,
            warm=0,
        )
        sizes = {
            option: sum(f.stat().st_size for f in (folder / option).rglob("*") if f.is_file()) for option in options
        }
        finals = [final_equity(folder / option) for option in options]
    checks = [
        Check(f"final equity, report={options[0]} and {o}", finals[0], f)
        for o, f in zip(options[1:], finals[1:], strict=True)
    ]
    return Section(
        f"the whole command, parquet file of {n:,} bars, cold",
        checks,
        [
            Finding(f"report={option}", times.median(option), "s", note=f"{sizes[option] / 1e6:.1f} MB written")
            for option in options
        ],
    )
