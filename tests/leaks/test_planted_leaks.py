"""One planted leak per way of knowing the future from bars that the specification lists (4.4): each is caught.

What the list says of fills (at the signal's close, at a stop's exact level despite a gap, by a trail that the same bar
raised) is planted in engines in `test_planted_engine_faults.py`.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kraken_flow.analysis.account_answers import NOT_ASKED
from kraken_flow.analysis.answers import System
from kraken_flow.analysis.futures import FUTURES
from kraken_flow.analysis.leaks import AGAIN, BY_BAR, CUT, audit, leaks
from kraken_flow.core import CrossSection, Feature, Source, Strategy, Window, WindowFeature, feature_grid, node
from kraken_flow.core.account import Execution, Placement, Portfolio, Risk
from kraken_flow.core.feature import HigherTimeframe
from kraken_flow.core.frame import Frame
from kraken_flow.core.orders import OrderRequest, Side
from kraken_flow.core.signal import compute
from kraken_flow.core.strategy import Scripted
from kraken_flow.core.units import FIX, UNIT
from kraken_flow.execution.market import MarketOrders
from kraken_flow.features import Htf, Returns, Rsi, Sma
from kraken_flow.portfolio.fixed_quantity import FixedQuantity
from kraken_flow.risk.position import PositionRisk
from tests.engines import graph_of
from tests.signal_cases import random_market, reads

HOUR = 3600 * 10**9
ROWS = (5, 23, 57, 58, 90, 141, 188)


class OfColumn(WindowFeature):
    """Base of planted features: does with a whole column what a batch makes easy and a stream cannot do."""

    source: Source
    length: int

    def window(self, *windows: Any) -> Any:
        return self.column(windows[0][..., -1])

    def column(self, x: Any) -> Any:
        return x


@node
class Shifted(OfColumn):
    """`shift(-1)`."""

    source: Source = "close"
    length: Window = 1

    def column(self, x: Any) -> Any:
        return np.append(x[1:], x[-1:])


@node
class CentredMean(OfColumn):
    """`rolling(5, center=True).mean()`."""

    source: Source = "close"
    length: Window = 1

    def column(self, x: Any) -> Any:
        padded = np.pad(x, 2, mode="edge")
        return sum(padded[k : k + len(x)] for k in range(5)) / 5


@node
class FilledBackwards(OfColumn):
    """`bfill()` of a signal that is there on some bars only."""

    source: Source = "close"
    length: Window = 1

    def column(self, x: Any) -> Any:
        there = np.flatnonzero(x % 3 < 1)
        at = np.searchsorted(there, np.arange(len(x)))
        return np.where(at < len(there), x[there[np.minimum(at, len(there) - 1)]], 0.0) if len(there) else x


@node
class LabelledAtStart(OfColumn):
    """`resample("4h").last()` joined on the label at the bar's start: the close of four bars, known at the first."""

    source: Source = "close"
    length: Window = 1

    def column(self, x: Any) -> Any:
        last = np.minimum(np.arange(len(x)) // 4 * 4 + 3, len(x) - 1)
        return x[last]


@node
class WholeSampleScale(OfColumn):
    """A z-score by mean and deviation of the whole series."""

    source: Source = "close"
    length: Window = 1

    def column(self, x: Any) -> Any:
        return (x - x.mean()) / (x.std() + 1)


@node
class WholeSampleQuantile(OfColumn):
    """Whether a close is in the top tenth of the whole series."""

    source: Source = "close"
    length: Window = 1

    def column(self, x: Any) -> Any:
        return (x > np.quantile(x, 0.9)).astype(float)


@node
class MergedByNearest(CrossSection):
    """Another pair's bar that is nearest in time where the pair has none: half of the time a later one."""

    source: Source = "close"

    def across(self, values: Any) -> Any:
        rows = np.arange(values.shape[1])
        best = values[0]
        there = np.flatnonzero(~np.isnan(best))
        if not len(there):
            return values
        nearest = best[there[np.abs(there[None, :] - (rows + 0.1)[:, None]).argmin(axis=1)]]
        return np.where(np.isnan(values), np.nan, nearest)


@node
class FarAhead(OfColumn):
    """The close of 100 bars later, on the bars of one hour of the day."""

    source: Source = "close"
    length: Window = 1

    def column(self, x: Any) -> Any:
        later = np.append(x[100:], x[-100:])[: len(x)]
        return np.where(np.arange(len(x)) % 24 == 5, later, x)


PLANTED: list[Feature] = [
    Shifted(), CentredMean(), FilledBackwards(), LabelledAtStart(), WholeSampleScale(), WholeSampleQuantile(),
    MergedByNearest(), FarAhead(),
]  # fmt: skip


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: type(planted).__name__)
def test_a_planted_feature_is_caught_by_both_checks_and_the_audit_blames_it_alone(planted):
    market = random_market(190, 9, gaps=0.1 if isinstance(planted, MergedByNearest) else 0.0)
    found = {
        difference.check
        for difference in leaks(lambda part: compute(reads(planted), part).columns(planted), market, ROWS)
    }
    assert CUT in found
    assert found & set(FUTURES)
    verdicts = verdicts_of(market, strategy=Reads(planted))
    assert verdicts.pop(str(planted)).word == "leaks"
    assert {verdict.word for verdict in verdicts.values()} <= {"ok", "follows"}


@node
class Reads(Strategy):
    """Follows a feature, beside an honest one."""

    feature: Feature

    def features(self) -> dict[str, Source]:
        return {"x": self.feature, "honest": Sma("close", 3)}

    def forecast(self, f: Any) -> Any:
        return np.where(f.x > f.honest, 1.0, -1.0)


def verdicts_of(market, engine="auto", **nodes):
    """Every verdict of an audit of a small system, by node."""
    system = System(graph_of(market, **{"portfolio": FixedQuantity(quantity=1.0), **nodes}), engine=engine)
    finding = audit(system, market, 6, 1)
    assert finding.passed == all(verdict.word == "ok" for verdict in finding.verdicts)
    return {verdict.subject.name: verdict for verdict in finding.verdicts}


# higher timeframes: joined on the open time, the bar in the making, a day that ends by another exchange's clock


@node
class FourHours(HigherTimeframe):
    """An honest join, whose faults are planted below it."""

    feature: Feature

    @property
    def timeframe_ns(self) -> int:
        return 4 * HOUR

    @property
    def inner(self) -> Feature:
        return self.feature


def joined_on_open_time(self, length):
    above, bins = HONEST(self, length)
    return above, bins - 1


def by_another_clock(self, length):
    """Bars that end an hour later than their labels say."""
    early = replace(self, times=self.times - HOUR)
    above, bins = HONEST(early, length)
    return above, bins


HONEST = Frame._resample


@pytest.mark.parametrize("faulty", [joined_on_open_time, by_another_clock], ids=lambda fault: fault.__name__)
def test_a_planted_higher_timeframe_is_caught(faulty, monkeypatch):
    planted = FourHours(Returns("close"))
    market = random_market(190, 9)

    def answer(part):
        return compute(reads(planted), part, "python").columns(planted)

    assert leaks(answer, market, ROWS) == []
    monkeypatch.setattr(Frame, "_resample", faulty)
    assert {CUT, "other next bars"} <= {difference.check for difference in leaks(answer, market, ROWS)}
    verdicts = verdicts_of(market, "python", strategy=Reads(planted))
    assert verdicts[str(planted)].word == "leaks"


def test_a_bar_that_is_filled_in_from_later_ones_is_caught(monkeypatch):
    """Candles that an exchange wrote afterwards: a missing row shows the next real bar instead of the last one."""

    def next_real_row(pair, max_gap):
        at = np.searchsorted(pair.real, np.arange(len(pair.state)))
        return np.minimum(at, len(pair.real) - 1), np.ones(len(pair.state), np.bool_)

    market = random_market(190, 9, gaps=0.15)
    planted = Sma("close", 2)

    def answer(part):
        return compute(reads(planted), part).columns(planted)

    assert leaks(answer, market, ROWS) == []
    monkeypatch.setattr(feature_grid, "_last_real_row", next_real_row)
    assert leaks(answer, market, range(5, 188, 3))
    assert verdicts_of(market, strategy=Reads(planted))[str(planted)].word == "leaks"


# strategies


@node
class Smoothed(Strategy):
    """Reads the next row of its columns."""

    def features(self) -> dict[str, Source]:
        return {"close": "close"}

    def forecast(self, f: Any) -> Any:
        later = np.append(f.close[1:], f.close[-1:])
        return np.where(later > f.close, 1.0, -1.0)


FITTED: dict[str, float] = {}


@node
class FitOnce(Strategy):
    """Scales by what it saw first and remembers it: in one process it says the same every time."""

    def features(self) -> dict[str, Source]:
        return {"close": "close"}

    def forecast(self, f: Any) -> Any:
        level = FITTED.setdefault("mean", float(f.close.mean()))
        return np.where(f.close > level, 1.0, -1.0)


@node
class Unsure(Strategy):
    """An honest forecast with a confidence that knows the next bar."""

    def features(self) -> dict[str, Source]:
        return {"close": "close", "mean": Sma("close", 5)}

    def forecast(self, f: Any) -> Any:
        return np.where(f.close > f.mean, 1.0, -1.0), (np.append(f.close[1:], 0.0) > f.close).astype(float)


@node
class Coin(Strategy):
    """Throws a coin."""

    def features(self) -> dict[str, Source]:
        return {"close": "close"}

    def forecast(self, f: Any) -> Any:
        return np.random.default_rng().choice([-1.0, 1.0], len(f.close))


@node
class Pool(Strategy):
    """Reads other strategies."""

    members: dict[str, Strategy]

    def parts(self) -> dict[str, Strategy]:
        return self.members

    def forecast(self, f: Any) -> Any:
        return sum(getattr(f, name).value * getattr(f, name).confidence for name in self.members) / len(self.members)


@pytest.mark.parametrize(
    ("planted", "word"), [(Smoothed(), "leaks"), (FitOnce(), "leaks"), (Unsure(), "leaks"), (Coin(), "varies")]
)
def test_a_planted_strategy_is_caught_also_as_a_part_of_another(planted, word):
    market = random_market(190, 9)
    assert verdicts_of(market, strategy=planted)["strategy"].word == word
    verdicts = verdicts_of(market, strategy=Pool({"honest": Reads(Sma("close", 7)), "planted": planted}))
    assert verdicts["strategy.planted"].word == word
    assert verdicts["strategy.honest"].word == "ok"
    assert {verdicts[name].word for name in ("strategy", "portfolio", "orders")} == {"follows"}
    assert FITTED == {}


@node
class ByLength(Strategy):
    """Says something else of one row than of many, which no change of the future shows."""

    def features(self) -> dict[str, Source]:
        return {"close": "close"}

    def forecast(self, f: Any) -> Any:
        return np.where(f.close > f.close.max() - 1e9, 1.0 if len(f.close) > 3 else -1.0, 0.0)


def test_an_answer_that_depends_on_how_many_rows_are_asked_about_is_named():
    verdict = verdicts_of(random_market(190, 9), strategy=ByLength())["strategy"]
    assert verdict.word in {"leaks", "differs"}
    assert BY_BAR in verdict.failed


def test_what_says_nothing_is_no_proof():
    silent = Htf("1d", Rsi(14))
    verdicts = verdicts_of(random_market(40, 9), strategy=Reads(silent))
    assert verdicts[str(silent)].word == "idle"
    assert verdicts["strategy"].word == "ok"


# the account half


@node
class Greedy(Portfolio):
    """Sizes by a random draw."""

    band: float | None = None
    cash_buffer: float = 0.01

    def targets(self, view: Any) -> list[int | None]:
        return [
            int(np.random.default_rng().integers(1, 10**6)) * UNIT // 10**6 * forecast // FIX
            for forecast in view.forecast
        ]


SEEN: list[int] = []


@node
class Counting(Risk):
    """Approves by how often it was asked in this process: it remembers."""

    def approve(self, view: Any, pair: int, target: int) -> int:
        SEEN.append(pair)
        return target * int(np.random.default_rng().integers(10**6)) // 10**6


@node
class Hasty(Execution):
    """Places at a random price."""

    def place(self, view: Any, *rest: Any) -> Placement:
        return Placement(limit_price=int(np.random.default_rng().integers(1, 10**9)))


@pytest.mark.parametrize(("kind", "planted"), [("portfolio", Greedy()), ("risk", Counting()), ("execution", Hasty())])
def test_a_planted_node_of_the_account_half_is_named(kind, planted):
    nodes = {"portfolio": FixedQuantity(quantity=1.0), "risk": PositionRisk(), "execution": MarketOrders()}
    verdicts = verdicts_of(random_market(190, 9), strategy=Reads(Returns("close")), **(nodes | {kind: planted}))
    assert verdicts[kind].word == "varies"
    assert AGAIN in verdicts[kind].failed
    assert {v.word for name, v in verdicts.items() if name not in ("portfolio", "risk", "execution", "orders")} == {
        "ok"
    }


@node
class Prophet(Scripted):
    """Orders on every bar before a rise, read from the market that it is given."""

    def requests(self, market: Any, instruments: Any) -> list[tuple[int, OrderRequest]]:
        close = market.pairs[0].close
        rises = np.flatnonzero(close[1:] > close[:-1])
        closes = market.times + market.timeframe_ns
        return [(int(closes[row]), OrderRequest(pair=0, side=Side.BUY, qty=UNIT)) for row in rises.tolist()]


def test_scripted_orders_that_read_the_market_are_caught():
    verdicts = verdicts_of(random_market(190, 9), strategy=Prophet())
    assert {name: verdict.word for name, verdict in verdicts.items()} == {"orders": "leaks"}
    assert BY_BAR in verdicts["orders"].failed


def test_nodes_that_were_not_asked_have_no_values():
    verdicts = verdicts_of(random_market(60, 9), strategy=Reads(Sma("close", 5)))
    assert 0 < verdicts["execution"].rows < verdicts["orders"].rows
    assert NOT_ASKED < -(10**18)
