"""The library: run a backtest from Python and read its tables. `from kraken_flow import backtest`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass, replace
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any

from kraken_flow.analysis.data_summary import data_notes
from kraken_flow.config.arguments import rewrite
from kraken_flow.config.composition import Composition, compose_arguments
from kraken_flow.config.declarations import check_declarations
from kraken_flow.config.schema import fields_of
from kraken_flow.config.validation import check
from kraken_flow.core.blame import exits_refused
from kraken_flow.core.errors import UserError
from kraken_flow.core.feature_grid import pick_native
from kraken_flow.core.graph import Graph
from kraken_flow.core.node import Node, forgotten, lacks_node
from kraken_flow.core.result import Result
from kraken_flow.core.strategy import Strategy
from kraken_flow.core.times import timeframe_name
from kraken_flow.modes.backtest import perform
from kraken_flow.modes.driver import Done, inputs, load_checked, outputs
from kraken_flow.modes.loaded import LoadedRun
from kraken_flow.runs.past import PastRun
from kraken_flow.runs.record import Declared, recorded
from kraken_flow.runs.tables import SAMPLE, Tables
from kraken_flow.runs.views import TablesView
from kraken_flow.runs.write import full_metrics, write_run

_MEMORY = "kraken_flow.data.memory.Memory"
_STAND_IN = {"_target_": "strategies.hold.Hold"}
"""What is validated in the place of a strategy that the caller has made."""
_MANY = ": add -m to run them all"
"""What the command line says of several values."""
_KEPT = ("on_bad", "max_gap", "feed_delay")


@dataclass(frozen=True, repr=False)
class BacktestResult(TablesView):
    """A backtest that has run; each table is made when it is first read.

    The frames have the columns of the parquet files of a run directory. Prices, quantities and money are exact
    decimals (`decimal.Decimal`), so `r.trades["pnl"].sum()` is exact and `r.trades["pnl"].astype(float)` is fast.

    Parameters
    ----------
    tables
        The run's tables as Arrow.
    notes
        Sentences about the data and the terms of the run.
    run_dir
        The folder that was written, None where none was asked for.
    """

    tables: Tables
    notes: tuple[str, ...] = ()
    run_dir: Path | None = None
    _metrics: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Say in one line what ran and how it ended: the columns would fill the screen."""
        market, metrics = self.market, self.metrics
        pairs = ", ".join(market.names) if len(market.names) < 4 else f"{len(market.names)} pairs"
        sample = f" of the {SAMPLE}" if market.synthetic_sample else ""
        growth = "undefined" if metrics["total_return"] is None else f"{metrics['total_return']:+.2%}"
        return (
            f"<{self.tables.strategy} on {pairs}{sample}, {timeframe_name(market.timeframe_ns)}: "
            f"{metrics['trades']} trades, total return {growth}>"
        )

    @property
    def result(self) -> Result:
        """The engine's own columns: scaled integers."""
        return self.tables.run.result

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """The numbers of `metrics.json`."""
        return self._metrics or full_metrics(self.tables)


def load_run(path: str | Path) -> LoadedRun:
    """Read a run from its folder: a backtest, a replay, a paper session that has ended, a member of a sweep.

    Raises `UserError` where there is none, or where it is not finished.
    """
    return LoadedRun(PastRun.at("load_run", str(path)))


@exits_refused()
def backtest(
    overrides: Sequence[str] = (),
    bars: Mapping[str, Any] | None = None,
    run_dir: str | Path | None = None,
    strategy: Strategy | None = None,
) -> BacktestResult:
    """Run a backtest; nothing is written unless `run_dir` is given.

    Parameters
    ----------
    overrides
        Arguments as on the command line: `["strategy=sma_cross", "strategy.fast=5", "exchange=bare"]`.
    bars
        Candles by pair, in place of a `data=` source: `{"BTC/USD": frame}`, a DataFrame or a mapping of arrays with
        the columns time, open, high, low, close, volume. Its pairs are the run's unless `pairs=` says otherwise; of
        the group `data` only on_bad, max_gap and feed_delay may be set beside it.
    run_dir
        Folder for the run's files, by the rules of the command line's `run_dir`.
    strategy
        A strategy of the program's own, in place of a `strategy=` option: `MyIdea(fast=5)`.

    Returns
    -------
    BacktestResult
        With `equity`, `trades`, `fills`, `orders` (DataFrames) and `metrics` (a dictionary).

    Raises
    ------
    kraken_flow.core.errors.UserError
        With everything that is wrong with overrides and bars, one problem to a line.
    """
    problems: list[str] = []
    words = _words(overrides, problems)
    if bars is not None and _tables(bars, problems):
        problems += _twice("data", words, "bars= gives the candles", _KEPT)
        if not any(_key(word) == "pairs" for word in words):
            words.append(f"pairs=[{','.join(sorted(bars))}]")
    if strategy is not None:
        lacking = unfit(strategy)
        problems += [*lacking, *_twice("strategy", words, "strategy= is the strategy")]
        if not lacking:
            check_declarations(strategy, problems)
    if not _is_folder(run_dir):
        problems.append(f"run_dir={run_dir!r}: must be the path of a folder, or None")
    cfg, graph = _composed(words, bars, strategy, problems)
    folder = cfg.get("run_dir") if run_dir is None else run_dir
    described = Composition(dict(cfg), {}, {})
    if bars is not None:
        described.cfg["data"] = {key: value for key, value in cfg["data"].items() if key != "bars"}
    if strategy is not None:
        described.cfg["strategy"] = _declaration(strategy)
    engine = str(cfg.get("engine", "auto"))
    name = next((word.partition("=")[2] for word in words if _key(word) == "strategy"), "")
    own = type(graph.strategy)
    name = name or (own.__module__.rpartition(".")[2] if strategy is None else own.__name__)
    if folder is None:
        done = perform(graph, engine)
        return BacktestResult(Tables(done.finished, name), _notes(done))
    pick_native(engine)
    loaded = load_checked(graph)
    with recorded(Declared("backtest", name, described.yaml() + "\n", words, folder)) as record:
        record.add(inputs(graph, engine))
        done = perform(graph, engine, loaded)
        record.manifest |= outputs(graph, done)
        tables = Tables(done.finished, name)
        audit = record.manifest["audit"]
        metrics = write_run(record.folder, tables, "" if audit["audited"] else audit["why"])
    return BacktestResult(tables, _notes(done), record.folder, metrics)


def _notes(done: Done) -> tuple[str, ...]:
    return (*data_notes(done.finished.market), *done.notes)


def _composed(
    words: Sequence[str], bars: Any, strategy: Strategy | None, problems: Sequence[str]
) -> tuple[dict[str, Any], Graph]:
    """Return the configuration and its graph. Raises `UserError` with all problems, those known before included."""
    told = list(problems)
    arguments = rewrite(words)
    told += [text.replace(_MANY, "; backtest() runs one: call it for each") for text in arguments.problems]
    cfg: dict[str, Any] = {}
    graph = None
    try:
        composition = compose_arguments(arguments)
        cfg = dict(composition.cfg)
        if bars is not None:
            kept = {key: value for key, value in (cfg.get("data") or {}).items() if key in _KEPT}
            tables = {str(pair): table for pair, table in bars.items()} if isinstance(bars, Mapping) else {}
            cfg["data"] = {"_target_": _MEMORY, "bars": tables, **kept}
        checked = check(cfg | {"strategy": _STAND_IN} if strategy is not None else cfg, composition.problems)
        graph = checked.graph
        wrong = {problem.partition("=")[0] for problem in arguments.problems}
        told += [text for text in checked.problems if text.partition(".")[0] not in wrong]
    except UserError as error:
        told += str(error).splitlines()
    if told or graph is None:
        raise UserError("\n".join(dict.fromkeys(told)))
    return cfg, graph if strategy is None else replace(graph, strategy=strategy)


def _is_folder(given: object) -> bool:
    return given is None or (isinstance(given, str | Path) and bool(str(given)))


def _words(overrides: object, problems: list[str]) -> list[str]:
    """Return the arguments; what is no list of `key=value`, and what is for the command line, is left out and told."""
    words: list[Any] = []
    if isinstance(overrides, Iterable) and not isinstance(overrides, str | bytes | Mapping):
        words = list(overrides)
    elif overrides is not None:
        words = [None]
    if not all(isinstance(word, str) for word in words):
        problems.append(f"overrides={overrides!r}: must be a list of texts, as in ['strategy=sma_cross']")
        return []
    flags = [word for word in words if word.startswith("-")]
    if flags:
        problems.append(f"overrides: {', '.join(flags)}: flags are for the command line; give key=value only")
    modes = [word for word in words if _key(word).partition(".")[0] == "mode" and word != "mode=backtest"]
    if modes:
        problems.append(
            f"overrides: {', '.join(modes)}: backtest() runs a backtest; other modes are for the command line"
        )
    return [word for word in words if word not in flags and word not in modes]


def _tables(bars: object, problems: list[str]) -> bool:
    """Whether candles are given by pair; what else they are is told."""
    if not isinstance(bars, Mapping) or not all(isinstance(pair, str) for pair in bars):
        problems.append(
            f"bars: a {type(bars).__name__} is no mapping of pairs to candles; write bars={{'BTC/USD': frame}}"
        )
        return False
    if not bars:
        problems.append("bars: there are no candles; write bars={'BTC/USD': frame}")
    return bool(bars)


def unfit(given: object) -> list[str]:
    """Say why something is no strategy that can run; nothing where it is one."""
    if isinstance(given, Strategy) and not lacks_node(type(given)):
        return []
    if isinstance(given, Strategy):
        return [f"strategy: {forgotten(type(given))}"]
    if isinstance(given, type) and issubclass(given, Strategy):
        name = given.__name__
        return [f"strategy={name}: must be a strategy made from a class, and this is the class; write {name}()"]
    return [
        f"strategy={given!r}: must be a strategy made from a class below kraken_flow.core.Strategy, decorated with "
        "@node, as in strategy=MyIdea(fast=5); a name goes to the overrides, as in ['strategy=sma_cross']"
    ]


def expect_strategy(given: object) -> None:
    """Refuse what is no strategy, and one that reads what is no feature. Raises `UserError`."""
    problems = unfit(given)
    if not problems:
        check_declarations(given, problems)
    if problems:
        raise UserError("\n".join(problems))


def _twice(group: str, words: Sequence[str], given: str, kept: Sequence[str] = ()) -> list[str]:
    """Name overrides of a group that an argument of the call has given already; those of the keys `kept` may stay."""
    other = [word for word in words if _key(word) == group or _key(word).startswith(f"{group}.")]
    other = [word for word in other if _key(word).removeprefix(f"{group}.") not in kept]
    beside = f" (beside it there are {', '.join(f'{group}.{name}' for name in kept)})" if kept else ""
    return [f"overrides: {', '.join(other)}: {given} already; leave out one of the two{beside}"] if other else []


def _declaration(value: Any) -> Any:
    """Return a node as the YAML that would declare it; its class may stand where no `_target_` reaches."""
    if isinstance(value, Mapping):
        return {str(key): _declaration(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_declaration(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        values = {name: _declaration(getattr(value, name)) for name in fields_of(type(value))}
        target = f"{type(value).__module__}.{type(value).__qualname__}"
        return {"_target_": target, **values} if isinstance(value, Node) else values
    return value.value if isinstance(value, Enum) else value


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+")
