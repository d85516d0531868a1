import json
import re
import shlex
import sys
from pathlib import Path

import pandas as pd
import pytest

from kraken_flow.analysis import outside
from kraken_flow.analysis.leaks import CHECKS
from kraken_flow.config import build, compose
from kraken_flow.core.times import iso
from kraken_flow.modes.audit import SHOWN
from kraken_flow.modes.driver import load

PAGE = (Path(__file__).parents[3] / "docs" / "audit.md").read_text("utf-8")
SMALL = ["pairs=[BTC/USD,ETH/USD]", "mode.rows=150", "mode.cuts=3", "end=2021-03-01"]
HEAD = """
from kraken_flow.core import Feature, Portfolio, Source, Strategy, node, where
from kraken_flow.features import Sma
import numpy as np
"""
HONEST = """
@node
class {name}(Strategy):
    window: int = {window}
    def features(self):
        return {{"close": "close", "mean": Sma("close", self.window)}}
    def forecast(self, f):
        return where(f.close > f.mean, 1.0, -1.0)
"""
PEEK = """
@node
class {name}(Strategy):
    def features(self):
        return {{"close": "close"}}
    def forecast(self, f):
        print("debugging")
        return where(np.append(f.close[1:], f.close[-1]) > f.close, 1.0, -1.0)
"""


def a_strategy(program, module, text, option=True, window=5):
    """Drop a strategy of a file name that no other test imports."""
    name = "".join(map(str.title, module.split("_")))
    source = HEAD.replace("Portfolio, ", "") + text.format(name=name, window=window)
    path = program.write(f"strategies/{module}.py", source)
    if option:
        program.write(f"conf/strategy/{module}.yaml", f"_target_: strategies.{module}.{name}\n")
    return path


def look_ahead(program):
    """What the manifest says of the newest run's audit."""
    return json.loads((program.folder / "runs/latest/manifest.json").read_text())["audit"]


def audit_of(program):
    """The folder of the only audit: audits are not the latest run."""
    assert not (program.folder / "runs/latest").exists()
    (folder,) = (program.folder / "runs/audit").glob("*/*")
    return folder


def test_a_sound_system_passes_and_every_node_has_a_line(program):
    assert program("mode=audit", "strategy=combined", *SMALL) == 0, program.err
    assert program.err == ""
    nodes = [
        "Sma(window=10)",
        "strategy.sma_cross: SmaCross",
        "strategy: Combined",
        "portfolio: FixedFraction",
        "orders",
    ]
    lines = {line.rpartition("  ok")[0].strip() for line in program.out.splitlines() if line.rstrip().endswith(" ok")}
    assert [node for node in nodes if not any(line.startswith(node) for line in lines)] == []
    certificate = json.loads((audit_of(program) / "audit.json").read_text())
    assert (certificate["verdict"], certificate["system"]) == ("passed", "passed")
    assert {node["verdict"] for node in certificate["nodes"]} == {"ok"}
    assert all(node["source"]["sha256"] for node in certificate["nodes"] if node["node"] != "orders")
    assert certificate["rows"] == 150 + 60 - 1
    assert len(certificate["method"]["cuts"]) == 4
    assert f"{certificate['method']['markets']} other markets" in program.out
    manifest = json.loads((audit_of(program) / "manifest.json").read_text())
    assert (manifest["status"], manifest["verdict"]) == ("finished", "passed")


def test_a_strategy_that_peeks_is_named_with_the_first_bar_and_pair(program):
    a_strategy(program, "audit_peek", PEEK)
    assert program("mode=audit", "strategy=audit_peek", *SMALL, "run_dir=out") == 1
    said = re.fullmatch(
        r"error: strategy: AuditPeek knows the future: first for (\S+) at the close of the bar of (\S+), where it says "
        r"(-?1) in a backtest; .+ it says (-?1)\n",
        program.err,
    )
    assert said
    assert said[3] != said[4]
    assert "debugging" not in program.out
    market = load(build(compose(["strategy=audit_peek", *SMALL[:1], SMALL[-1]])))
    times = [iso(time) for time in market.times[-150:].tolist()]
    assert said[1] in ("BTC/USD", "ETH/USD")
    assert said[2] in times[:20]
    assert re.search(r"strategy: AuditPeek +strategy +300 +KNOWS THE FUTURE", program.out)
    assert re.search(r"portfolio: FixedFraction .+ reads one that fails", program.out)
    node = next(
        n for n in json.loads((program.folder / "out/audit.json").read_text())["nodes"] if n["kind"] == "strategy"
    )
    assert node["first"] == {
        "bar": said[2], "pair": said[1], "check": node["first"]["check"], "backtest": said[3], "otherwise": said[4],
    }  # fmt: skip


def test_a_dropped_file_is_audited_beside_the_system_unless_only_the_chosen_one_is(program):
    a_strategy(program, "audit_dropped_well", HONEST, option=False)
    a_strategy(program, "audit_dropped_peek", PEEK, option=False)
    assert program("mode=audit", *SMALL) == 1
    assert program.err.startswith(
        "error: strategies/audit_dropped_peek.py: AuditDroppedPeek knows the future: first for "
    )
    assert program.err.count("\n") == 1
    assert re.search(r"strategies/audit_dropped_well.py: AuditDroppedWell +strategy +[\d,]+ +ok", program.out)
    certificate = json.loads((audit_of(program) / "audit.json").read_text())
    assert (certificate["verdict"], certificate["system"]) == ("failed", "passed")
    assert program("mode=audit", "mode.strategies=chosen", *SMALL) == 0
    assert "dropped" not in program.out


def test_a_file_is_audited_as_its_options_say(program):
    a_strategy(program, "audit_options", HONEST)
    program.write("conf/strategy/slower.yaml", "_target_: strategies.audit_options.AuditOptions\nwindow: 9\n")
    assert program("mode=audit", "strategy=slower", *SMALL) == 0
    assert "strategies/audit_options.py: AuditOptions (audit_options)" in program.out
    assert "(slower)" not in program.out
    assert "Sma(window=9)" in program.out


def test_a_file_that_cannot_be_imported_is_named(program):
    program.write("strategies/audit_broken.py", "def f(:\n")
    program.write("strategies/audit_needs.py", "import a_library_nobody_has\n")
    assert program("mode=audit", *SMALL) == 2
    broken, needs = program.err.splitlines()
    assert broken.startswith("error: strategies/audit_broken.py, line 1: cannot be imported: SyntaxError: ")
    assert needs.startswith(
        "error: strategies/audit_needs.py, line 1: cannot be imported: ModuleNotFoundError: No module named"
    )
    assert needs.endswith("; mode.strategies=chosen audits the composed system alone")
    assert not (program.folder / "runs").exists()


def test_what_cannot_be_audited_alone_is_noted(program):
    text = """
@node
class NoDefault(Strategy):
    window: int
    def forecast(self, f):
        return np.array(1.0)

@node
class Sizer(Portfolio):
    def targets(self, view):
        return [0]

@node
class OfSource(Feature):
    source: Source
"""
    program.write(
        "strategies/audit_notes.py",
        HEAD.replace("Portfolio, ", "") + "from kraken_flow.core.account import Portfolio\n" + text,
    )
    assert program("mode=audit", *SMALL) == 0, program.err
    notes = [line for line in program.out.splitlines() if line.startswith("note: ")]
    assert notes == [
        "note: strategies/audit_notes.py: NoDefault is left out: window must be given, in a file of conf/strategy/",
        "note: strategies/audit_notes.py: Sizer is left out: a portfolio is audited as part of the system that "
        "chooses it",
        "note: strategies/audit_notes.py: OfSource is looked at where a strategy reads it: source has no default",
    ]


AT_IMPORT = """
from pathlib import Path
KNOWN = Path("tomorrow.txt").read_text()
"""
WHEN_ASKED = HONEST.replace("return where", "open('tomorrow.txt').close()\n        return where")


TO_AND_FRO = HONEST.replace("return where", "open('tomorrow.txt', 'r+').close()\n        return where")
READING = [("audit_reads_once", AT_IMPORT + HONEST), ("audit_reads", WHEN_ASKED), ("audit_to_and_fro", TO_AND_FRO)]


@pytest.mark.parametrize(("module", "text"), READING)
def test_a_strategy_that_reads_a_file_is_named_with_it(program, module, text):
    program.write("tomorrow.txt", "up")
    a_strategy(program, module, text)
    assert program("mode=audit", f"strategy={module}", *SMALL) == 1
    name = "".join(map(str.title, module.split("_")))
    assert program.err == (
        f"error: strategy: {name} reads tomorrow.txt: nobody can tell of which time that knows; "
        "let it read the market alone\n"
    )
    assert "READS MORE" in program.out


PARQUET = "import pandas as pd\n" + HONEST.replace(
    "return where", "pd.read_parquet('tomorrow.parquet')\n        return where"
)
PARQUET_AT_IMPORT = "import pyarrow.parquet as pq\nKNOWN = pq.read_table('tomorrow.parquet')\n" + HONEST
QUIETLY = PARQUET.replace(
    "        pd.read_parquet('tomorrow.parquet')\n        return where(f.close > f.mean, 1.0, -1.0)",
    "        try:\n            pd.read_parquet('tomorrow.parquet')\n        except OSError:\n"
    "            return f.close * 0\n"
    "        return where(f.close > f.mean, 1.0, -1.0)",
)
IN_ANOTHER_FILE = "import {name}_levels\n" + HONEST
MARKET_AGAIN = "from kraken_flow.data.synthetic import bars_of\nKNOWN = bars_of('BTC/USD', 7)\n" + HONEST
MARKET_WHEN_ASKED = HONEST.replace("return where", "from kraken_flow.data import synthetic\n        return where")
UNSEEN = [
    ("audit_parquet", PARQUET, "fails: OSError: ", "(audit_parquet.py, line "),
    ("audit_parquet_once", PARQUET_AT_IMPORT, "may open nothing, OSError: ", "tomorrow.parquet"),
    ("audit_quietly", QUIETLY, "where it may open nothing, it says something else", ""),
    ("audit_elsewhere", IN_ANOTHER_FILE, "may open nothing, OSError: ", "tomorrow.parquet"),
    ("audit_again", MARKET_AGAIN, "reads kraken_flow.data.synthetic, which makes markets and runs", ""),
    ("audit_then", MARKET_WHEN_ASKED, "fails: ModuleNotFoundError: import of kraken_flow.data", ""),
]


@pytest.mark.parametrize(("module", "text", "words", "more"), UNSEEN)
def test_what_python_does_not_open_is_missed_where_nothing_can_be_opened(program, module, text, words, more):
    pd.DataFrame({"close": [1.0]}).to_parquet(program.folder / "tomorrow.parquet")
    name = "".join(map(str.title, module.split("_")))
    program.write(f"{name}_levels.py", "import pyarrow.parquet as pq\nKNOWN = pq.read_table('tomorrow.parquet')\n")
    a_strategy(program, module, text)
    assert program("mode=audit", f"strategy={module}", *SMALL) == 1
    assert program.err.startswith(f"error: strategy: {name} reads ")
    assert words in program.err
    assert more in program.err


TABLED = {
    "strategies/{name}_table.py": "from pathlib import Path\nTABLE = dict(a=Path('tomorrow.txt').read_text())\n",
    "strategies/{name}.py": "from strategies.{name}_table import TABLE\n",
}
PACKED = {
    "strategies/{name}/__init__.py": "from pathlib import Path\nN = len(Path('tomorrow.txt').read_text())\n",
    "strategies/{name}/idea.py": "from . import N\n",
}


@pytest.mark.parametrize(("name", "files"), [("audit_tabled", TABLED), ("audit_packed", PACKED)])
def test_what_another_file_reads_is_read_by_the_strategy_that_imports_it(program, name, files):
    program.write("tomorrow.txt", "up")
    cls = "".join(map(str.title, name.split("_")))
    for path, text in files.items():
        last = path == list(files)[-1]
        more = HEAD.replace("Portfolio, ", "") + HONEST.format(name=cls, window=5) if last else ""
        program.write(path.format(name=name), text.format(name=name) + more)
    module = list(files)[-1].format(name=name).removesuffix(".py").replace("/", ".")
    program.write(f"conf/strategy/{name}.yaml", f"_target_: {module}.{cls}\n")
    assert program("mode=audit", f"strategy={name}", *SMALL) == 1
    assert f"strategy: {cls} reads tomorrow.txt" in program.err


SOUND = {
    "audit_super": """
import enum
class Way(enum.Enum):
    UP = 1
@node
class Base(Strategy):
    way: Way = Way.UP
    def features(self):
        return {"close": "close", "mean": Sma("close", 5)}
    def forecast(self, f):
        return where(f.close > f.mean, 1.0, -1.0) if isinstance(self, Base) and self.way is Way.UP else f.close * 0
@node
class AuditSuper(Base):
    def forecast(self, f):
        return super(AuditSuper, self).forecast(f)
""",
    "audit_log": """
import multiprocessing
LOCK = multiprocessing.Lock()
@node
class AuditLog(Strategy):
    def features(self):
        return {"close": "close", "mean": Sma("close", 5)}
    def forecast(self, f):
        with open("mine.log", "a") as log:
            log.write("asked")
        return where(f.close > f.mean, 1.0, -1.0)
""",
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_files_raise_no_alarm(program, name):
    program.write(f"strategies/{name}.py", HEAD.replace("Portfolio, ", "") + SOUND[name])
    cls = "".join(map(str.title, name.split("_")))
    program.write(f"conf/strategy/{name}.yaml", f"_target_: strategies.{name}.{cls}\n")
    assert program("mode=audit", f"strategy={name}", *SMALL) == 0, program.err


HANDED = """
from typing import Any
@node
class {name}(Strategy):
    reference: Any
    def features(self):
        return {{"close": "close"}}
    def forecast(self, f):
        return where(f.close > 0, 1.0, -1.0)
"""


@pytest.mark.parametrize("chosen", [True, False])
def test_a_strategy_that_is_handed_a_source_of_data_is_refused(program, chosen):
    a_strategy(program, "audit_handed", HANDED, option=False)
    program.write(
        "conf/strategy/audit_handed.yaml",
        "_target_: strategies.audit_handed.AuditHanded\nreference: {_target_: kraken_flow.data.sample.Sample}\n",
    )
    assert program("mode=audit", f"strategy={'audit_handed' if chosen else 'hold'}", *SMALL) == 2
    assert "AuditHanded.reference is a Sample, a node of data or of the account" in program.err


WRITES = HONEST.replace("return where", "f.close[:] = 1.0\n        return where")


def test_columns_are_read_only(program):
    a_strategy(program, "audit_writes", WRITES)
    assert program("mode=audit", "strategy=audit_writes", *SMALL) == 2
    assert "ValueError: assignment destination is read-only (audit_writes.py, line " in program.err


ROUNDS = """
from kraken_flow.core import Window, WindowFeature
@node
class Smooth(WindowFeature):
    source: Source = "close"
    length: Window = 7
    def window(self, w):
        return w @ np.linspace(0.1, 1.3, 7) / 3.0
@node
class {name}(Strategy):
    def features(self):
        return {{"close": "close", "smooth": Smooth()}}
    def forecast(self, f):
        return where(f.smooth > 2 * f.close, 1.0, -1.0)
"""


def test_rounding_is_told_from_knowing(program):
    a_strategy(program, "audit_rounds", ROUNDS)
    assert program("mode=audit", "strategy=audit_rounds", *SMALL) == 1
    assert "NOT TO THE BIT" in program.out
    assert "KNOWS" not in program.out
    assert "rounds otherwise when it is asked about other rows: first for " in program.err


RARE = HONEST.replace(
    "return where(f.close > f.mean, 1.0, -1.0)",
    "ahead = np.append(f.close[1:], f.close[-1:])\n"
    "        return where(f.close > 32500.0, where(ahead > f.close, 1.0, -1.0), where(f.close > f.mean, 1.0, -1.0))",
)


def test_a_leak_on_a_few_bars_long_before_those_audited_is_caught(program):
    a_strategy(program, "audit_rare", RARE)
    assert program("mode=audit", "strategy=audit_rare", *SMALL) == 1
    assert "KNOWS THE FUTURE" in program.out
    assert "error: strategy: AuditRare knows the future: first for BTC/USD at the close of the bar of " in program.err


def test_a_file_beside_the_environment_is_no_part_of_it(program, monkeypatch):
    beside = program.folder / "venv-levels.txt"
    beside.write_text("up")
    monkeypatch.setattr(outside, "_PLACES", (str(program.folder / "venv"), *outside._PLACES))
    a_strategy(
        program, "audit_beside", HONEST.replace("return where", "open('venv-levels.txt').close()\n        return where")
    )
    assert program("mode=audit", "strategy=audit_beside", *SMALL) == 1
    assert "AuditBeside reads venv-levels.txt" in program.err


def test_time_zones_and_modules_imported_when_asked_are_nothing_to_hide(program):
    local = "import zoneinfo\n        zoneinfo.ZoneInfo.no_cache('Europe/Berlin')\n        import this\n        "
    a_strategy(program, "audit_zones", HONEST.replace("return where", f"{local}return where"))
    assert program("mode=audit", "strategy=audit_zones", *SMALL) == 0, program.err


MANY = HONEST.replace(
    "return where(f.close > f.mean",
    "level = np.median(f.close) if len(f.close) > 1000 else f.mean\n        return where(f.close > level",
)


def test_a_strategy_that_peeks_on_many_bars_only_is_caught(program):
    a_strategy(program, "audit_many", MANY)
    assert program("mode=audit", "strategy=audit_many", *SMALL[:3]) == 1
    assert "strategy: AuditMany knows the future: first for " in program.err
    assert "; when all the data ends some time later, it says" in program.err


def test_a_node_that_fails_is_wrong_input_and_named(program):
    a_strategy(
        program,
        "audit_raises",
        HONEST.replace("return where", "assert len(f.close) > 9**9, 'too few'\n        return where"),
    )
    assert program("mode=audit", "strategy=audit_raises", *SMALL) == 2
    assert re.match(r"error: strategy: AssertionError: too few \(audit_raises\.py, line \d+\)\n", program.err)


def test_a_strategy_that_fails_bar_by_bar_is_named(program):
    two = "assert len(f.close) != 2, 'two'\n        return where"
    a_strategy(program, "audit_two", HONEST.replace("return where", two))
    assert program("mode=audit", "strategy=audit_two", *SMALL) == 1
    assert re.fullmatch(
        r"error: strategy: AuditTwo does not work bar by bar: first for BTC/USD at the close of the bar of \S+; "
        r"asked bar by bar, .+ fails: AssertionError: two \(audit_two.py, line .+\n",
        program.err,
    )


def test_a_centred_mean_is_caught_though_it_cannot_answer_bar_by_bar(program):
    smooth = "np.convolve(f.close, np.ones(5) / 5, mode='same')"
    a_strategy(program, "audit_smooth", HONEST.replace("f.close > f.mean", f"{smooth} > f.mean"))
    assert program("mode=audit", "strategy=audit_smooth", *SMALL) == 1
    assert program.err.startswith("error: strategy: AuditSmooth knows the future: first for ")
    assert program.err.count("\n") == 1


def test_a_node_that_says_nothing_is_no_proof(program):
    assert program("mode=audit", "strategy=momentum", "strategy.ranked=true", "pairs=[BTC/USD]", *SMALL[1:]) == 1
    assert " on these bars, so nothing is shown of it: give it more bars (mode.rows)" in program.err
    assert "SAYS NOTHING" in program.out


def test_too_little_data_is_wrong_input(program):
    assert program("mode=audit", "start=2021-01-01", "end=2021-01-01T02:00:00Z", "mode.strategies=chosen") == 2
    assert program.err == "error: the data has 2 bars between start and end: an audit needs 3 or more\n"


def test_the_certificate_is_what_report_json_prints(program):
    assert program("mode=audit", *SMALL, "report=json", "run_dir=out") == 0
    assert json.loads(program.out) == json.loads((program.folder / "out/audit.json").read_text())
    assert program("mode=audit", *SMALL, "run_dir=out") == 0


@pytest.mark.parametrize("mode", ["backtest", "replay", "paper"])
def test_a_run_says_whether_it_was_audited(program, mode):
    path = a_strategy(program, f"audit_certified_{mode}", HONEST)
    run = [f"mode={mode}", f"strategy={path.stem}", SMALL[0], "start=2021-06-01", "end=2021-06-05"]
    assert program(*run) == 0
    assert re.search(r"Look-ahead +not audited; mode=audit does it", program.out)
    assert program("mode=audit", f"strategy={path.stem}", *SMALL, "run_dir=anywhere") == 0
    assert program(*run) == 0
    assert re.search(r"Look-ahead +audited on 20\d\d-\d\d-\d\d", program.out)
    assert look_ahead(program)["run"] == "anywhere"
    assert program(*run, "strategy.window=5") == 0
    assert look_ahead(program)["audited"]
    for other in ("strategy.window=6", "risk=none", "timeframe=4h", "exchange=bare"):
        assert program(*run, other) == 0
        assert not look_ahead(program)["audited"]
        part = other.partition("=")[0].partition(".")[0]
        why = look_ahead(program)["why"]
        if part != "strategy":
            assert re.search(rf"not audited: the audit of 20\S+ had another {part}; mode=audit does it", why), why
    path.write_text(path.read_text() + "\n# another line\n")
    assert program(*run) == 0
    assert f"Look-ahead not audited: strategies.{path.stem} changed since 20" in " ".join(program.out.split())


def test_a_replay_says_of_its_audit_what_the_session_said(program, monkeypatch):
    path = a_strategy(program, "audit_replayed", "from strategies.audit_shared import LEVEL\n" + HONEST)
    shared = program.write("strategies/audit_shared.py", "LEVEL = 1.0\n")
    for name in [name for name in sys.modules if name.startswith("strategies.")]:
        monkeypatch.delitem(sys.modules, name)
    run = [f"strategy={path.stem}", SMALL[0], "start=2021-06-01", "end=2021-06-05"]
    assert program("mode=audit", "mode.strategies=chosen", f"strategy={path.stem}", *SMALL) == 0
    assert program("mode=paper", *run, "run_dir=runs/session") == 0
    said = look_ahead(program)
    assert said["audited"]
    assert "strategies.sma_cross" not in sys.modules
    assert program("mode=replay", "mode.run=runs/session") == 0
    assert "strategies.sma_cross" in sys.modules, "the default is composed before the session's own is read"
    assert look_ahead(program) == said

    other = a_strategy(program, "audit_second", "from strategies.audit_inner import LEVEL\n" + HONEST)
    program.write("strategies/audit_inner.py", "LEVEL = 2.0\n")
    assert program(f"strategy={other.stem}", *run[1:]) == 0
    assert program(*run) == 0
    assert look_ahead(program) == said, "another system and what it imports are loaded in the same process"

    shared.write_text("LEVEL = 3.0\n")
    assert program(*run) == 0
    assert look_ahead(program)["why"].startswith("not audited: strategies.audit_shared changed since 20")


def test_a_run_of_a_system_that_failed_says_so(program):
    a_strategy(program, "audit_failed", PEEK)
    assert program("mode=audit", "strategy=audit_failed", *SMALL) == 1
    assert program("strategy=audit_failed", *SMALL[:1], SMALL[-1]) == 0
    assert re.search(r"Look-ahead not audited: the audit of 20\S+ did not pass", " ".join(program.out.split()))


def test_a_leak_that_was_caught_and_taken_out_leaves_what_passed_before(program):
    path = a_strategy(program, "audit_restored", HONEST)
    audit = ("mode=audit", f"strategy={path.stem}", *SMALL)
    run = (f"strategy={path.stem}", SMALL[0], "start=2021-06-01", "end=2021-06-05")
    honest = path.read_text()
    assert program(*audit) == 0
    path.write_text(honest.replace("f.close > f.mean", "np.roll(f.close, -1) > f.mean"))
    sys.modules.pop(f"strategies.{path.stem}")
    assert program(*audit) == 1
    assert program(*run) == 0
    assert "did not pass" in look_ahead(program)["why"]
    path.write_text(honest)
    sys.modules.pop(f"strategies.{path.stem}")
    assert program(*run) == 0
    assert look_ahead(program)["audited"], look_ahead(program)["why"]


def test_an_audit_is_not_the_latest_run_and_is_called_what_it_is(program):
    words = ["strategy=hold", "pairs=[BTC/USD]", "end=2021-01-20"]
    assert program(*words) == 0
    latest = (program.folder / "runs/latest").resolve()
    assert program("mode=audit", *words) == 0, program.err
    assert (program.folder / "runs/latest").resolve() == latest
    assert program("mode=status") == 2
    assert "mode.run=runs/latest: this is a backtest, no session that goes on" in program.err
    (audit,) = (program.folder / "runs/audit").glob("*/*")
    for mode, says in {
        **dict.fromkeys(("status", "pause", "flatten"), "this is an audit, no session that goes on"),
        "replay": "this is an audit, no session with a journal",
        **dict.fromkeys(("verify", "export"), "this is an audit, which trades nothing; name a run that does"),
    }.items():
        assert program(f"mode={mode}", f"mode.run={audit}") == 2
        assert program.err.startswith(f"error: mode.run={audit}: {says}")


def test_the_example_of_the_page_says_what_the_page_says(program):
    (code,) = re.findall(r"```python\n# strategies/tomorrow.py\n(.+?)```", PAGE, re.S)
    ((command, told),) = re.findall(r"^    \$ python -m kraken_flow (.+)\n    (error: .+)$", PAGE, re.M)
    program.write("strategies/tomorrow.py", code)
    assert program(*shlex.split(command)) == 1
    assert program.err == f"{told}\n"


def test_the_page_shows_every_verdict():
    assert [word for word in SHOWN.values() if f"`{word}`" not in PAGE] == []
    assert [check for check in CHECKS if f"| {check} |" not in PAGE] == []
