"""What the index finds against a plain loop over its rows, and what the list says of them."""

import operator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kraken_flow.runs import index_list
from kraken_flow.runs.index import entries
from kraken_flow.runs.index_table import COLUMNS, Index
from tests.unit.runs.test_index import NUMBERS, run

ROOT = Path("/runs")
HOW = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def row(path="one", **more):
    known = dict.fromkeys(COLUMNS) | {"path": path, "fingerprint": "f", "kind": "run", "status": "finished"}
    return known | {"synthetic": False} | more


SHARPES = st.none() | st.sampled_from([-1.0, 0.0, 0.5, 2.0])
TRADES = st.none() | st.integers(0, 3)
STRATEGIES = st.none() | st.sampled_from(["hold", "Hold", "sma_cross", "smaXcross", "100%"])
STARTED = st.sampled_from(["2026-01-01T00:00:00", "2026-01-02T00:00:00"])
FACTS = st.lists(st.tuples(SHARPES, TRADES, STRATEGIES, STARTED), max_size=8)
CONDITIONS = st.lists(
    st.tuples(st.just("sharpe"), st.sampled_from(list(HOW)), st.sampled_from([-1.0, 0.0, 0.5]))
    | st.tuples(st.just("trades"), st.sampled_from(list(HOW)), st.integers(0, 3))
    | st.tuples(st.just("strategy"), st.just("!="), st.just("hold"))
    | st.tuples(st.just("started"), st.sampled_from(["<", ">="]), st.just("2026-01-02T00:00:00")),
    max_size=3,
)


def meets(found, name, how, value):
    """Nothing is no number: it meets no comparison but that of being another one."""
    return how == "!=" if found[name] is None else HOW[how](found[name], value)


def sorted_as_asked(rows, sort):
    """Best first by a column; what has no value last; then the newest, then by path."""
    name, down = sort.removeprefix("-"), sort.startswith("-")
    found = sorted(rows, key=lambda one: one["path"])
    found.sort(key=lambda one: one["started"], reverse=True)
    found.sort(key=lambda one: one[name] or 0, reverse=down)
    found.sort(key=lambda one: one[name] is None)
    return found


@settings(max_examples=40)
@given(FACTS, CONDITIONS, st.sampled_from(["sharpe", "-sharpe", "trades", "-trades"]), st.none() | st.integers(1, 4))
def test_what_is_found_and_its_order_are_those_of_a_loop_over_all_rows(facts, conditions, sort, limit):
    rows = [
        row(f"r{number}", sharpe=sharpe, trades=trades, strategy=strategy, started=started)
        for number, (sharpe, trades, strategy, started) in enumerate(facts)
    ]
    index = Index(None)
    try:
        index.update(rows, [])
        assert index.known() == {one["path"]: ("f", "run") for one in rows}
        found, total = index.find(conditions, sort, limit)
        expected = sorted_as_asked([one for one in rows if all(meets(one, *c) for c in conditions)], sort)
        assert total == len(expected)
        assert found == expected[:limit]
        index.update([row("r0", sharpe=9.0), row("new")], [one["path"] for one in rows[1:]])
        assert {one["path"]: one["sharpe"] for one in index.find([], sort, None)[0]} == {"r0": 9.0, "new": None}
    finally:
        index.close()


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("sma%", ["sma_cross", "smaXcross"]),
        (r"sma\_cross", ["sma_cross"]),
        (r"100\%", ["100%"]),
        ("hold", ["hold", "Hold"]),
        ("%o%", ["hold", "Hold", "sma_cross", "smaXcross"]),
    ],
)
def test_patterns_match_whole_words_and_take_what_is_escaped_as_it_stands(pattern, names):
    index = Index(None)
    try:
        strategies = ("hold", "Hold", "sma_cross", "smaXcross", "100%")
        index.update([*(row(name, strategy=name) for name in strategies), row("none", strategy=None)], [])
        found, _ = index.find([("strategy", "like", pattern)], "path", None)
        assert {one["strategy"] for one in found} == set(names)
        others, _ = index.find([("strategy", "unlike", pattern)], "path", None)
        assert {one["path"] for one in others} == {*strategies, "none"} - set(names)
    finally:
        index.close()


def test_more_rows_than_fit_into_one_statement_are_all_written_and_all_taken_out():
    index = Index(None)
    try:
        paths = [f"r{number:04d}" for number in range(1101)]
        index.update([row(path) for path in paths], [])
        assert [one["path"] for one in index.find([], "path", None)[0]] == paths
        index.update([], paths[:-1])
        assert set(index.known()) == {paths[-1]}
    finally:
        index.close()


def told(*rows, total=None, width=80):
    lines = list(index_list.lines(ROOT, rows, len(rows) if total is None else total, width))
    return [line.plain for line in lines]


def test_a_run_is_two_lines_with_its_numbers_under_their_heads():
    numbers = {"total_return": 0.1234, "sharpe": 1.234, "max_drawdown": -0.05, "trades": 7}
    text = {"strategy": "hold", "mode": "paper", "first": "2024-01-01T00:00:00Z", "last": "2024-02-01T00:00:00Z"}
    heads, first, second, last = told(row(**numbers, **text, order_log_sha256="0123456789"))
    assert first.split() == ["hold", "paper", "2024-01-01..2024-02-01", "+12.34%", "1.23", "-5.00%", "7"]
    assert len(heads) == len(first) == 80
    for head, cell in (("Return", "+12.34%"), ("Sharpe", "1.23"), ("Drawdn", "-5.00%"), ("Trades", " 7")):
        assert heads.index(head) + len(head) == first.index(cell) + len(cell)
    assert second == "  finished 01234567 /runs/one"
    assert last == "1 run"


def test_what_is_not_known_is_a_dash():
    _, first, second, _ = told(row(status="running"))
    assert first.split() == ["-"] * 7
    assert second == "  running /runs/one"


def test_the_widest_terminal_gives_the_strategy_all_that_is_left_and_a_narrow_one_cuts_it():
    name = "a_strategy_with_a_very_long_name_indeed"
    assert told(row(strategy=name), width=200)[1].startswith(name)
    assert len(told(row(strategy=name), width=200)[0]) == 110
    cut = told(row(strategy=name), width=80)[1]
    assert cut.startswith("a_strategy_wit")
    assert "… " in cut
    assert told(row(strategy="x" * 15), width=70)[1].startswith("x" * 15 + " ")


def test_a_sweep_says_how_many_runs_it_has():
    assert told(row(kind="sweep", members=12, mode="backtest"))[1].split()[1:3] == ["sweep", "12"]
    assert told(row(kind="sweep", mode="backtest"))[1].split()[1:3] == ["sweep", "-"]


def test_kills_errors_and_the_sample_are_said():
    lines = told(row(killed_at="2024-01-05", would_have_been_killed_at="2024-01-06", error="no\nmore", synthetic=True))
    assert lines[2].splitlines()[1:] == [
        "  trading ended by a limit at 2024-01-05",
        "  limits only recorded: would have been killed at 2024-01-06",
        "  no more",
    ]
    assert lines[1].startswith("-* ")
    assert lines[-1].startswith("*: on the ")
    assert len(told(row())[2].splitlines()) == 1
    assert told(row(), row("two", synthetic=True))[-1].startswith("*: on the ")
    assert not told(row())[-1].startswith("*")


@pytest.mark.parametrize(
    ("status", "verdict", "said"),
    [("finished", "passed", "audit passed"), ("failed", "passed", "failed"), ("finished", None, "finished")],
)
def test_a_verdict_stands_where_the_audit_finished(status, verdict, said):
    assert told(row(status=status, verdict=verdict))[2] == f"  {said} /runs/one"


def test_the_end_of_the_list_says_how_many_there_are():
    assert told(row(), row("two"))[-1] == "2 runs"
    assert told(row(), total=1200)[-1] == "1 of 1,200 runs; mode.limit=1200 shows all, mode.page=true makes a page"
    assert told() == ["no runs below /runs that were asked for"]


@pytest.mark.parametrize(
    ("value", "said"),
    [(99.99, "+9999.00%"), (-0.5, "-50.00%"), (100.0, "+1.0e+02"), (-100.0, "-1.0e+02"), (0.0, "+0.00%")],
)
def test_returns_that_no_column_holds_are_powers_of_ten(value, said):
    assert told(row(total_return=value))[1].split()[3] == (said if len(said) <= 8 else said[:7] + "…")


def test_a_report_is_named_where_there_is_one(tmp_path):
    folder = run(tmp_path, "one")
    found = index_list.plain(tmp_path, row())
    assert (found["folder"], found["report"]) == (str(folder), None)
    assert "fingerprint" not in found
    assert (found["path"], found["status"]) == ("one", "finished")
    (folder / "report.html").write_text("x")
    assert index_list.plain(tmp_path, row())["report"] == str(folder / "report.html")


@pytest.mark.parametrize("name", ["manifest.json", "metrics.json", "leaderboard.csv"])
def test_each_file_that_an_entry_is_made_of_is_watched(tmp_path, name):
    folder = run(tmp_path, "one", kind="sweep")
    (folder / "leaderboard.csv").write_text("sharpe,fees\n1.5,2\n")
    before = entries(tmp_path)[0][0]
    assert before["kind"] == "sweep"
    changed = {
        "manifest.json": (folder / "manifest.json").read_text().replace("sma_cross", "sma_crossed"),
        "metrics.json": (folder / "metrics.json").read_text().replace("0.25", "0.75"),
        "leaderboard.csv": "sharpe,fees\n1.5,99\n",
    }
    (folder / name).write_text(changed[name])
    assert entries(tmp_path)[0][0] != before


def test_conditions_reach_the_files_of_runs(tmp_path):
    for number, sharpe in enumerate((0.5, 1.5, 2.5)):
        run(tmp_path, f"r{number}", NUMBERS | {"sharpe": sharpe})
    rows, total = entries(tmp_path, [("sharpe", ">", 0.5), ("fees", "=", 3.25)], "sharpe", 1)
    assert ([one["path"] for one in rows], total) == (["r1"], 2)
