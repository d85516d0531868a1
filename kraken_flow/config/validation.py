"""From a composed configuration to the graph: everything is validated before anything is used."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kraken_flow.config.declarations import check_declarations
from kraken_flow.config.nodes import FAILED, LARGEST_INTEGER, build_node
from kraken_flow.config.paths import DEFAULTS, GROUPS, SETTINGS
from kraken_flow.core.errors import UserError
from kraken_flow.core.graph import Graph
from kraken_flow.core.instrument import currency_of
from kraken_flow.core.times import parse_duration, parse_time, parse_timeframe, timeframe_name
from kraken_flow.nearest import hint

ENGINES = ("auto", "rust", "python")
NODES = ("data", "exchange", "account", "strategy", "portfolio", "risk", "execution")
"""The groups that hold exactly one node."""
REPORT = "kraken_flow.runs.options.Report"
"""The node of the group `report`, for the configurations of runs that were made before it was one."""
_PAIR = re.compile(r"[A-Z0-9][A-Z0-9.]*/[A-Z0-9.]+(:[A-Z0-9.]+)?")


@dataclass(frozen=True)
class Checked:
    """A validated configuration: the graph and the mode, None where a problem stands in their way."""

    graph: Graph | None
    mode: Any
    problems: tuple[str, ...]


def build(cfg: Mapping[str, Any]) -> Graph:
    """Return the graph of a composed configuration (plain dictionaries).

    Raises `UserError` with every problem, one to a line: the full key path, the value, what is allowed, and the nearest
    name.
    """
    checked = check(cfg)
    if checked.graph is None or checked.problems:
        raise UserError("\n".join(checked.problems))
    return checked.graph


def check(cfg: Mapping[str, Any], known_problems: Sequence[str] = ()) -> Checked:
    """Validate a composed configuration and build what it declares.

    Parameters: `known_problems` what composition found; the keys they begin with are not complained of again.
    """
    checked = _check(cfg)
    told = {text.partition(":")[0] for text in known_problems}
    fresh = [text for text in checked.problems if text.partition(":")[0] not in told]
    return Checked(checked.graph, checked.mode, (*known_problems, *fresh))


def _check(cfg: Mapping[str, Any]) -> Checked:
    known = [*GROUPS, *SETTINGS]
    problems = [
        f"{key}: no such key; there are {', '.join(known)}{hint(key, known)}" for key in cfg if key not in known
    ]
    mode = build_node(cfg["mode"], "mode", "mode", problems) if cfg.get("mode") else None
    if mode is not None and mode is not FAILED and not mode.needs_graph:
        return Checked(None, mode, tuple(problems))
    pairs = _pairs(cfg.get("pairs"), problems)
    timeframe, start, end = _span(cfg, problems)
    seed = cfg.get("seed", DEFAULTS["seed"])
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed <= LARGEST_INTEGER:
        problems.append(f"seed={seed}: must be a whole number of at least 0 and at most {LARGEST_INTEGER}")
    engine = cfg.get("engine", DEFAULTS["engine"])
    if engine not in ENGINES:
        problems.append(f"engine={engine}: must be {', '.join(ENGINES)}{hint(str(engine), ENGINES, prefix='engine=')}")
    run_dir = cfg.get("run_dir")
    if run_dir is not None and (not isinstance(run_dir, str | int | float) or not str(run_dir)):
        problems.append("run_dir: must be the path of a folder, or null")
    nodes = {group: _group(cfg, group, problems) for group in NODES}
    for made in nodes.values():
        if made is not FAILED:
            check_declarations(made, problems)
    features = _features(cfg.get("features") or {}, problems)
    build_node({"_target_": REPORT} | dict(cfg.get("report") or {}), "report", "report", problems)
    if not problems:
        _across(nodes, pairs, problems)
        _schedules(nodes["portfolio"], timeframe, problems)
    if problems:
        return Checked(None, mode, tuple(problems))
    source = nodes.pop("data")
    graph = Graph(
        pairs=pairs, timeframe=timeframe, start=start, end=end, seed=seed, source=source, features=features, **nodes
    )
    return Checked(graph, mode, ())


def _group(cfg: Mapping[str, Any], group: str, problems: list[str]) -> Any:
    if not cfg.get(group):
        problems.append(f"{group}: nothing is chosen; write {group}=... (`mode=list` shows the options)")
        return FAILED
    return build_node(cfg[group], group, group, problems)


def _features(value: Any, problems: list[str]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        problems.append("features: must be a mapping of names to features")
        return {}
    return {str(name): build_node(item, f"features.{name}", "feature", problems) for name, item in value.items()}


def _pairs(value: Any, problems: list[str]) -> tuple[str, ...]:
    if isinstance(value, Mapping):
        problems += [
            f"pairs.{key}: no such key; pairs has names{hint(str(key), ['names'], prefix='pairs.')}"
            for key in value
            if key != "names"
        ]
        value = value.get("names")
    if not isinstance(value, list | tuple) or not value:
        problems.append(
            "pairs: must be a list of pairs, as in pairs=[BTC/USD,ETH/USD], or a named list, as in pairs=majors"
        )
        return ()
    before = len(problems)
    problems += [
        f"pairs: {pair!r} is not a pair: write BASE/QUOTE, as in BTC/USD{_spelt(pair)}"
        for pair in dict.fromkeys(map(str, value))
        if not _PAIR.fullmatch(pair)
    ]
    repeated = [pair for pair in dict.fromkeys(value) if value.count(pair) > 1]
    if repeated:
        problems.append(f"pairs: {', '.join(map(str, repeated))} stands there more than once")
    if len(problems) > before:
        return ()
    quotes = sorted({currency_of(pair) for pair in value})
    if len(quotes) > 1:
        problems.append(
            f"pairs: traded in {' and '.join(quotes)}; an account holds one currency for now: "
            "run the pairs of each on their own"
        )
    return tuple(sorted(value))


def _spelt(pair: str) -> str:
    if ":" in pair:
        return " (a perpetual is BASE/QUOTE:SETTLE, as in BTC/USDT:USDT)"
    guess = re.sub(r"[-_ ]", "/", pair.upper(), count=1)
    if _PAIR.fullmatch(guess):
        return f"; did you mean {guess}?"
    found = re.fullmatch(r"([A-Z0-9]{2,})(USDT|USDC|USD|EUR|GBP|BTC|ETH)", pair.upper())
    return f"; did you mean {found[1]}/{found[2]}?" if found else ""


def _span(cfg: Mapping[str, Any], problems: list[str]) -> tuple[str, int | None, int | None]:
    timeframe = str(cfg.get("timeframe", DEFAULTS["timeframe"]))
    _read(lambda: parse_timeframe(timeframe, "timeframe"), problems)
    times = [
        None if cfg.get(key) is None else _read(lambda key=key: parse_time(str(cfg[key]), key), problems)
        for key in ("start", "end")
    ]
    start, end = times
    if start is not None and end is not None and start >= end:
        problems.append(f"start={cfg['start']}: must be before end={cfg['end']}")
    return timeframe, start, end


def _read(parse: Any, problems: list[str]) -> int | None:
    try:
        value: int = parse()
    except UserError as error:
        problems.append(str(error))
        return None
    return value


def _schedules(portfolio: Any, timeframe: str, problems: list[str]) -> None:
    """Refuse a schedule of rebalances that falls between the closes of bars."""
    bar = parse_timeframe(timeframe)
    for path, made in (("portfolio", portfolio), ("portfolio.sizer", getattr(portfolio, "sizer", None))):
        rebalance = getattr(made, "rebalance", None)
        if isinstance(rebalance, str) and parse_duration(rebalance, path) % bar:
            near = timeframe_name(bar * max(1, parse_duration(rebalance, path) // bar))
            problems.append(
                f"{path}.rebalance={rebalance}: decisions are made at closes of bars of timeframe={timeframe}; use a "
                f"multiple of that, as {near}"
            )


def _across(nodes: Mapping[str, Any], pairs: Sequence[str], problems: list[str]) -> None:
    """Check what two groups must agree on."""
    for pair in pairs:
        _read(lambda pair=pair: nodes["exchange"].check_pair(pair), problems)
    portfolio, risk = nodes["portfolio"], nodes["risk"]
    if portfolio.needs_stop and not risk.protection().stop_loss:
        name = type(portfolio).__module__.rpartition(".")[2]
        problems.append(
            f"portfolio={name} sizes by the distance of the stop loss, and risk sets none: "
            "set risk.position.stop_loss, as in risk.position.stop_loss=0.03"
        )
