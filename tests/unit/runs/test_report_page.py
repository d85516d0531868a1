"""The parts of the page that need no browser: its columns, its candles, its words, its policy."""

import gzip
import re
from base64 import b64decode, b64encode
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraken_flow.core.market import REAL, Market, PairColumns
from kraken_flow.runs.report import words
from kraken_flow.runs.report.indicators import Indicator
from kraken_flow.runs.report.market import Spans, kept_rows, pair_candles
from kraken_flow.runs.report.packing import MISSING, Pack
from kraken_flow.runs.report.page import rendered

MINUTE = 60_000_000_000


def unpacked(pack):
    """Read a blob as the page does, with Python's own integers."""
    content, offset, found = gzip.decompress(b64decode(pack.text())), 0, {}
    for name, facts in pack.index.items():
        n, width = facts["n"], 8 if facts["kind"] == "exact" else 4
        planes = [content[offset + byte * n : offset + (byte + 1) * n] for byte in range(width)]
        offset += n * width
        rows = [bytes(plane[i] for plane in planes) for i in range(n)]
        if facts["kind"] == "exact":
            found[name] = [float(np.frombuffer(row, "<f8")[0]) for row in rows]
            continue
        before, values = 0, []
        for row in rows:
            bits = int.from_bytes(row, "little")
            step = (bits >> 1) ^ -(bits & 1)
            before = step if facts["kind"] == "whole" else (before + step + 2**31) % 2**32 - 2**31
            values.append(None if before == MISSING else before)
        found[name] = [facts["words"][value] for value in values] if "words" in facts else values
    assert offset == len(content)
    return found


@given(st.lists(st.integers(MISSING, 2**31 - 1), max_size=60), st.booleans())
def test_integers_come_back(values, walks):
    pack = Pack()
    pack.whole("x", np.array(values, np.int64), walks=walks)
    assert unpacked(pack)["x"] == [None if value == MISSING else value for value in values]


def test_an_integer_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="32 bits"):
        Pack().whole("x", np.array([2**31]))


@given(st.lists(st.floats(-1e9, 1e9, allow_subnormal=False) | st.just(float("nan")), max_size=60))
def test_floats_come_back_to_nine_digits_of_the_largest(values):
    pack = Pack()
    pack.real("x", np.array(values))
    pack.exact("y", np.array(values))
    pack.words("z", [str(value) for value in values])
    found, step = unpacked(pack), pack.index["x"]["step"]
    top = max((abs(value) for value in values if value == value), default=0.0)
    for value, whole, exact in zip(values, found["x"], found["y"], strict=True):
        if value != value:
            assert whole is None
            assert exact != exact
        else:
            assert abs(whole * step - value) <= top * 1e-8
            assert exact == value
    assert found["z"] == [str(value) for value in values]


def market(n, seed=0):
    random = np.random.default_rng(seed)
    close = (100_000_000 * 100 * np.exp(random.normal(0, 0.001, n).cumsum())).astype(np.int64) // 10_000 * 10_000
    first = np.append(close[0], close[:-1])
    high, low = np.maximum(first, close) + 50_000, np.minimum(first, close) - 30_000
    volume = random.integers(0, 10**10, n)
    pair = PairColumns("BTC/USD", first, high, low, close, volume, np.full(n, REAL, np.uint8))
    return Market(MINUTE, np.arange(n, dtype=np.int64) * MINUTE, (pair,), decimals={"BTC/USD": 4})


def no_trades():
    return Spans(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))


def test_the_candles_of_the_page_are_those_of_the_market_to_its_last_decimal():
    of = market(500)
    line = Indicator("near", np.array([of.pairs[0].floats("close")]), over=True)
    other = Indicator("far", np.full((1, 500), np.nan), over=False)
    made = pair_candles(of, 0, no_trades(), [line, other])
    pack = Pack(index=made.facts["columns"])
    pack.text = lambda: made.blob
    found, pair = unpacked(pack), of.pairs[0]
    assert len(made.facts["levels"]) == 1
    assert found["0.row"] == list(range(500))
    assert [close * 10_000 for close in found["0.close"]] == pair.close.tolist()
    before = [found["0.close"][0], *found["0.close"][:-1]]
    for name, column, near in (
        ("open", pair.open, before),
        ("high", pair.high, found["0.close"]),
        ("low", pair.low, found["0.close"]),
    ):
        assert [(step + base) * 10_000 for step, base in zip(found[f"0.{name}"], near, strict=True)] == column.tolist()
    assert found["0.line0"] == found["0.close"]
    assert found["0.line1"] == [None] * 500
    step = made.facts["columns"]["0.volume"]["step"]
    assert np.allclose(np.array(found["0.volume"]) * step, pair.floats("volume"), atol=step)


def test_too_many_bars_are_thinned_to_what_the_page_may_hold_with_all_bars_around_trades():
    of = market(100_000)
    spans = Spans(np.array([500, 60_000]), np.array([520, 60_100]), np.array([1.0, 2.0]))
    made = pair_candles(of, 0, spans, [], most=10_000)
    fine, coarse = made.facts["levels"]
    pack = Pack(index=made.facts["columns"])
    pack.text = lambda: made.blob
    found = unpacked(pack)
    rows = found["0.row"]
    assert set(range(500, 521)) | set(range(60_000, 60_101)) <= set(rows)
    assert [row for begin, end in fine["spans"] for row in range(begin, end)] == rows
    assert len(rows) + len(found["1.row"]) <= 10_000
    assert made.facts["trades_in_detail"] == 2
    pair, unit = of.pairs[0], 10_000
    highs = [(high + close) * unit for high, close in zip(found["1.high"], found["1.close"], strict=True)]
    assert max(highs) == pair.high.max()
    assert coarse["factor"] * len(found["1.row"]) >= 100_000


def test_where_not_all_trades_fit_those_stay_that_won_or_lost_most():
    begins = np.arange(0, 100_000, 100)
    weight = np.arange(1000.0)
    kept, shown = kept_rows(Spans(begins, begins + 5, weight), 100_000, 2_000)
    assert 0 < shown < 1000
    assert (kept[:, 1] - kept[:, 0]).sum() <= 2_000
    inside = [row for begin, end in kept.tolist() for row in (begin, end)]
    assert min(inside) >= begins[-shown] - 60


def test_nothing_of_a_run_can_end_its_script_and_only_our_scripts_may_run():
    evil = "</script><img src=x onerror=alert(1)><!--<script>"
    page = rendered(evil, {"kind": "run", "strategy": evil, "deep": [{"tag": evil}]}, {"curves": "AAAA"})
    assert evil not in page
    assert "onerror" in page
    assert page.count("<script") == page.count("</script>") == 4
    assert "<img" not in page
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)[1]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)[0]
    library = gzip.decompress(b64decode(re.search(r'id="blob-library">([^<]+)<', page)[1]))
    for text in (script.encode(), library):
        assert f"'sha256-{b64encode(sha256(text).digest()).decode()}'" in policy
    assert b"Licensed under the MIT license" in library[:300]
    assert not re.search(r'(src|href)="(?!#|data:,)', page)


METRICS = {
    "total_return": 0.1, "sharpe": None, "trades": 12, "expectancy": "-2.5", "halted_share": 0.25, "killed_at": None,
    "value_at_risk": {"normal_95": 0.02, "normal_99": None},
    "fees": "12.5", "slippage": "0", "intervals": {"level": 0.9, "total_return": [-0.2, 0.4], "sharpe": None},
    "null_reasons": {"sharpe": "zero_variance", "value_at_risk.normal_99": "too_few_returns"},
}  # fmt: skip


def test_the_headline_has_units_intervals_and_says_why_a_number_is_missing():
    rows = {row["key"]: row for row in words.headline(METRICS, "USD")}
    assert (rows["total_return"]["value"], rows["total_return"]["tone"]) == ("+10.00 %", "good")
    assert rows["total_return"]["interval"] == "\N{MINUS SIGN}20.00 to +40.00 %"
    assert (rows["sharpe"]["value"], rows["sharpe"]["why"]) == ("undefined", "it never varies")
    assert (rows["expectancy"]["value"], rows["expectancy"]["tone"]) == ("\N{MINUS SIGN}2.50 USD", "bad")
    assert "interval" not in rows["sharpe"]
    assert "cagr" not in rows
    numbers = {row["key"]: row for row in words.numbers(METRICS, "USD")}
    assert numbers["value_at_risk.normal_99"]["why"] == "too few returns"
    assert "null_reasons" not in numbers


def test_the_interval_of_a_drawdown_names_its_basis():
    metrics = {"max_drawdown": -0.1, "sharpe": 1.0}
    metrics["intervals"] = {"max_drawdown": [-0.2, -0.05], "sharpe": [0.5, 1.5], "returns_of": "day closes"}
    rows = {row["key"]: row for row in words.headline(metrics, "USD")}
    assert rows["max_drawdown"]["interval"] == "\N{MINUS SIGN}20.00 to \N{MINUS SIGN}5.00 % of day closes"
    assert rows["sharpe"]["interval"] == "0.500 to 1.500"
    metrics["intervals"]["returns_of"] = "bar closes"
    assert "day" not in words.headline(metrics, "USD")[0]["interval"]


def test_warnings_come_worst_first_and_what_metrics_say_is_not_said_twice():
    told = words.warnings({"synthetic_sample": True, "notes": ["a", "a"], "data_notes": ["b"]}, METRICS)
    assert [row["level"] for row in told] == ["bad", "care", "care", "care", "note", "note"]
    assert any("12 closed trades" in row["text"] for row in told)
    given = METRICS | {
        "warnings": [{"code": "made_up", "text": "Made up."}, {"code": "unaudited", "text": "Unaudited."}]
    }
    told = words.warnings({"synthetic_sample": True, "audit": {"audited": False, "why": "no"}}, given)
    assert [(row["level"], row["text"]) for row in told][:2] == [("bad", "Made up."), ("care", "Unaudited.")]
    assert len(told) == 3


def test_a_run_whose_limits_were_only_recorded_says_when_it_would_have_been_killed():
    event = {"time": "2024-01-05T02:00:00+00:00", "trigger": "max_drawdown", "before": "normal", "after": "killed"}
    event |= {"shadow": True, "equity": 9497.474}
    row = words.shadow_kill([event])
    assert row is not None
    assert row["level"] == "bad"
    assert "would have been killed on 2024-01-05 02:00 UTC by max_drawdown, at an equity of 9,497.47" in row["text"]
    assert words.shadow_kill([event | {"shadow": False}]) is None
    assert words.shadow_kill([event | {"after": "halted"}]) is None
    assert words.shadow_kill([]) is None


def test_positions_are_written_as_balances_are():
    assert words.numbers({"final_positions": {"DOGE/USD": "49461.02534547"}}, "USD")[0]["value"] == "49,461.02534547"


def test_balances_have_at_most_eight_decimals():
    metrics = {"final_balances": {"USD": "3523.4156135552449958", "BTC": "-0.5", "ETH": "0"}}
    assert [row["value"] for row in words.numbers(metrics, "USD")] == ["3,523.41561356", "\N{MINUS SIGN}0.5", "0"]


def test_the_capacity_is_told_in_a_sentence_with_units():
    size = {"multiple": 4.25, "equity": "42500", "fillable_multiple": 9.0, "fillable_equity": "90000"}
    size |= {"edge_bps": 20.0, "impact_bps": 4.8507, "volume_share": 0.003}
    text = words.capacity({"capacity": size}, "USD")
    assert text.startswith(
        "Capacity: at 4.25 times the size, starting with 42,500.00 USD, the modelled impact takes half"
    )
    assert "a fill 0.30 % of its bar's volume" in text
    assert "20.00 bps of what was traded; impact took 4.85 of them" in text
    assert words.capacity({}, "USD") == words.capacity({"capacity": None}, "USD") == ""
    numbers = {row["key"]: row for row in words.numbers({"capacity": size}, "USD")}
    shown = [numbers[f"capacity.{name}"]["value"] for name in size]
    times = ["4.2 \N{MULTIPLICATION SIGN}", "42,500.00 USD", "9.0 \N{MULTIPLICATION SIGN}", "90,000.00 USD"]
    assert shown == [*times, "20.000", "4.851", "0.30 %"]
    less = words.capacity({"capacity": size | {"fillable_multiple": 2.0, "fillable_equity": "20000"}}, "USD")
    assert less.startswith("Capacity: at 2.00 times the size, starting with 20,000.00 USD, a fill takes 0.14 % of its")
    assert "no more can be filled; the modelled impact would take half of the edge at 4.25 times the size" in less
    assert all(row["meaning"] for row in numbers.values())
    none = {"capacity": None, "null_reasons": {"capacity": "no_impact_model"}}
    assert words.numbers(none, "USD")[0]["why"].startswith("no impact is modelled: exchange.slippage.model")


def test_costs_come_from_their_own_block_where_there_is_one():
    assert [row["title"] for row in words.costs(METRICS, "USD")] == ["Fees", "Slippage"]
    block = {
        "maker_fees": "1",
        "taker_fees": "2",
        "spread": "3",
        "impact": "0",
        "slippage": "0",
        "funding": "-1",
        "borrow": "0",
        "total": "5",
    }
    found = words.costs(METRICS | {"costs": block}, "USD")
    assert sum(row["number"] for row in found) == 5.0


def test_a_limit_that_fell_with_a_graver_one_has_what_it_would_have_done_alone():
    event = {"trigger": "max_loss", "before": "normal", "after": "killed", "shadow": True}
    assert words.alone(event) == {"alone": "daily_halt"}
    for other in ({"trigger": "max_drawdown"}, {"before": "killed"}, {"trigger": "of another version"}):
        assert words.alone(event | other) == {}
